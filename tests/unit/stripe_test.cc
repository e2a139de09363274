#include "store/stripe.h"

#include <limits>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace entrepot {
namespace {

constexpr HashSecret kSecret = {1, 2};

// One stripe, used as the store uses it: what was replaced is retired.
class StripeTest : public testing::Test {
 protected:
  StripeTest() { participant_.Enter(); }
  ~StripeTest() override { participant_.Leave(); }

  void Put(const std::string& key, const std::string& value, int64_t expires_at_ms = 0) {
    SpinLock lock(stripe_.mu, LockRank::kStripe);
    const uint64_t hash = HashKey(key, kSecret);
    Entry* const old = stripe_.Find(hash, key);
    stripe_.Put(hash, old, Entry::New(key, value, expires_at_ms), kSecret, &participant_);
    Retire(old);
  }
  bool Remove(const std::string& key, uint64_t revision) {
    SpinLock lock(stripe_.mu, LockRank::kStripe);
    const uint64_t hash = HashKey(key, kSecret);
    Entry* const old = stripe_.Find(hash, key);
    if (old == nullptr) return false;
    stripe_.Remove(hash, old, revision);
    Retire(old);
    return true;
  }
  const Entry* Find(const std::string& key) {
    SpinLock lock(stripe_.mu, LockRank::kStripe);
    return stripe_.Find(HashKey(key, kSecret), key);
  }
  std::map<std::string, std::string> All() {
    SpinLock lock(stripe_.mu, LockRank::kStripe);
    std::map<std::string, std::string> all;
    stripe_.ForEach([&](const Entry* entry) {
      EXPECT_TRUE(all.emplace(entry->key(), entry->value()).second) << "twice: " << entry->key();
    });
    EXPECT_EQ(all.size(), stripe_.size());
    return all;
  }
  std::vector<std::string> Expired(int64_t now_ms, uint32_t count = 1000) {
    SpinLock lock(stripe_.mu, LockRank::kStripe);
    std::vector<std::string> keys;
    stripe_.ForEachExpired(now_ms, count,
                           [&](const Entry* entry) { keys.emplace_back(entry->key()); });
    return keys;
  }
  int64_t NextExpiry() {
    SpinLock lock(stripe_.mu, LockRank::kStripe);
    return stripe_.next_expiry_ms();
  }
  size_t AllocatedBytes() {
    SpinLock lock(stripe_.mu, LockRank::kStripe);
    return stripe_.allocated_bytes();
  }
  uint64_t LastRemoval() {
    SpinLock lock(stripe_.mu, LockRank::kStripe);
    return stripe_.last_removal();
  }
  // The turn ends and another begins: what was retired may go.
  void NextTurn() {
    participant_.Leave();
    participant_.Enter();
  }

  Epochs epochs_;
  Epochs::Participant participant_{&epochs_};

 private:
  void Retire(Entry* old) {
    if (old == nullptr) return;
    participant_.Retire(old, old->allocated_bytes(),
                        [](void* entry) { Entry::Delete(static_cast<Entry*>(entry)); });
  }

  Stripe stripe_;
};

TEST_F(StripeTest, EmptyStripeFindsNothing) {
  EXPECT_EQ(Find("key"), nullptr);
  EXPECT_EQ(AllocatedBytes(), 0u);
  EXPECT_EQ(NextExpiry(), std::numeric_limits<int64_t>::max());
}

TEST_F(StripeTest, HoldsWhatAMapHolds) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  std::map<std::string, std::string> model;
  uint64_t revision = 0;
  for (int step = 0; step < 100'000; ++step) {
    // Phases that grow and phases that shrink.
    const bool grows = step / 20'000 % 2 == 0;
    const std::string key = "key" + std::to_string(random() % 5000);
    if (random() % 10 < (grows ? 7 : 3)) {
      const std::string value(random() % 100, static_cast<char>('a' + random() % 26));
      Put(key, value);
      model[key] = value;
    } else {
      ASSERT_EQ(Remove(key, ++revision), model.erase(key) == 1) << key;
    }
    const std::string other = "key" + std::to_string(random() % 5000);
    const Entry* const found = Find(other);
    const auto wanted = model.find(other);
    ASSERT_EQ(found != nullptr, wanted != model.end()) << other;
    if (found != nullptr) {
      ASSERT_EQ(found->value(), wanted->second);
    }
    if (step % 64 == 0) NextTurn();
  }
  EXPECT_EQ(All(), model);
}

TEST_F(StripeTest, RemembersItsLastRemoval) {
  Put("a", "1");
  EXPECT_EQ(LastRemoval(), 0u);
  Remove("a", 17);
  Put("a", "2");
  EXPECT_EQ(LastRemoval(), 17u);
}

TEST_F(StripeTest, ExpiredEntriesAreNamedOldestFirst) {
  Put("never", "value");
  Put("late", "value", 300);
  Put("early", "value", 100);
  Put("middle", "value", 200);
  EXPECT_EQ(NextExpiry(), 100);
  EXPECT_TRUE(Expired(99).empty());
  EXPECT_EQ(Expired(200), (std::vector<std::string>{"early", "middle"}));
  EXPECT_EQ(Expired(1000, /*count=*/1), std::vector<std::string>{"early"});
}

TEST_F(StripeTest, ReplacedAndRemovedEntriesDoNotExpire) {
  Put("a", "value", 100);
  Put("b", "value", 100);
  Put("a", "value", 500);
  Remove("b", 1);
  EXPECT_EQ(NextExpiry(), 500);
  Put("a", "value");
  EXPECT_TRUE(Expired(1000).empty());
}

TEST_F(StripeTest, MemoryIsThatOfWhatIsHeld) {
  for (int i = 0; i < 1000; ++i) Put("key" + std::to_string(i), std::string(100, 'v'));
  const size_t full = AllocatedBytes();
  EXPECT_GT(full, size_t{1000} * 110);
  EXPECT_LT(full, size_t{1000} * 200);
  for (int i = 0; i < 1000; ++i) Put("key" + std::to_string(i), std::string(100, 'w'));
  EXPECT_EQ(AllocatedBytes(), full);
  for (int i = 0; i < 1000; ++i) Remove("key" + std::to_string(i), 1);
  EXPECT_LT(AllocatedBytes(), size_t{1000} * 20);  // The table stays.
}

TEST_F(StripeTest, WhatWasReplacedStaysReadableUntilTheTurnEnds) {
  Epochs::Participant reader(&epochs_);
  reader.Enter();
  Put("key", "first");
  const Entry* const seen = Find("key");
  // Many more than a participant keeps before it looks for what may go.
  for (int i = 0; i < 1000; ++i) {
    Put("key", std::to_string(i));
    NextTurn();
  }
  EXPECT_EQ(seen->value(), "first");  // The address sanitizer knows whether it was freed.
  EXPECT_GE(participant_.waiting(), 1000u);
  reader.Leave();
  for (int i = 0; i < 1000; ++i) {
    Put("key", std::to_string(i));
    NextTurn();
  }
  EXPECT_LT(participant_.waiting(), 500u);
}

}  // namespace
}  // namespace entrepot
