// Mirrors: the table told what a watch might say, and the whole against a real server.

#include "entrepot/mirror.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "entrepot/client.h"
#include "mirror_table.h"
#include "server_process.h"

namespace entrepot {
namespace {

using testing::ServerProcess;
using testing::SharedServer;
using Clock = std::chrono::steady_clock;
using Words = std::vector<std::string>;

// Long enough for a sanitizer's build on a busy machine; reached only when a test fails.
constexpr std::chrono::seconds kPatience{60};
constexpr std::chrono::milliseconds kAskInterval{1};

bool WaitUntil(const std::function<bool()>& condition) {
  const Clock::time_point deadline = Clock::now() + kPatience;
  while (!condition()) {
    if (Clock::now() > deadline) return false;
    std::this_thread::sleep_for(kAskInterval);
  }
  return true;
}

// "a 1>2", with "-" for nothing.
std::string InAWord(const Difference& change) {
  const auto version = [](const std::optional<Entry>& entry) {
    return entry ? std::to_string(entry->version) : "-";
  };
  return change.key + " " + version(change.before) + ">" + version(change.after);
}

Words InWords(const std::vector<Difference>& changes) {
  Words words;
  for (const Difference& change : changes) words.push_back(InAWord(change));
  return words;
}

const Token kToken{"0123456789abcdef", 9};

TEST(MirrorTableTest, NothingIsShownBeforeTheSnapshotIsWhole) {
  MirrorTable table;
  EXPECT_TRUE(table.Apply({{event::Snapshot{"a", 1, 3}, event::Snapshot{"b", 1, 4}}, {}}).empty());
  EXPECT_FALSE(table.is_whole());
  EXPECT_TRUE(table.entries().empty());
  EXPECT_EQ(InWords(table.Apply({{event::Delete{"a", 5, 3}, event::Synced{kToken}}, kToken})),
            Words{"b ->4"});
  EXPECT_TRUE(table.is_whole());
  EXPECT_EQ(table.entries().size(), 1U);
}

TEST(MirrorTableTest, EveryKindOfChangeIsShown) {
  MirrorTable table;
  table.Apply({{event::Snapshot{"a", "kept", 1}, event::Snapshot{"b", 2, 2}, event::Synced{kToken}},
               kToken});
  EXPECT_EQ(InWords(table.Apply({{event::Touch{"a", 3, 1}, event::Set{"c", 3, 4, 0},
                                  event::Expired{"b", 5, 2}, event::Delete{"x", 6, 0}},
                                 kToken})),
            (Words{"a 1>3", "c ->4", "b 2>-"}));
  EXPECT_EQ(table.entries().at("a").value, Value("kept"));
}

TEST(MirrorTableTest, AfterAResyncOnlyWhatDiffersIsTold) {
  MirrorTable table;
  table.Apply({{event::Snapshot{"a", 1, 1}, event::Snapshot{"b", 2, 2}, event::Snapshot{"c", 3, 3},
                event::Synced{kToken}},
               kToken});
  EXPECT_TRUE(table
                  .Apply({{event::Resync{"unknown_history"}, event::Snapshot{"a", 1, 1},
                           event::Snapshot{"b", "other", 2}},
                          {}})
                  .empty());
  EXPECT_EQ(table.entries().size(), 3U) << "it shows what it had until the new one is whole";
  EXPECT_EQ(InWords(table.Apply({{event::Synced{kToken}}, kToken})), (Words{"c 3>-", "b 2>2"}));
  EXPECT_EQ(table.entries().size(), 2U);
}

TEST(MirrorTableTest, AnInterruptedSnapshotLeavesNothingBehind) {
  MirrorTable table;
  table.Apply(
      {{event::Snapshot{"a", 1, 1}, event::Resync{"interrupted"}, event::Synced{kToken}}, kToken});
  EXPECT_TRUE(table.entries().empty());
}

std::map<std::string, Value> Values(const Result<std::map<std::string, Entry>>& entries) {
  std::map<std::string, Value> values;
  EXPECT_TRUE(entries.ok()) << entries.status();
  if (!entries.ok()) return values;
  for (const auto& [key, entry] : *entries) values[key] = entry.value;
  return values;
}

TEST(MirrorTest, ItIsWholeAtOnceAndStaysCurrent) {
  Client client(SharedServer().endpoint());
  ASSERT_TRUE(client.Set("m:current:a", 1).ok());
  ASSERT_TRUE(client.Set("m:elsewhere", 1).ok());
  Words told;
  std::atomic<size_t> told_count{0};
  Result<Mirror> mirror = client.Mirror("m:current:", {.on_change = [&](const Difference& change) {
                                          told.push_back(InAWord(change));
                                          told_count.store(told.size());
                                        }});
  ASSERT_TRUE(mirror.ok()) << mirror.status();
  EXPECT_EQ(Values(mirror->Entries()), (std::map<std::string, Value>{{"m:current:a", 1}}));
  const uint64_t first = mirror->Get("m:current:a")->value().version;
  const uint64_t second = client.Set("m:current:a", 2)->version;
  ASSERT_TRUE(WaitUntil([&] { return told_count.load() == 2; }));
  EXPECT_EQ((**mirror->Get("m:current:a")).value, Value(2));
  EXPECT_EQ(mirror->token()->revision, second);
  EXPECT_FALSE(mirror->Get("m:elsewhere")->has_value());
  ASSERT_TRUE(client.Delete("m:current:a").ok());
  ASSERT_TRUE(WaitUntil([&] { return told_count.load() == 3; }));
  EXPECT_EQ(*mirror->size(), 0U);
  mirror->Close();
  EXPECT_EQ(mirror->size().status().code(), StatusCode::kClosed);
  const std::string a = "m:current:a ";
  EXPECT_EQ(told, (Words{a + "->" + std::to_string(first),
                         a + std::to_string(first) + ">" + std::to_string(second),
                         a + std::to_string(second) + ">-"}));
}

TEST(MirrorTest, ATransactionIsSeenWhole) {
  Client client(SharedServer().endpoint());
  ASSERT_TRUE(client.Set("m:pair:a", 0).ok());
  ASSERT_TRUE(client.Set("m:pair:b", 0).ok());
  Result<Mirror> mirror = client.Mirror("m:pair:");
  ASSERT_TRUE(mirror.ok());
  std::thread writer([&] {
    for (int i = 1; i <= 300; ++i) {
      Transaction both;
      both.Then(request::Set("m:pair:a", i)).Then(request::Set("m:pair:b", i));
      ASSERT_TRUE(client.Transact(both).ok());
    }
  });
  std::map<std::string, Value> seen;
  const bool came_to_the_end = WaitUntil([&] {
    seen = Values(mirror->Entries());
    EXPECT_EQ(seen["m:pair:a"], seen["m:pair:b"]);
    return seen["m:pair:a"] == Value(300);
  });
  writer.join();
  EXPECT_TRUE(came_to_the_end);
}

TEST(MirrorTest, AfterKillsAndRestartsItEqualsTheStore) {
  const int rounds = std::getenv("ENTREPOT_QUICK") != nullptr ? 1 : 3;
  ServerProcess server("tcp://127.0.0.1:0", ServerProcess::Data::kFolder);
  Client client(server.endpoint(), {.timeout_ms = 60'000, .connect_wait_ms = 60'000});
  Result<Mirror> mirror = client.Mirror();
  ASSERT_TRUE(mirror.ok());
  for (int round = 0; round < rounds; ++round) {
    std::atomic<bool> failed{false};
    std::thread writer([&] {
      for (int i = 0; i < 200; ++i) {
        const std::string key = std::to_string(i % 10);
        const bool deletes = i % 3 == 0;
        const Status written =
            deletes ? client.Delete(key).status() : client.Set(key, round * 1000 + i).status();
        if (!written.ok()) failed = true;
      }
    });
    server.Kill();
    server.Restart();
    writer.join();
    EXPECT_FALSE(failed) << "every write was sent again until it was answered";
    const std::string last = "round " + std::to_string(round);
    ASSERT_TRUE(client.Set(last, round).ok());
    ASSERT_TRUE(WaitUntil([&] { return mirror->Get(last)->has_value(); }));
    std::map<std::string, Value> stored;
    for (Entry& entry : client.Scan("")) stored[entry.key] = entry.value;
    EXPECT_EQ(Values(mirror->Entries()), stored);
    EXPECT_TRUE(WaitUntil([&] { return mirror->is_live(); }));
  }
}

TEST(MirrorTest, AnEmptiedStoreEmptiesIt) {
  ServerProcess server;
  Client client(server.endpoint());
  ASSERT_TRUE(client.Set("a", 1).ok());
  std::atomic<bool> gone{false};
  Result<Mirror> mirror = client.Mirror(
      "", {.on_change = [&](const Difference& change) { gone.store(!change.after); }});
  ASSERT_TRUE(mirror.ok());
  server.Kill();
  ASSERT_TRUE(WaitUntil([&] { return !mirror->is_live(); }));
  EXPECT_EQ(*mirror->size(), 1U) << "while the server is away it keeps what it has";
  server.Restart();
  EXPECT_TRUE(WaitUntil([&] { return gone.load(); }));
  EXPECT_EQ(*mirror->size(), 0U);
}

TEST(MirrorTest, ItsTokenMovesOnWhereNothingChanges) {
  Client client(SharedServer().endpoint());
  Result<Mirror> mirror = client.Mirror("m:quiet:");
  ASSERT_TRUE(mirror.ok());
  const uint64_t elsewhere = client.Set("m:elsewhere", 2)->version;
  EXPECT_TRUE(WaitUntil([&] { return mirror->token()->revision >= elsewhere; }));
}

TEST(MirrorTest, AnErrorEndsIt) {
  EXPECT_EQ(Client("tcp://127.0.0.1:1", {.connect_wait_ms = 50}).Mirror().status().code(),
            StatusCode::kUnreachable);
  std::optional<Client> client(SharedServer().endpoint());
  Result<Mirror> mirror = client->Mirror("m:end:");
  ASSERT_TRUE(mirror.ok());
  client.reset();
  EXPECT_TRUE(WaitUntil([&] { return !mirror->status().ok(); }));
  EXPECT_EQ(mirror->Get("a").status().code(), StatusCode::kClosed);
  EXPECT_EQ(mirror->token().status().code(), StatusCode::kClosed);
  EXPECT_FALSE(mirror->is_live());
}

}  // namespace
}  // namespace entrepot
