// The engine without a network: time, exact pages, and what the log is told.

#include "engine/engine.h"

#include <map>
#include <memory>
#include <random>
#include <set>

#include <gtest/gtest.h>

#include "base/msgpack.h"
#include "unit/held_log.h"

namespace entrepot {
namespace {

constexpr int64_t kNowMs = 1'700'000'000'000;
using Model = std::map<std::string, std::string>;  // Text by key.

std::string Text(std::string_view text) {
  ByteBuffer packed;
  PackString(&packed, text);
  return std::string(packed.view());
}

std::string TextOf(const Entry& entry) {
  MsgpackReader reader(entry.value());
  Token token;
  EXPECT_TRUE(reader.Next(&token) && token.IsText());
  return std::string(token.bytes);
}

// What one thread does with the engine.
class Client {
 public:
  explicit Client(Engine* engine) : engine_(*engine), thread_(&engine->store()) {}

  OperationResult Set(const std::string& key, const std::string& text, int64_t ttl_ms = 0) {
    const std::string value = Text(text);
    return Run({.method = Method::kSet, .key = key, .value = value, .ttl_ms = ttl_ms});
  }
  OperationResult Delete(const std::string& key) {
    return Run({.method = Method::kDelete, .key = key});
  }
  OperationResult Append(const std::string& key, const std::string& text) {
    const std::string value = Text(text);
    return Run({.method = Method::kAppend, .key = key, .value = value});
  }
  std::optional<std::string> Get(const std::string& key, uint64_t* waits_for = nullptr) {
    std::optional<std::string> text;
    Gate gate;
    engine_.EnterTurn(&thread_);
    engine_.Get(&thread_, engine_.store().Hash(key), key, &gate, [&](const Entry* entry, int64_t) {
      if (entry != nullptr) text = TextOf(*entry);
    });
    engine_.LeaveTurn(&thread_);
    if (waits_for != nullptr) *waits_for = gate.open;
    return text;
  }
  // All entries by a walk through the index, page by page.
  Model Walk(IndexOrder order) {
    Model all;
    OrderedIndex::PageRequest request{IndexRange::WithPrefix(""), Direction::kAscending};
    for (bool more = true; more;) {
      engine_.EnterTurn(&thread_);
      Gate gate;
      Model shown;
      const Result<Engine::Page> page =
          engine_.ReadPage(&thread_, order, request, &gate, [&](const Entry& entry) {
            EXPECT_TRUE(shown.emplace(entry.key(), TextOf(entry)).second) << entry.key();
            return OrderedIndex::Visit::kContinue;
          });
      // Between two pages an entry may have moved to a place that is still to come.
      for (const auto& [key, text] : shown) all[key] = text;
      // A build that takes longer than the wait is asked for again.
      more = page.ok() ? page->more : page.status().code() == Code::kOverloaded;
      if (page.ok() && more) {
        request.range.ContinueBehind(Direction::kAscending, *PlaceOf(order, *page->last));
      }
      engine_.LeaveTurn(&thread_);
    }
    return all;
  }

 private:
  OperationResult Run(Operation operation) {
    operation.hash = engine_.store().Hash(operation.key);
    OperationResult result;
    Gate gate;
    engine_.EnterTurn(&thread_);
    const Status status = engine_.Write(&thread_, operation, nullptr, SIZE_MAX, &result, &gate);
    engine_.LeaveTurn(&thread_);
    EXPECT_TRUE(status.ok()) << status.message();
    EXPECT_GE(gate.open, result.version);
    return result;
  }

  Engine& engine_;
  EngineThread thread_;
};

class EngineTest : public testing::Test {
 protected:
  EngineTest() { Restart(); }

  // A new engine, empty.
  void Restart(bool ready = true) {
    client_.reset();
    engine_.reset();
    log_ = std::make_unique<HeldLog>();
    engine_ = std::make_unique<Engine>(Engine::Options{.stripes = 64}, log_.get(), clock_, [] {});
    client_ = std::make_unique<Client>(engine_.get());
    if (ready) engine_->SetReady();
  }
  // What the store holds, seen without an index.
  Model All() {
    Model all;
    for (uint32_t number = 0; number < engine_->store().stripes(); ++number) {
      engine_->store().ForEach(
          number, [&](const Entry* entry) { all[std::string(entry->key())] = TextOf(*entry); });
    }
    return all;
  }

