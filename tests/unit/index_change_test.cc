#include "store/index_change.h"

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "unit/sample_values.h"

namespace entrepot {
namespace {

// Entries are told apart by their address only.
class FoldChangesTest : public testing::Test {
 protected:
  ~FoldChangesTest() override {
    for (Entry* const entry : entries_) Entry::Delete(entry);
  }

  Entry* NewEntry() { return entries_.emplace_back(Entry::New("k", "\xc0", 0)); }
  void Change(Entry* old_entry, Entry* new_entry) { changes_.push_back({old_entry, new_entry}); }
  void Fold() { FoldChanges(&changes_, &forgotten_); }
  void ExpectChanges(const std::vector<std::pair<Entry*, Entry*>>& expected) {
    std::vector<std::pair<Entry*, Entry*>> found;
    for (const IndexChange& change : changes_)
      found.emplace_back(change.old_entry, change.new_entry);
    EXPECT_EQ(found, expected);
  }

  std::deque<Entry*> entries_;
  std::atomic<size_t> allocated_bytes_{0};
  IndexChanges changes_{CountingAllocator<IndexChange>(&allocated_bytes_)};
  std::vector<Entry*> forgotten_;
};

TEST_F(FoldChangesTest, FirstOldAndLastNewRemain) {
  Entry* const first = NewEntry();
  Entry* const second = NewEntry();
  Entry* const third = NewEntry();
  Entry* const fourth = NewEntry();
  Change(first, second);
  Change(second, third);
  Change(third, fourth);
  Fold();
  ExpectChanges({{first, fourth}});
  EXPECT_EQ(forgotten_, (std::vector<Entry*>{second, third}));
}

TEST_F(FoldChangesTest, WhatCameAndWentLeavesNothing) {
  Entry* const only = NewEntry();
  Change(nullptr, only);
  Change(only, nullptr);
  Fold();
  ExpectChanges({});
  EXPECT_EQ(forgotten_, std::vector<Entry*>{only});
}

TEST_F(FoldChangesTest, DeletedAndSetAgainAreARemovalAndAnInsertion) {
  Entry* const before = NewEntry();
  Entry* const between = NewEntry();
  Entry* const after = NewEntry();
  Change(before, between);
  Change(between, nullptr);
  Change(nullptr, after);
  Fold();
  ExpectChanges({{before, nullptr}, {nullptr, after}});
  EXPECT_EQ(forgotten_, std::vector<Entry*>{between});
}

TEST_F(FoldChangesTest, FoldingTwiceIsFoldingOnce) {
  Entry* const first = NewEntry();
  Entry* const second = NewEntry();
  Entry* const third = NewEntry();
  Change(first, second);
  Change(nullptr, NewEntry());
  Fold();
  Change(second, third);
  Fold();
  ExpectChanges({{first, third}, {nullptr, entries_[3]}});
}

TEST_F(FoldChangesTest, AgreesWithApplyingOneByOne) {
  SampleValues samples(TestSeed());
  for (int round = 0; round < 200; ++round) {
    changes_.clear();
    forgotten_.clear();
    std::map<uint64_t, Entry*> present;  // By key.
    std::set<Entry*> before;
    for (uint64_t key = 0; key < 5; ++key) before.insert(present[key] = NewEntry());
    std::vector<Entry*> replaced;
    for (uint64_t i = samples.Below(60); i > 0; --i) {
      Entry*& entry = present[samples.Below(10)];
      Entry* const next = entry != nullptr && samples.Below(3) == 0 ? nullptr : NewEntry();
      if (entry != nullptr) replaced.push_back(entry);
      Change(entry, next);
      entry = next;
    }
    Fold();

    std::set<Entry*> after = before;
    for (const IndexChange& change : changes_) {
      if (change.old_entry == nullptr) continue;
      ASSERT_EQ(after.erase(change.old_entry), 1u) << "only what was there before is taken away";
      forgotten_.push_back(change.old_entry);
    }
    for (const IndexChange& change : changes_) {
      if (change.new_entry == nullptr) continue;
      ASSERT_TRUE(after.insert(change.new_entry).second);
    }
    std::set<Entry*> expected;
    for (const auto& [key, entry] : present) {
      if (entry != nullptr) expected.insert(entry);
    }
    EXPECT_EQ(after, expected);
    std::sort(forgotten_.begin(), forgotten_.end());
    std::sort(replaced.begin(), replaced.end());
    EXPECT_EQ(forgotten_, replaced) << "every old entry is given back exactly once";
  }
}

}  // namespace
}  // namespace entrepot
