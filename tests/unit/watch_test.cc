// Watches against the store that they watch: while others write, whatever the credit, by key and by
// value, a watcher's dictionary is the store at the version that it is told.

#include "feed/watch.h"

#include <atomic>
#include <map>
#include <random>
#include <thread>

#include <gtest/gtest.h>
#include <msgpack.hpp>

#include "base/msgpack.h"
#include "engine/engine.h"
#include "unit/held_log.h"

namespace entrepot {
namespace {

using Dictionary = std::map<std::string, std::pair<int64_t, uint64_t>>;  // Value, version.

// What a watcher makes of the messages it gets.
struct Watcher {
  void Take(std::string_view message) {
    const msgpack::object_handle handle = msgpack::unpack(message.data(), message.size());
    const msgpack::object& params = handle.get().via.array.ptr[2];
    const auto status = params.via.array.ptr[2].as<std::map<std::string, msgpack::object>>();
    const msgpack::object_array told = params.via.array.ptr[1].via.array;
    for (uint32_t i = 0; i < told.size; ++i) {
      TakeEvent(told.ptr[i].as<std::map<std::string, msgpack::object>>());
    }
    EXPECT_GE(status.at("version").as<uint64_t>(), version);
    version = status.at("version").as<uint64_t>();
    if (status.at("synced").as<bool>()) {
      EXPECT_FALSE(synced) << "synced came twice";
      synced = true;
    }
  }
  void TakeEvent(const std::map<std::string, msgpack::object>& event) {
    const auto key = event.at("key").as<std::string>();
    const auto told = event.at("version").as<uint64_t>();
    const auto previous = event.at("previous_version").as<uint64_t>();
    const auto known = entries.find(key);
    if (!event.contains("snapshot") && !by_query) {
      EXPECT_EQ(previous, known == entries.end() ? 0 : known->second.second) << key;
    }
    if (event.at("op").as<std::string>() == "set") {
      entries[key] = {event.at("value").as<int64_t>(), told};
    } else {
      entries.erase(key);
    }
    ++events;
  }

  bool by_query = false;
  Dictionary entries;
  uint64_t version = 0;
  uint64_t events = 0;
  bool synced = false;
};

class WatchTest : public ::testing::Test {
 protected:
  WatchTest() : engine_({.stripes = 64}, &log_, Clock::System(), [] {}) {
    engine_.SetReady();
    engine_.committer().Follow();
  }

  // Some writes to a few keys.
  void Write(uint32_t seed, int count) {
    std::mt19937 random(seed);
    EngineThread thread(&engine_.store());
    for (int i = 0; i < count; ++i) {
      const std::string key = "key " + std::to_string(random() % 50);
      ByteBuffer value;
      PackUnsigned(&value, random() % 100);
      Operation operation{.method = random() % 3 == 0 ? Method::kDelete : Method::kSet,
                          .key = key,
                          .hash = engine_.store().Hash(key),
                          .value = value.view()};
      OperationResult result;
      Gate gate;
      engine_.EnterTurn(&thread);
      ASSERT_TRUE(engine_.Write(&thread, operation, nullptr, SIZE_MAX, &result, &gate).ok());
      engine_.LeaveTurn(&thread);
    }
  }
  Dictionary Store() {
    Dictionary store;
    for (uint32_t stripe = 0; stripe < engine_.store().stripes(); ++stripe) {
      engine_.store().ForEach(stripe, [&](const Entry* entry) {
        MsgpackReader reader(entry->value());
        Token token;
        ASSERT_TRUE(reader.Next(&token));
        store[std::string(entry->key())] = {static_cast<int64_t>(token.number), entry->version()};
      });
    }
    return store;
  }
  std::unique_ptr<Watch> Begin(Watch::Options options) {
    options.after = engine_.committer().open();
    return std::make_unique<Watch>(7, std::move(options), &engine_.committer().ring(), &log_,
                                   &engine_.store());
  }
  // One step; true when something may come at once.
  bool Step(Watch* watch, Watcher* watcher) {
    const auto last_revision = [this] { return engine_.committer().last_revision(); };
    ByteBuffer message;
    const Result<Watch::Progress> progress =
        watch->Advance({&participant_, engine_.NowMs(), last_revision, false}, &message);
    EXPECT_TRUE(progress.ok());
    if (!message.empty()) watcher->Take(message.view());
    return progress.ok() && *progress == Watch::Progress::kMore;
  }
  [[nodiscard]] bool StepTo(Watch* watch, Watcher* watcher, uint64_t version) {
    return Eventually([&] {
      Step(watch, watcher);
      return watcher->synced && watch->position() >= version;
    });
  }

