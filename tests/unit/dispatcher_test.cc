// Requests and replies over a log that is not durable at once: what waits, what does not, and what
// becomes of both when the queue or the disk is full or the log fails.

#include "server/dispatcher.h"

#include <gtest/gtest.h>

#include "unit/dispatcher_fixture.h"

namespace entrepot {
namespace {

constexpr uint64_t kWriter = 1, kReader = 2, kOther = 3;

class DispatcherTest : public testing::TestWithParam<bool> {
 protected:
  using Fixture = DispatcherFixture;

  void Start(SyncPolicy sync = {}, Limits limits = {}) {
    fixture_ = std::make_unique<Fixture>(
        GetParam(), Engine::Options{.stripes = 64, .limits = limits, .sync = sync});
  }
  Fixture& server() { return *fixture_; }
  HeldLog& log() { return fixture_->log(); }

  // A key whose stripe no other key of these tests removes from is not known beforehand; this one
  // is found by asking.
  std::string AbsentKeyOfAnotherStripe(const std::string& key) {
    const Store& store = server().engine().store();
    const auto stripe = [&](const std::string& of) { return store.Hash(of) >> (64 - 6); };
    std::string other = "absent0";
    for (int i = 1; stripe(other) == stripe(key); ++i) other = "absent" + std::to_string(i);
    return other;
  }

  // Fills the commit queue by sets of 1 MiB; the log is held. Gives their number.
  int FillQueue() {
    const std::string value(size_t{1} << 20, 'v');
    int sets = 0;
    const size_t room = RecordBytes(kChangeHeaderBytes + value.size() + 64);
    while (server().engine().committer().queued_bytes() + room <= kCommitQueueBytesMax) {
      EXPECT_EQ(server().Call(kOther, Fixture::SetApplied("fill", value)).code(), "");
      ++sets;
    }
    return sets;
  }