  ManualClock clock_{kNowMs};
  std::unique_ptr<HeldLog> log_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<Client> client_;
};

// --- Time -------------------------------------------------------------------------------------

TEST_F(EngineTest, EntryIsUnreadableFromItsExpiryOn) {
  client_->Set("key", "value", /*ttl_ms=*/1000);
  clock_.Advance(999);
  EXPECT_EQ(client_->Get("key"), "value");
  clock_.Advance(1);
  EXPECT_EQ(client_->Get("key"), std::nullopt);
}

TEST_F(EngineTest, ExpiredEntriesStayExpiredWhenTheClockStepsBack) {
  client_->Set("key", "value", /*ttl_ms=*/1000);
  clock_.Advance(1000);
  EXPECT_EQ(client_->Get("key"), std::nullopt);
  clock_.Advance(-3'600'000);
  EXPECT_EQ(client_->Get("key"), std::nullopt);
  EXPECT_EQ(engine_->NowMs(), kNowMs + 1000);
}

TEST_F(EngineTest, ExpiredEntriesAreRemovedWithoutBeingMet) {
  constexpr int kEntries = 10'000;
  for (int i = 0; i < kEntries; ++i) client_->Set("key" + std::to_string(i), "value", 1000);
  EXPECT_EQ(engine_->expired_entries(), 0u);
  clock_.Advance(1000);
  ASSERT_TRUE(Eventually([&] { return engine_->expired_entries() == kEntries; }));
  EXPECT_EQ(engine_->store().CountTotals().entries, 0u);
  EXPECT_EQ(engine_->committer().last_revision(), uint64_t{2 * kEntries});
}

TEST_F(EngineTest, ExpiryStandsInTheLogBeforeTheWriteThatMeetsIt) {
  client_->Set("key", "old", /*ttl_ms=*/1000);
  clock_.Advance(1000);
  EXPECT_EQ(client_->Set("key", "new").outcome, Outcome::kCreated);
  ASSERT_TRUE(Eventually([&] { return log_->kept().size() == 3; }));
  const std::vector<HeldLog::Kept> kept = log_->kept();  // What `read` views.
  const auto change = [&](size_t i) {
    std::string_view payload = kept[i].payload;
    RetryOutcome outcome;
    bool present = true;
    Change read{};
    EXPECT_TRUE(TakeOutcome(&payload, &outcome, &present) && !present);
    EXPECT_TRUE(TakeChange(&payload, &read) && payload.empty());
    return read;
  };
  EXPECT_EQ(change(1).op, ChangeOp::kDelete);
  EXPECT_EQ(change(1).cause, Cause::kExpired);
  EXPECT_EQ(change(1).previous_version, 1u);
  EXPECT_EQ(change(2).op, ChangeOp::kSet);
  EXPECT_EQ(change(2).cause, Cause::kClient);
  EXPECT_EQ(change(2).previous_version, 0u);
}

// Were the change lost that gave the entry its time, something else would be there.
TEST_F(EngineTest, WhatTimeHasTakenWaitsForTheChangeThatSetTheTime) {
  Restart(/*ready=*/false);  // Nothing is removed in the background.
  client_->Set("key", "value", /*ttl_ms=*/1000);
  uint64_t waits_for = 0;
  EXPECT_EQ(client_->Get("key", &waits_for), "value");
  EXPECT_EQ(waits_for, 1u);
  clock_.Advance(1000);
  EXPECT_EQ(client_->Get("key", &waits_for), std::nullopt);
  EXPECT_EQ(waits_for, 1u);
}

// --- Pages ------------------------------------------------------------------------------------

TEST_F(EngineTest, PageShowsEveryWriteBeforeIt) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  Model model;
  for (int page = 0; page < 300; ++page) {
    for (uint64_t writes = random() % 30; writes > 0; --writes) {
      const std::string key = "key" + std::to_string(random() % 100);
      const std::string text = "text" + std::to_string(random() % 20);
      switch (random() % 4) {
        case 0:
          client_->Delete(key);
          model.erase(key);
          break;
        case 1:
          client_->Append(key, text);
          model[key] += text;
          break;
        default:
          client_->Set(key, text);
          model[key] = text;
      }
    }
    ASSERT_EQ(client_->Walk(IndexOrder::kByValue), model) << "page " << page;
    ASSERT_EQ(client_->Walk(IndexOrder::kByKey), model) << "page " << page;
  }
}

TEST_F(EngineTest, PageShowsOneKeyThatChangesManyTimesBetween) {
  client_->Set("key", "first");
  EXPECT_EQ(client_->Walk(IndexOrder::kByValue).size(), 1u);
  for (int round = 0; round < 200; ++round) {
    const std::string last = "round" + std::to_string(round);
    for (int i = 0; i < 20; ++i) client_->Set("key", "text" + std::to_string(i));
    if (round % 2 == 0) client_->Delete("key");
    client_->Set("key", last);
    ASSERT_EQ(client_->Walk(IndexOrder::kByValue), (Model{{"key", last}}));
  }
}

TEST_F(EngineTest, IndexThatIsBuiltWhileOthersWriteIsExact) {
  for (int round = 0; round < 5; ++round) {
    Restart();
    for (int i = 0; i < 5000; ++i) client_->Set("key" + std::to_string(i), "before");
    std::atomic<bool> done{false};
    std::vector<std::thread> writers;
    for (int writer = 0; writer < 2; ++writer) {
      writers.emplace_back([&, writer] {
        Client client(engine_.get());
        std::mt19937_64 random(static_cast<uint64_t>(writer));
        for (int i = 0; !done || i < 1000; ++i) {
          const std::string key = "key" + std::to_string(random() % 6000);
          i % 3 == 0 ? client.Delete(key) : client.Set(key, "text" + std::to_string(i));
        }
      });
    }
    client_->Walk(IndexOrder::kByValue);
    client_->Walk(IndexOrder::kByKey);
    done = true;
    for (std::thread& writer : writers) writer.join();
    const Model all = All();
    ASSERT_EQ(client_->Walk(IndexOrder::kByValue), all) << "round " << round;
    ASSERT_EQ(client_->Walk(IndexOrder::kByKey), all) << "round " << round;
  }
}

TEST_F(EngineTest, OwnWriteIsInTheNextPageWhateverOthersDo) {
  client_->Walk(IndexOrder::kByValue);
  std::atomic<bool> done{false};
  std::thread other([&] {
    Client client(engine_.get());
    for (int i = 0; !done; ++i) client.Set("other" + std::to_string(i % 50), std::to_string(i));
  });
  for (int i = 0; i < 200; ++i) {
    const std::string key = "own" + std::to_string(i % 7), text = "text" + std::to_string(i);
    client_->Set(key, text);
    const Model page = client_->Walk(IndexOrder::kByValue);
    const auto found = page.find(key);
    EXPECT_TRUE(found != page.end() && found->second == text) << "write " << i;
  }
  done = true;
  other.join();
}

}  // namespace
}  // namespace entrepot
