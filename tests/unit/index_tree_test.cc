#include "store/index_tree.h"

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "unit/sample_values.h"

namespace entrepot {
namespace {

constexpr size_t kMany = 4096;

class IndexTreeTest : public testing::Test {
 protected:
  ~IndexTreeTest() override {
    for (Entry* const entry : entries_) Entry::Delete(entry);
  }

  Entry* NewEntry(std::string_view key, const SampleValue& value) {
    return entries_.emplace_back(Entry::New(key, value.encoded, 0));
  }
  Entry* NewText(std::string_view text) {
    return NewEntry(fmt::format("key{}", entries_.size()), SampleValues::String(text));
  }
  void Insert(Entry* entry) { Change(nullptr, entry); }
  void Change(Entry* old_entry, Entry* new_entry) {
    const IndexChange change{old_entry, new_entry};
    tree_.Apply({&change, 1});
  }
  // Texts with `prefix` in front of a number.
  std::vector<Entry*> ManyTexts(const std::string& prefix, size_t count) {
    std::vector<Entry*> texts;
    for (size_t i = 0; i < count; ++i) texts.push_back(NewText(prefix + fmt::format("{:08}", i)));
    return texts;
  }

  std::vector<const Entry*> Walk(const IndexRange& range, Direction direction) {
    std::vector<const Entry*> found;
    for (IndexTree::Walk walk = tree_.Begin(range, direction); !walk.Done(); walk.Advance()) {
      found.push_back(&walk.entry());
    }
    return found;
  }
  void ExpectInOrder(size_t count) {
    const std::vector<const Entry*> found = Walk({}, Direction::kAscending);
    ASSERT_EQ(found.size(), count);
    for (size_t i = 1; i < found.size(); ++i) {
      ASSERT_LT(ComparePlaces(*PlaceOf(IndexOrder::kByValue, *found[i - 1]),
                              *PlaceOf(IndexOrder::kByValue, *found[i])),
                0);
    }
  }