  NullLog log_;
  Engine engine_;
  Epochs::Participant participant_{&engine_.store().epochs()};
};

TEST_F(WatchTest, AnEmptyStoreIsSyncedAtOnce) {
  const auto watch = Begin({.snapshot = true});
  Watcher watcher;
  ASSERT_TRUE(StepTo(watch.get(), &watcher, 0));
  EXPECT_EQ(watcher.events, 0);
}

TEST_F(WatchTest, ASnapshotBesideWritersIsTheStore) {
  for (uint32_t seed = 1; seed <= 5; ++seed) {
    SCOPED_TRACE(seed);
    std::atomic<bool> begun{false};
    std::thread writer([&] {
      begun = true;
      Write(seed, 2000);
    });
    EXPECT_TRUE(Eventually([&] { return begun.load(); }));
    const auto watch = Begin({.snapshot = true});
    Watcher watcher;
    // It waits for the writer and the committer, which need the processor.
    while (!watcher.synced) {
      if (!Step(watch.get(), &watcher)) std::this_thread::yield();
    }
    writer.join();
    ASSERT_TRUE(StepTo(watch.get(), &watcher, engine_.committer().last_revision()));
    EXPECT_EQ(watcher.entries, Store());
  }
}

TEST_F(WatchTest, SyncedComesWithTheLastEntryOfASnapshot) {
  Write(1, 500);
  const auto watch = Begin({.snapshot = true, .credit = 0});
  Watcher watcher;
  for (size_t told = 0; told < Store().size(); ++told) {
    EXPECT_FALSE(watcher.synced);
    watch->AddCredit(1);
    ASSERT_TRUE(Eventually([&] {
      Step(watch.get(), &watcher);
      return watcher.events > told;
    }));
  }
  // Whether that was the last one is known when the rest of the keys were looked at.
  watch->AddCredit(1);
  ASSERT_TRUE(StepTo(watch.get(), &watcher, 0));
  EXPECT_EQ(watcher.entries, Store());
}

TEST_F(WatchTest, WhatASnapshotShowsIsNotToldAgain) {
  Write(1, 100);
  const auto watch = Begin({.snapshot = true});
  Write(2, 100);
  Watcher watcher;
  ASSERT_TRUE(StepTo(watch.get(), &watcher, engine_.committer().last_revision()));
  EXPECT_EQ(watcher.entries, Store());
  EXPECT_EQ(watcher.events, Store().size());
}

TEST_F(WatchTest, CreditIsNeverExceeded) {
  Write(1, 500);
  const auto watch = Begin({.snapshot = true, .credit = 0});
  Watcher watcher;
  uint64_t credit = 0;
  std::mt19937 random(2);
  while (!watcher.synced || watch->position() < engine_.committer().last_revision()) {
    while (Step(watch.get(), &watcher)) {
    }
    ASSERT_LE(watcher.events, credit);
    const uint64_t more = random() % 4;
    credit += more;
    watch->AddCredit(more);
  }
  EXPECT_EQ(watcher.entries, Store());
}

// A thousand watches of a connection with a page each would be 256 MiB.
TEST_F(WatchTest, WithoutCreditNothingIsReadAhead) {
  Write(1, 500);
  const auto watch = Begin({.snapshot = true, .credit = 1});
  Watcher watcher;
  ASSERT_TRUE(Eventually([&] {
    Step(watch.get(), &watcher);
    return watcher.events > 0;
  }));
  EXPECT_EQ(watcher.events, 1);
  EXPECT_EQ(watch->page_bytes(), 0);
  watch->AddCredit(1000);
  ASSERT_TRUE(StepTo(watch.get(), &watcher, engine_.committer().last_revision()));
  EXPECT_EQ(watcher.entries, Store());
}

// At any point of its snapshot a watcher may take nothing for long; what it has not been told is
// read again, as it is then.
TEST_F(WatchTest, ARestedSnapshotIsWhole) {
  for (uint32_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    Write(seed, 200);
    const auto watch = Begin({.snapshot = true, .credit = 0});
    Watcher watcher;
    std::mt19937 random(seed);
    for (uint32_t round = 0; !watcher.synced; ++round) {
      watch->AddCredit(2 + random() % 5);
      ASSERT_TRUE(Eventually([&] {
        return engine_.committer().ring().newest() == engine_.committer().last_revision();
      }));
      Step(watch.get(), &watcher);
      if (random() % 2 == 0) watch->Rest();
      Write(seed * 1000 + round, 1);
    }
    watch->AddCredit(1'000'000);
    ASSERT_TRUE(StepTo(watch.get(), &watcher, engine_.committer().last_revision()));
    ASSERT_EQ(watcher.entries, Store());
  }
}

TEST_F(WatchTest, AQueryTellsWhatMatches) {
  ByteBuffer query;
  PackMap(&query, 1);
  PackString(&query, "from");
  PackUnsigned(&query, 50);
  EventFilter filter;
  filter.query = *Query::Read(query.view());
  filter.key_prefix = "key 1";
  Write(1, 500);
  const auto watch = Begin({.filter = filter, .snapshot = true});
  Watcher watcher{.by_query = true};
  while (!watcher.synced) Step(watch.get(), &watcher);
  Write(2, 500);
  ASSERT_TRUE(StepTo(watch.get(), &watcher, engine_.committer().last_revision()));
  Dictionary wanted = Store();
  std::erase_if(wanted, [](const auto& entry) {
    return !entry.first.starts_with("key 1") || entry.second.first < 50;
  });
  EXPECT_EQ(watcher.entries, wanted);
}

TEST_F(WatchTest, AForgottenPositionEndsIt) {
  Watch watch(7, {.after = 0}, &engine_.committer().ring(), &log_, &engine_.store());
  EXPECT_TRUE(watch.Open().ok());
  const Ring later(50);
  Watch late(8, {.after = 49}, &later, &log_, &engine_.store());
  EXPECT_EQ(late.Open().code(), Code::kHistoryLost);
  EXPECT_EQ(late.Oldest(), 50);
}

}  // namespace
}  // namespace entrepot
