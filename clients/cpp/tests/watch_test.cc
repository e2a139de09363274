// Watches and changes against a real server: what they tell, how they heal, how they end.

#include "entrepot/watch.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "chaos_proxy.h"
#include "entrepot/client.h"
#include "server_process.h"
#include "watch_script.h"

namespace entrepot {
namespace {

using testing::ChaosProxy;
using testing::InAWord;
using testing::InWords;
using testing::ServerProcess;
using testing::SharedServer;
using Words = std::vector<std::string>;
using std::chrono::milliseconds;

// Long enough for a sanitizer's build on a busy machine; reached only when a test fails.
constexpr milliseconds kPatience{60'000};

Event MustNext(Watch& watch) {
  Result<Event> event = watch.Next(kPatience);
  EXPECT_TRUE(event.ok()) << event.status();
  return event.ok() ? *std::move(event) : Event(event::Resync{"nothing came"});
}

// Events up to the next Synced, which is left out.
std::vector<Event> UntilSynced(Watch& watch) {
  std::vector<Event> events;
  while (true) {
    Event event = MustNext(watch);
    if (std::holds_alternative<event::Synced>(event)) return events;
    events.push_back(std::move(event));
    if (::testing::Test::HasFailure()) return events;
  }
}

// What a watcher knows when it applies what it is told, with each key's chain checked.
class Copy {
 public:
  void Apply(const Event& event) {
    if (const std::string* key = KeyOf(event)) CheckChain(event, *key);
    if (const auto* snapshot = std::get_if<event::Snapshot>(&event)) {
      values_[snapshot->key] = snapshot->value;
      versions_[snapshot->key] = snapshot->version;
    } else if (const auto* set = std::get_if<event::Set>(&event)) {
      values_[set->key] = set->value;
      versions_[set->key] = set->version;
    } else if (const auto* touch = std::get_if<event::Touch>(&event)) {
      versions_[touch->key] = touch->version;
    } else if (const std::string* gone = KeyOf(event)) {
      values_.erase(*gone);
      versions_[*gone] = 0;
    } else if (std::holds_alternative<event::Resync>(event)) {
      values_.clear();
      versions_.clear();
    }
  }

  const std::map<std::string, Value>& values() const { return values_; }

 private:
  void CheckChain(const Event& event, const std::string& key) {
    std::visit(
        [&](const auto& kind) {
          if constexpr (requires { kind.previous_version; }) {
            const auto known = versions_.find(key);
            if (known == versions_.end()) return;
            EXPECT_EQ(kind.previous_version, known->second) << InAWord(event);
          }
        },
        event);
  }

  std::map<std::string, Value> values_;
  std::map<std::string, uint64_t> versions_;  // 0 where the key was deleted.
};

std::map<std::string, Value> Contents(Client& client, const std::string& prefix) {
  std::map<std::string, Value> contents;
  Result<std::vector<Entry>> entries = client.Scan(prefix).ToVector();
  EXPECT_TRUE(entries.ok()) << entries.status();
  if (entries.ok()) {
    for (Entry& entry : *entries) contents[entry.key] = std::move(entry.value);
  }
  return contents;
}

TEST(WatchTest, ASnapshotComesFirstAndThenEveryChange) {
  Client client(SharedServer().endpoint());
  ASSERT_TRUE(client.Set("w:first:a", 1).ok());
  Result<Watch> watch = client.Watch("w:first:");
  ASSERT_TRUE(watch.ok()) << watch.status();
  EXPECT_EQ(watch->token(), std::nullopt);
  EXPECT_EQ(InWords(UntilSynced(*watch)), Words{"snapshot w:first:a"});
  EXPECT_TRUE(watch->is_live());

  const uint64_t before = client.Entry("w:first:a")->value().version;
  const uint64_t set = client.Set("w:first:b", "text", {.ttl_ms = 3'600'000})->version;
  const Event first = MustNext(*watch);
  const auto* told = std::get_if<event::Set>(&first);
  ASSERT_NE(told, nullptr) << InAWord(first);
  EXPECT_EQ(told->key, "w:first:b");
  EXPECT_EQ(told->value, Value("text"));
  EXPECT_EQ(told->version, set);
  EXPECT_EQ(told->previous_version, 0U);
  EXPECT_GT(told->expires_at_ms, 1'600'000'000'000);
  EXPECT_EQ(told->cause, Cause::kClient);
  EXPECT_EQ(watch->token()->revision, set);

  Transaction transaction;
  transaction.Then(request::Touch("w:first:b", std::nullopt)).Then(request::Delete("w:first:a"));
  const uint64_t both = client.Transact(transaction)->version;
  for (int i = 0; i < 2; ++i) {
    const Event event = MustNext(*watch);
    if (const auto* touch = std::get_if<event::Touch>(&event)) {
      EXPECT_EQ(touch->expires_at_ms, std::nullopt);
      EXPECT_EQ(touch->cause, Cause::kTransaction);
      EXPECT_EQ(touch->version, both);
    } else {
      const auto* gone = std::get_if<event::Delete>(&event);
      ASSERT_NE(gone, nullptr) << InAWord(event);
      EXPECT_EQ(gone->previous_version, before);
    }
  }
  ASSERT_TRUE(client.Set("w:first:c", 1, {.ttl_ms = 1}).ok());
  MustNext(*watch);
  EXPECT_TRUE(std::holds_alternative<event::Expired>(MustNext(*watch)));
}

TEST(WatchTest, AQueryTellsWhatMatchesAndWhatLeaves) {
  Client client(SharedServer().endpoint());
  ASSERT_TRUE(client.Set("w:query:a", "red").ok());
  ASSERT_TRUE(client.Set("w:query:b", "blue").ok());
  Result<Watch> watch = client.Watch("w:query:", {.query = Query("re"), .values = false});
  ASSERT_TRUE(watch.ok());
  EXPECT_EQ(InWords(UntilSynced(*watch)), Words{"snapshot w:query:a"});
  const uint64_t left = client.Set("w:query:a", "green")->version;
  const Event event = MustNext(*watch);
  EXPECT_EQ(InAWord(event), "left w:query:a@" + std::to_string(left));
  const uint64_t came = client.Set("w:query:b", "rejoined")->version;
  const Event set = MustNext(*watch);
  EXPECT_EQ(InAWord(set), "set w:query:b@" + std::to_string(came));
  EXPECT_TRUE(std::get<event::Set>(set).value.is_nil()) << "no values were asked for";
}

TEST(WatchTest, FromNowOnAndFromATokenOn) {
  Client client(SharedServer().endpoint());
  ASSERT_TRUE(client.Set("w:since:a", 1).ok());
  Result<Watch> now = client.Watch("w:since:", {.snapshot = false});
  ASSERT_TRUE(now.ok());
  EXPECT_TRUE(UntilSynced(*now).empty());
  const std::optional<Token> token = now->token();
  ASSERT_TRUE(token);
  const uint64_t version = client.Set("w:since:b", 2)->version;
  EXPECT_EQ(InAWord(MustNext(*now)), "set w:since:b@" + std::to_string(version));

  Result<Watch> since = client.Watch("w:since:", {.since = token});
  ASSERT_TRUE(since.ok());
  EXPECT_EQ(InWords(UntilSynced(*since)), Words{"set w:since:b@" + std::to_string(version)});
}

TEST(WatchTest, ATokenOfAnotherStoreIsFollowedByASnapshot) {
  Client client(SharedServer().endpoint());
  ASSERT_TRUE(client.Set("w:elsewhere:a", 1).ok());
  Result<Watch> watch = client.Watch("w:elsewhere:", {.since = Token{"0000000000000000", 7}});
  ASSERT_TRUE(watch.ok());
  EXPECT_EQ(InWords(UntilSynced(*watch)),
            (Words{"resync unknown_history", "snapshot w:elsewhere:a"}));
}

TEST(WatchTest, TheErrorsOfACallAreThoseOfItsBegin) {
  Client nobody("tcp://127.0.0.1:1", {.connect_wait_ms = 50});
  EXPECT_EQ(nobody.Watch().status().code(), StatusCode::kUnreachable);
  Client client(SharedServer().endpoint());
  EXPECT_EQ(client.Watch("", {.query = Query::Range({}, {})}).status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(client.Watch("", {.credit = 0}).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(Client("nonsense").Watch().status().code(), StatusCode::kInvalidArgument);
}

TEST(WatchTest, WaitingForAnEventEndsInTimeAndLosesNone) {
  Client client(SharedServer().endpoint());
  Result<Watch> watch = client.Watch("w:patience:", {.snapshot = false});
  ASSERT_TRUE(watch.ok());
  EXPECT_TRUE(UntilSynced(*watch).empty());
  EXPECT_EQ(watch->Next(milliseconds(20)).status().code(), StatusCode::kTimeout);
  EXPECT_TRUE(watch->status().ok());
  ASSERT_TRUE(client.Set("w:patience:a", 1).ok());
  EXPECT_TRUE(std::holds_alternative<event::Set>(MustNext(*watch)));
}

TEST(WatchTest, ASlowReaderHoldsUpNobodyAndLosesNothing) {
  constexpr int kChanges = 2000;
  Client client(SharedServer().endpoint());
  Result<Watch> watch = client.Watch("w:slow:", {.snapshot = false, .credit = 10});
  ASSERT_TRUE(watch.ok());
  Pipeline pipeline = client.Pipeline();
  for (int i = 0; i < kChanges; ++i) pipeline.Add(request::Set("w:slow:a", i));
  ASSERT_TRUE(pipeline.Send().ok()) << "nothing of the watch was read so far";
  UntilSynced(*watch);
  for (int i = 0; i < kChanges; ++i) {
    const Event event = MustNext(*watch);
    ASSERT_EQ(std::get<event::Set>(event).value, Value(i));
  }
}

TEST(WatchTest, ClosingEndsAReaderThatWaits) {
  Client client(SharedServer().endpoint());
  Result<Watch> watch = client.Watch("w:close:");
  ASSERT_TRUE(watch.ok());
  std::promise<void> reading;
  std::thread reader([&] {
    for (const Event& event : *watch) {
      if (std::holds_alternative<event::Synced>(event)) reading.set_value();
    }
  });
  reading.get_future().wait();
  watch->Close();
  reader.join();
  EXPECT_TRUE(watch->status().ok()) << "it was asked for";
  EXPECT_EQ(watch->Next().status().code(), StatusCode::kClosed);
  watch->Close();
}

TEST(WatchTest, AClosedClientIsTold) {
  std::optional<Client> client(SharedServer().endpoint());
  Result<Watch> watch = client->Watch("w:closed-client:");
  ASSERT_TRUE(watch.ok());
  UntilSynced(*watch);
  client.reset();
  for ([[maybe_unused]] const Event& event : *watch) ADD_FAILURE() << InAWord(event);
  EXPECT_EQ(watch->status().code(), StatusCode::kClosed);
}

TEST(WatchTest, TheServerForgetsAWatchThatIsClosed) {
  ServerProcess server;
  Client client(server.endpoint());
  const auto watches = [&] { return client.Stats()->at("watches").AsInt().value(); };
  {
    Result<Watch> watch = client.Watch();
    ASSERT_TRUE(watch.ok());
    EXPECT_EQ(watches(), 1);
  }
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (watches() != 0 && std::chrono::steady_clock::now() < deadline) {
  }
  EXPECT_EQ(watches(), 0);
}

TEST(WatchTest, InAForkedChildItIsClosed) {
  Client client(SharedServer().endpoint());
  Result<Watch> watch = client.Watch("w:fork:", {.snapshot = false});
  ASSERT_TRUE(watch.ok());
  UntilSynced(*watch);
  const pid_t child = fork();
  if (child == 0) {
    const bool closed = watch->Next().status().code() == StatusCode::kClosed;
    watch->Close();
    _exit(closed && !watch->is_live() ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  ASSERT_TRUE(client.Set("w:fork:a", 1).ok());
  EXPECT_TRUE(std::holds_alternative<event::Set>(MustNext(*watch))) << "the parent's goes on";
}

TEST(WatchHealingTest, AfterARestartItGoesOnWhereItWas) {
  ServerProcess server("tcp://127.0.0.1:0", ServerProcess::Data::kFolder);
  Client client(server.endpoint());
  Result<Watch> watch = client.Watch();
  ASSERT_TRUE(watch.ok());
  UntilSynced(*watch);
  Copy copy;
  // A start over a folder takes seconds in a sanitizer's build.
  const int rounds = std::getenv("ENTREPOT_QUICK") != nullptr ? 1 : 3;
  for (int round = 0; round < rounds; ++round) {
    ASSERT_TRUE(client.Set("a", round).ok());
    ASSERT_TRUE(client.Set("round " + std::to_string(round), round).ok());
    server.Kill();
    server.Restart();
    while (copy.values().size() < static_cast<size_t>(round) + 2) {
      const Event event = MustNext(*watch);
      ASSERT_FALSE(std::holds_alternative<event::Resync>(event)) << InAWord(event);
      copy.Apply(event);
    }
    UntilSynced(*watch);
  }
  EXPECT_EQ(copy.values(), Contents(client, ""));
}

TEST(WatchHealingTest, AnEmptiedStoreIsSaidAndToldAnew) {
  ServerProcess server;
  Client client(server.endpoint());
  ASSERT_TRUE(client.Set("a", 1).ok());
  Result<Watch> watch = client.Watch();
  ASSERT_TRUE(watch.ok());
  UntilSynced(*watch);
  server.Kill();
  server.Restart();
  EXPECT_EQ(InWords(UntilSynced(*watch)), Words{"resync unknown_history"});
  EXPECT_TRUE(watch->is_live());
}

TEST(WatchHealingTest, SilenceIsNoticed) {
  ChaosProxy proxy(SharedServer().endpoint(), {}, 1);
  Client through(proxy.endpoint());
  Client direct(SharedServer().endpoint());
  Result<Watch> watch = through.Watch("w:silence:");
  ASSERT_TRUE(watch.ok());
  UntilSynced(*watch);
  proxy.SetStalled(true);
  const uint64_t version = direct.Set("w:silence:a", 1)->version;
  // The old connection stays open and would never tell: a new one is made in its place.
  EXPECT_EQ(watch->Next(milliseconds(3500)).status().code(), StatusCode::kTimeout);
  EXPECT_FALSE(watch->is_live());
  proxy.CutAll();
  proxy.SetStalled(false);
  EXPECT_EQ(InWords(UntilSynced(*watch)), Words{"set w:silence:a@" + std::to_string(version)});
}

TEST(WatchHealingTest, ThroughBadWeatherACopyEqualsTheStore) {
  const int rounds = std::getenv("ENTREPOT_NIGHTLY") != nullptr ? 30 : 3;
  for (int round = 0; round < rounds; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    const std::string prefix = "w:weather:" + std::to_string(round) + ":";
    ChaosProxy proxy(SharedServer().endpoint(), {.cut = 6, .delay = 3}, 100 + round);
    Client through(proxy.endpoint(), {.timeout_ms = 60'000, .retries = 200});
    Client direct(SharedServer().endpoint());
    Result<Watch> watch = through.Watch(prefix, {.credit = 16});
    ASSERT_TRUE(watch.ok()) << watch.status();
    std::atomic<bool> failed{false};
    std::thread writer([&] {
      for (int i = 0; i < 500; ++i) {
        const std::string key = prefix + std::to_string(i * 7 % 20);
        const bool deletes = i % 3 == 0;
        const Status status = deletes ? direct.Delete(key).status() : direct.Set(key, i).status();
        if (!status.ok()) failed = true;
      }
      if (!direct.Set(prefix + "last", "done").ok()) failed = true;
    });
    Copy copy;
    while (!copy.values().contains(prefix + "last") && !HasFailure()) copy.Apply(MustNext(*watch));
    writer.join();
    ASSERT_FALSE(failed);
    if (!watch->is_live()) {
      for (const Event& event : UntilSynced(*watch)) copy.Apply(event);
    }
    EXPECT_EQ(copy.values(), Contents(direct, prefix));
    EXPECT_GT(proxy.harmed(), 0) << "the weather was too good to test anything";
  }
}

TEST(ChangesTest, PageByPageUpToTheEnd) {
  Client client(SharedServer().endpoint());
  const ServerInfo hello = *client.Hello();
  Words expected;
  for (int i = 0; i < 25; ++i) {
    const uint64_t version = client.Set("c:pages:" + std::to_string(i), i)->version;
    expected.push_back("set c:pages:" + std::to_string(i) + "@" + std::to_string(version));
  }
  const Token since{hello.history, hello.version};
  Changes changes = client.Changes(since, "c:pages:", {.page_limit = 10});
  Words told;
  for (const Event& event : changes) told.push_back(InAWord(event));
  EXPECT_TRUE(changes.status().ok()) << changes.status();
  EXPECT_EQ(told, expected);
  Changes nothing = client.Changes(changes.token(), "c:pages:");
  EXPECT_EQ(nothing.begin(), nothing.end());

  const Result<ChangesPage> page =
      client.ChangesPage(since, "c:pages:", {.limit = 10, .values = false});
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_EQ(InWords(page->events), Words(expected.begin(), expected.begin() + 10));
  EXPECT_TRUE(page->more);
  EXPECT_TRUE(std::get<event::Set>(page->events[0]).value.is_nil());
}

TEST(ChangesTest, WaitingIsBesideTheTimeOfTheCall) {
  Client client(SharedServer().endpoint(), {.timeout_ms = 2000, .retries = 1});
  const ServerInfo hello = *client.Hello();
  const Token now{hello.history, hello.version};
  // Longer than an attempt without it may take.
  Changes quiet = client.Changes(now, "c:wait:", {.wait_ms = 1500});
  EXPECT_EQ(quiet.begin(), quiet.end());
  EXPECT_TRUE(quiet.status().ok()) << quiet.status();
  EXPECT_GE(quiet.token().revision, now.revision);

  std::future<Result<ChangesPage>> waiting =
      client.Start(request::ChangesPage(now, "c:wait:", {.wait_ms = 60'000}));
  ASSERT_TRUE(client.Set("c:wait:a", 1).ok()) << "it holds nothing back";
  EXPECT_EQ(waiting.get()->events.size(), 1U);
}

TEST(ChangesTest, WhatIsGoneIsSaid) {
  Client client(SharedServer().endpoint());
  Changes changes = client.Changes(Token{"0000000000000000", 1});
  EXPECT_EQ(changes.begin(), changes.end());
  EXPECT_EQ(changes.status().code(), StatusCode::kUnknownHistory);
}

TEST(TokenTest, ATokenIsATextAndBack) {
  const Token token{"0123456789abcdef", 9'007'199'254'740'991};
  EXPECT_EQ(*Token::FromString(token.ToString()), token);
  for (const std::string text : {"", "abc", ":5", "abc:", "abc:-1", "abc:5x", "5"}) {
    EXPECT_EQ(Token::FromString(text).status().code(), StatusCode::kInvalidArgument) << text;
  }
}

}  // namespace
}  // namespace entrepot