  std::deque<Entry*> entries_;
  std::atomic<size_t> allocated_bytes_{0};
  IndexTree tree_{IndexOrder::kByValue, &allocated_bytes_};
};

TEST_F(IndexTreeTest, EmptyTreeHasNothingToWalkThrough) {
  EXPECT_TRUE(Walk({}, Direction::kAscending).empty());
  EXPECT_TRUE(Walk({}, Direction::kDescending).empty());
  EXPECT_TRUE(Walk(IndexRange::WithPrefix("a"), Direction::kDescending).empty());
}

TEST_F(IndexTreeTest, WalksBothWaysThroughARange) {
  Entry* const a = NewText("a");
  Entry* const ab = NewText("ab");
  Entry* const b = NewText("b");
  tree_.Load(std::vector<Entry*>{b, ab, a});
  const IndexRange range = IndexRange::WithPrefix("a");
  EXPECT_EQ(Walk(range, Direction::kAscending), (std::vector<const Entry*>{a, ab}));
  EXPECT_EQ(Walk(range, Direction::kDescending), (std::vector<const Entry*>{ab, a}));
}

TEST_F(IndexTreeTest, RangeThatEndsBeforeItBeginsIsEmpty) {
  tree_.Load(ManyTexts("t", 20));
  const IndexRange range =
      IndexRange::Between(OrderedValue::OfText("t00000010"), OrderedValue::OfText("t00000005"));
  EXPECT_TRUE(Walk(range, Direction::kAscending).empty());
  EXPECT_TRUE(Walk(range, Direction::kDescending).empty());
}

TEST_F(IndexTreeTest, EntriesWithoutAPlaceAreLeftOut) {
  Entry* const text = NewText("a");
  Entry* const array = NewEntry("array", SampleValues::Array());
  tree_.Load(std::vector<Entry*>{array, text});
  EXPECT_EQ(tree_.size(), 1u);
  Change(array, nullptr);
  Change(text, NewEntry("k", SampleValues::Array()));
  EXPECT_EQ(tree_.size(), 0u);
}

TEST_F(IndexTreeTest, EntryOfTheSamePlaceTakesTheOldOnesPlace) {
  Entry* const before = NewEntry("k", SampleValues::String("a"));
  Entry* const after = NewEntry("k", SampleValues::Binary("a"));
  Insert(before);
  Change(before, after);
  EXPECT_EQ(Walk({}, Direction::kAscending), std::vector<const Entry*>{after});
}

TEST_F(IndexTreeTest, LoadSkipsWhatAllTextsShare) {
  tree_.Load(ManyTexts("https://example.org/", 100));
  EXPECT_EQ(tree_.shared_bytes(), std::string("https://example.org/000000").size());
  ExpectInOrder(100);
}

TEST_F(IndexTreeTest, PositionsBesideWhatIsSharedAreFound) {
  tree_.Load(ManyTexts("mmmm", 50));
  const auto count = [&](std::string_view from, std::string_view to) {
    const IndexRange range =
        IndexRange::Between(OrderedValue::OfText(from), OrderedValue::OfText(to));
    const size_t up = Walk(range, Direction::kAscending).size();
    EXPECT_EQ(Walk(range, Direction::kDescending).size(), up);
    return up;
  };
  EXPECT_EQ(count("", "z"), 50u);
  EXPECT_EQ(count("m", "n"), 50u);
  EXPECT_EQ(count("mm", "mmmn"), 50u);
  EXPECT_EQ(count("", "mm"), 0u);
  EXPECT_EQ(count("mmn", "z"), 0u);
  EXPECT_EQ(count("mmmm00000010", "mmmm00000020"), 10u);
}

TEST_F(IndexTreeTest, TextThatSharesLessMakesAllSkipAtMostHalf) {
  tree_.Load(ManyTexts(std::string(40, 'a'), 100));
  ASSERT_EQ(tree_.shared_bytes(), 46u);
  Insert(NewText(std::string(39, 'a') + "b"));
  EXPECT_EQ(tree_.shared_bytes(), 23u);
  Insert(NewText("aaaaaaaaaa!"));
  EXPECT_EQ(tree_.shared_bytes(), 10u);
  Insert(NewText("b"));
  EXPECT_EQ(tree_.shared_bytes(), 0u);
  ExpectInOrder(103);
}

TEST_F(IndexTreeTest, FewTextsEachSharingLessRecomputeTheHeadsAFewTimesOnly) {
  tree_.Load(std::vector<Entry*>{NewText(std::string(kIndexedBytes, 'a'))});
  ASSERT_EQ(tree_.shared_bytes(), kIndexedBytes);
  int recomputed = 0;
  for (size_t shared = kIndexedBytes - 1; shared > 0; --shared) {
    const size_t before = tree_.shared_bytes();
    Insert(NewText(std::string(shared, 'a') + "b"));
    if (tree_.shared_bytes() != before) ++recomputed;
    if (tree_.size() == 500) break;  // Sharing more is not looked for before this.
  }
  EXPECT_LE(recomputed, 10);
  ExpectInOrder(tree_.size());
}

TEST_F(IndexTreeTest, TreeThatGrowsFindsWhatIsSharedByItself) {
  Insert(NewEntry("n", SampleValues::Unsigned(7)));
  for (Entry* const entry : ManyTexts("sensors/", kMany)) Insert(entry);
  EXPECT_GE(tree_.shared_bytes(), std::string("sensors/").size());
  ExpectInOrder(kMany + 1);
}

TEST_F(IndexTreeTest, ManyEqualValuesAreOrderedByKey) {
  std::vector<Entry*> equal;
  for (size_t i = 0; i < 300; ++i) {
    equal.push_back(NewEntry(fmt::format("{:03}", (i * 7) % 300), SampleValues::Bool(true)));
  }
  tree_.Load(equal);
  const std::vector<const Entry*> found = Walk({}, Direction::kAscending);
  ASSERT_EQ(found.size(), 300u);
  for (size_t i = 0; i < 300; ++i) EXPECT_EQ(found[i]->key(), fmt::format("{:03}", i));
}

TEST_F(IndexTreeTest, AnEntryTakesAtMost40BytesHoweverTheTreeGrew) {
  SampleValues samples(TestSeed());
  for (size_t i = 0; i < kMany; ++i) Insert(NewText(fmt::format("{:x}", samples.Below(~0ull))));
  EXPECT_LE(allocated_bytes_, kMany * 40);
  std::atomic<size_t> loaded_bytes{0};
  IndexTree loaded(IndexOrder::kByValue, &loaded_bytes);
  loaded.Load(std::vector<Entry*>(entries_.begin(), entries_.end()));
  EXPECT_LE(loaded_bytes, kMany * 28);
}

}  // namespace
}  // namespace entrepot