 private:
  std::unique_ptr<Fixture> fixture_;
};

TEST_P(DispatcherTest, WriteIsAnsweredWhenTheLogHasIt) {
  Start();
  log().Hold();
  server().Send(kWriter, Fixture::Set("key", "value", 7));
  ASSERT_TRUE(log().AwaitAppend(1));
  EXPECT_TRUE(server().IsParked(kWriter));
  EXPECT_EQ(server().dispatcher().gauges().parked, 1u);
  log().LetGo();
  const std::vector<Response> responses = server().Receive(kWriter);
  ASSERT_EQ(responses.size(), 1u);
  EXPECT_EQ(responses[0].msgid(), 7u);
  EXPECT_EQ(responses[0].status(), "created");
  EXPECT_TRUE(Eventually([&] { return server().dispatcher().gauges().parked == 0; }));
}

TEST_P(DispatcherTest, EachGroupReleasesItsOwnReplies) {
  Start();
  log().Hold();
  server().Send(kWriter, Fixture::Set("first", "value"));
  ASSERT_TRUE(log().AwaitAppend(1));
  server().Send(kOther, Fixture::Set("second", "value"));
  ASSERT_TRUE(server().HasRun());
  log().LetOneGo();
  EXPECT_EQ(server().Receive(kWriter).at(0).status(), "created");
  ASSERT_TRUE(log().AwaitAppend(2));
  EXPECT_TRUE(server().IsParked(kOther));
  log().LetOneGo();
  EXPECT_EQ(server().Receive(kOther).at(0).status(), "created");
}

// The table of docs/DESIGN.md, "Revisions, the log and the gate".
TEST_P(DispatcherTest, ReadsWaitForWhatTheyShow) {
  Start();
  const auto page = [](const char* method, const char* of) {
    return Fixture::Ask(method, [of](Packer& packer) { packer.pack_array(1).pack(of); });
  };
  const auto no_params = [](const char* method) {
    return Fixture::Ask(method, [](Packer& packer) { packer.pack_array(0); });
  };
  for (const char* key : {"durable", "gone", "brief"})
    server().Call(kWriter, Fixture::Set(key, "old"));
  EXPECT_EQ(server().Call(kWriter, page("find", "")).status(), "found");
  EXPECT_EQ(server().Call(kWriter, page("scan", "")).status(), "found");
  log().Hold();
  const Response fresh = server().Call(kWriter, Fixture::SetApplied("new", "value"));
  EXPECT_EQ(server()
                .Call(kWriter, Fixture::Ask("delete",
                                            [](Packer& packer) {
                                              packer.pack_array(2).pack("gone").pack_map(1);
                                              packer.pack("ack").pack("applied");
                                            }))
                .status(),
            "deleted");
  const uint64_t version = fresh.As<uint64_t>("version");
  // Its key had a value before; now it has one that was never readable.
  server().Call(kWriter, Fixture::Ask("set", [](Packer& packer) {
                  packer.pack_array(3).pack("brief").pack("new").pack_map(2);
                  packer.pack("expires_at_ms").pack(1).pack("ack").pack("applied");
                }));
  const auto transact_if_absent = [](const char* key) {
    return Fixture::Ask("transact", [key](Packer& packer) {
      packer.pack_array(1).pack_map(1).pack("if").pack_array(1);
      packer.pack_array(4).pack(key).pack("exists").pack("=").pack(false);
    });
  };
  const auto get_many = [](std::vector<std::string> keys) {
    return Fixture::Ask("get_many", [keys](Packer& packer) { packer.pack_array(1).pack(keys); });
  };
  const auto with_option = [](const char* method, const char* option, auto value) {
    return Fixture::Ask(method, [=](Packer& packer) {
      packer.pack_array(std::string_view(method) == "set" ? 3 : 2).pack("new");
      if (std::string_view(method) == "set") packer.pack("other");
      packer.pack_map(1).pack(option).pack(value);
    });
  };

  const struct {
    const char* what;
    std::string request;
    bool waits;
    const char* answer;  // Its status, or the code of its error.
  } rows[] = {
      {"expired, not durable", Fixture::Get("brief"), true, "not_found"},
      {"what the value's type forbids",
       Fixture::Ask("increment", [](Packer& packer) { packer.pack_array(2).pack("new").pack(1); }),
       true, "wrong_type"},
      {"found, durable", Fixture::Get("durable"), false, "found"},
      {"found, not durable", Fixture::Get("new"), true, "found"},
      {"unchanged", with_option("get", "unless_version", version), true, "unchanged"},
      {"conflict", with_option("set", "if_absent", true), true, "conflict"},
      {"not_found behind a removal", Fixture::Get("gone"), true, "not_found"},
      {"not_found", Fixture::Get(AbsentKeyOfAnotherStripe("gone")), false, "not_found"},
      {"get_many of what is durable", get_many({"durable"}), false, ""},
      {"get_many", get_many({"durable", "new"}), true, ""},
      {"rejected by what is durable", transact_if_absent("durable"), false, "rejected"},
      {"rejected", transact_if_absent("new"), true, "rejected"},
      {"find", page("find", "va"), true, "found"},
      {"scan", page("scan", "dur"), true, "found"},
      {"count", no_params("count"), true, ""},
      {"sync", no_params("sync"), true, ""},
      {"ack applied", with_option("get", "ack", "applied"), false, "found"},
      {"ping", no_params("ping"), false, "ok"},
  };
  const auto expect_answer = [](const auto& row, const Response& response) {
    if (response.is_error()) {
      EXPECT_EQ(response.code(), row.answer) << row.what << ": " << response.ToString();
    } else if (*row.answer != '\0') {
      EXPECT_EQ(response.status(), row.answer) << row.what;
    }
  };
  for (uint64_t i = 0; i < std::size(rows); ++i) {
    const uint64_t peer = 100 + i;
    server().Send(peer, rows[i].request);
    ASSERT_TRUE(server().HasRun());
    EXPECT_EQ(server().mailbox().Waiting(peer), rows[i].waits ? 0u : 1u) << rows[i].what;
    if (!rows[i].waits) expect_answer(rows[i], server().Receive(peer).at(0));
  }
  // hello tells durable revisions only.
  EXPECT_LT(server().Call(kReader, no_params("hello")).As<uint64_t>("version"), version);

  log().LetGo();
  for (uint64_t i = 0; i < std::size(rows); ++i) {
    if (rows[i].waits) expect_answer(rows[i], server().Receive(100 + i).at(0));
  }
}

TEST_P(DispatcherTest, ReplayWaitsForTheOriginalRevision) {
  Start();
  const std::string session =
      server()
          .Call(kWriter, Fixture::Ask("hello",
                                      [](Packer& packer) {
                                        packer.pack_array(1).pack_map(1).pack("session").pack(true);
                                      }))
          .As<std::string>("session");
  const std::string once = Fixture::Ask("increment", [&](Packer& packer) {
    packer.pack_array(3).pack("counter").pack(5).pack_map(1).pack("once");
    packer.pack_array(3).pack(session).pack(1).pack(0);
  });
  log().Hold();
  server().Send(kWriter, once);
  ASSERT_TRUE(server().IsParked(kWriter));
  server().Send(kOther, once);
  EXPECT_TRUE(server().IsParked(kOther));
  log().LetGo();
  const std::vector<Response> first = server().Receive(kWriter), again = server().Receive(kOther);
  EXPECT_FALSE(first[0].Has("replayed"));
  EXPECT_TRUE(again[0].As<bool>("replayed"));
  EXPECT_EQ(again[0].As<int>("value"), 5);
  EXPECT_EQ(again[0].As<uint64_t>("version"), first[0].As<uint64_t>("version"));
}

TEST_P(DispatcherTest, DurableWaitsForTheDiskWhateverThePolicy) {
  Start({.kind = SyncPolicy::kNever});
  EXPECT_EQ(server().Call(kWriter, Fixture::Set("key", "value")).status(), "created");
  EXPECT_EQ(log().syncs(), 0u);
  const std::string durable = Fixture::Ask("set", [](Packer& packer) {
    packer.pack_array(3).pack("key").pack("other").pack_map(1).pack("ack").pack("durable");
  });
  EXPECT_EQ(server().Call(kWriter, durable).status(), "updated");
  EXPECT_EQ(log().syncs(), 1u);
  EXPECT_EQ(server().engine().committer().synced(), 2u);
}

TEST_P(DispatcherTest, FailedLogMakesWhatWaitsUnknownAndWritesUnavailable) {
  Start();
  EXPECT_EQ(server().Call(kWriter, Fixture::Set("durable", "value")).status(), "created");
  log().Hold();
  server().Send(kWriter, Fixture::Get("durable", 11) + Fixture::Set("key", "value", 12));
  ASSERT_TRUE(log().AwaitAppend(2));
  server().Send(kReader, Fixture::Get("key", 13));
  ASSERT_TRUE(server().IsParked(kWriter));
  ASSERT_TRUE(server().IsParked(kReader));
  log().Fail();

  const std::vector<Response> writes = server().Receive(kWriter);
  ASSERT_EQ(writes.size(), 2u);
  EXPECT_EQ(writes[0].code(), "unavailable");
  EXPECT_EQ(writes[1].msgid(), 12u);
  EXPECT_EQ(writes[1].code(), "outcome_unknown");
  // A read has changed nothing, so nothing about it is unknown.
  const std::vector<Response> reads = server().Receive(kReader);
  EXPECT_EQ(reads.at(0).msgid(), 13u);
  EXPECT_EQ(reads[0].code(), "unavailable");

  EXPECT_EQ(server().Call(kWriter, Fixture::Set("later", "value")).code(), "unavailable");
  EXPECT_EQ(server().Call(kReader, Fixture::Get("durable")).status(), "found");
}

TEST_P(DispatcherTest, FullQueueMakesRequestsWaitAndNobodyElse) {
  Start();
  EXPECT_EQ(server().Call(kReader, Fixture::Set("durable", "value")).status(), "created");
  log().Hold();
  const int filled = FillQueue();
  const std::string large(size_t{1} << 20, 'v');
  constexpr int kLater = 100;
  for (uint32_t i = 0; i < kLater; ++i) {
    // Bodies that begin on the lane as well as those that go to the workers.
    const std::string value = i % 2 == 0 ? large : large.substr(0, 32 << 10);
    server().Send(kWriter, Fixture::SetApplied("counter", value, i));
  }
  server().Send(kWriter, Fixture::Get("counter", kLater));

  EXPECT_EQ(server().Call(kReader, Fixture::Get("durable")).status(), "found");
  EXPECT_EQ(server().Call(kOther, Fixture::Get("nothing")).status(), "not_found");
  EXPECT_LT(server().mailbox().Waiting(kWriter), size_t{kLater});
  EXPECT_TRUE(Eventually([&] { return server().dispatcher().gauges().strands == 1; }));

  log().LetGo();
  uint64_t last_version = 0;
  for (uint32_t i = 0; i < kLater; ++i) {
    const std::vector<Response> responses = server().Receive(kWriter);
    ASSERT_EQ(responses.at(0).code(), "");
    EXPECT_EQ(responses[0].msgid(), i);
    EXPECT_GT(responses[0].As<uint64_t>("version"), last_version);
    last_version = responses[0].As<uint64_t>("version");
  }
  EXPECT_EQ(server().Receive(kWriter).at(0).As<uint64_t>("version"), last_version);
  EXPECT_EQ(last_version, uint64_t(1 + filled + kLater));
}

TEST_P(DispatcherTest, WhatWaitsForRoomIsUnavailableWhenTheLogFails) {
  Start();
  log().Hold();
  FillQueue();
  const std::string large(size_t{1} << 20, 'v');
  for (uint32_t i = 0; i < 3; ++i) server().Send(kWriter, Fixture::SetApplied("key", large, i));
  EXPECT_TRUE(Eventually([&] { return server().dispatcher().gauges().strands == 1; }));
  log().Fail();
  std::vector<std::string> codes;
  for (int i = 0; i < 3; ++i) codes.push_back(server().Receive(kWriter).at(0).code());
  EXPECT_EQ(codes.back(), "unavailable");
}

TEST_P(DispatcherTest, FullDiskIsReadOnlyAndEndsByItself) {
  Start();
  EXPECT_EQ(server().Call(kReader, Fixture::Set("durable", "value")).status(), "created");
  log().SetFull(true);
  server().Send(kWriter, Fixture::Set("first", "value"));
  Committer& committer = server().engine().committer();
  ASSERT_TRUE(Eventually([&] {
    const Code code = committer.Reserve(8);
    if (code == Code::kOk) committer.Release(8);
    return code == Code::kReadOnly;
  }));
  const Response refused = server().Call(kOther, Fixture::Set("second", "value"));
  EXPECT_EQ(refused.code(), "read_only");
  EXPECT_EQ(refused.As<std::string>("retry"), "later");
  EXPECT_EQ(server().Call(kReader, Fixture::Get("durable")).status(), "found");
  EXPECT_TRUE(server().IsParked(kWriter));

  log().SetFull(false);
  EXPECT_EQ(server().Receive(kWriter).at(0).status(), "created");
  EXPECT_EQ(server().Call(kOther, Fixture::Set("second", "value")).status(), "created");
}

TEST_P(DispatcherTest, RequestsOfAPeerTakeEffectInTheirOrder) {
  Start();
  uint32_t msgid = 0;
  for (int round = 0; round < 20; ++round) {
    std::string long_body;  // Longer than a slice, so it goes to the workers.
    for (int i = 0; i < 300; ++i) long_body += Fixture::Set("key", "value", ++msgid);
    server().Send(kWriter, long_body);
    server().Send(kWriter, Fixture::Get("key", ++msgid));
    server().Send(kWriter, Fixture::Set("key", "between", ++msgid));
    server().Send(kWriter, Fixture::Get("key", ++msgid));
  }
  // A read tells the version of the write before it, whichever thread ran them.
  std::map<uint32_t, uint64_t> versions;
  for (int i = 0; i < 20 * 4; ++i) {
    for (const Response& response : server().Receive(kWriter)) {
      versions[response.msgid()] = response.As<uint64_t>("version");
    }
  }
  ASSERT_EQ(versions.size(), size_t{msgid});
  for (uint32_t get = 301; get <= msgid; get += 303) {
    EXPECT_EQ(versions[get], versions[get - 1]);
    EXPECT_EQ(versions[get + 2], versions[get + 1]);
    EXPECT_EQ(versions[get + 1], versions[get] + 1);
  }
}

TEST_P(DispatcherTest, BodyHasABoundOfRequests) {
  Start({}, {.requests = 300});
  std::string body;
  for (uint32_t i = 0; i < 1000; ++i) body += Fixture::Get("key", i);
  server().Send(kReader, body);
  const std::vector<Response> responses = server().Receive(kReader);
  ASSERT_EQ(responses.size(), 301u);
  EXPECT_EQ(responses[299].status(), "not_found");
  EXPECT_EQ(responses[300].code(), "too_large");
}

TEST_P(DispatcherTest, PeerThatDoesNotReadIsOverloadedAndNothingRuns) {
  Start();
  server().mailbox().SetTakesMore(false);
  server().Send(kWriter, Fixture::Set("a", "value", 1) + Fixture::Set("b", "value", 2));
  const std::vector<Response> responses = server().Receive(kWriter);
  ASSERT_EQ(responses.size(), 2u);
  EXPECT_EQ(responses[0].code(), "overloaded");
  EXPECT_EQ(responses[1].code(), "overloaded");
  server().mailbox().SetTakesMore(true);
  EXPECT_EQ(server().Call(kWriter, Fixture::Get("a")).status(), "not_found");
}

TEST_P(DispatcherTest, BodiesWaitingForAPeerHaveABound) {
  Start();
  log().Hold();
  FillQueue();
  const std::string large(size_t{1} << 20, 'v');
  server().Send(kWriter, Fixture::SetApplied("key", large));
  // The first of them waits for room, so the rest wait for it.
  for (size_t i = 0; i < kRequestsOfPeer + 10; ++i) server().Send(kWriter, Fixture::Get("other"));
  ASSERT_EQ(server().mailbox().Waiting(kWriter), 11u);
  EXPECT_EQ(server().Receive(kWriter).at(0).code(), "overloaded");
}

TEST_P(DispatcherTest, DrainWaitsForWhatIsParked) {
  Start();
  log().Hold();
  server().Send(kWriter, Fixture::Set("key", "value"));
  ASSERT_TRUE(server().IsParked(kWriter));
  EXPECT_FALSE(server().dispatcher().Drain(/*timeout_ms=*/1));
  log().LetGo();
  EXPECT_TRUE(server().dispatcher().Drain(/*timeout_ms=*/30'000));
  EXPECT_EQ(server().mailbox().Waiting(kWriter), 1u);
}

INSTANTIATE_TEST_SUITE_P(Dispatch, DispatcherTest, testing::Bool(), [](const auto& dispatch) {
  return dispatch.param ? "Inline" : "Workers";
});

}  // namespace
}  // namespace entrepot
