#include "store/index_range.h"

#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "unit/sample_values.h"

namespace entrepot {
namespace {

bool Contains(const IndexRange& range, const IndexPlace& place) {
  return (!range.begin || !range.begin->IsBehind(place)) &&
         (!range.end || range.end->IsBehind(place));
}

IndexPlace PlaceOfText(std::string_view text, std::string_view key) {
  return {OrderedValue::OfText(text.substr(0, kIndexedBytes)), key};
}

TEST(PrefixSuccessorTest, IsTheSmallestTextAboveAllThatBeginWithThePrefix) {
  EXPECT_EQ(PrefixSuccessor("ab"), "ac");
  EXPECT_EQ(PrefixSuccessor("a\xff"), "b");
  EXPECT_EQ(PrefixSuccessor("a\xff\xff\xff"), "b");
  EXPECT_EQ(PrefixSuccessor("\x7f"), "\x80");
  EXPECT_EQ(PrefixSuccessor(std::string("a\0", 2)), "a\x01");
  EXPECT_EQ(PrefixSuccessor("\xfe\xff"), "\xff");
}

TEST(PrefixSuccessorTest, NothingIsAboveBytesFfAndTheEmptyPrefix) {
  EXPECT_FALSE(PrefixSuccessor(""));
  EXPECT_FALSE(PrefixSuccessor("\xff"));
  EXPECT_FALSE(PrefixSuccessor(std::string(kIndexedBytes, '\xff')));
}

TEST(PrefixSuccessorTest, BoundsExactlyTheTextsThatBeginWithThePrefix) {
  SampleValues samples(TestSeed());
  for (int i = 0; i < 200'000; ++i) {
    const std::string prefix = samples.TextContent();
    std::string text = samples.TextContent();
    if (samples.Below(2) == 0) text = prefix + text;
    const std::optional<std::string> successor = PrefixSuccessor(prefix);
    const bool between = prefix <= text && (!successor || text < *successor);
    ASSERT_EQ(between, text.starts_with(prefix));
  }
}

class IndexRangeTest : public testing::Test {
 protected:
  // The place of a text beneath a key; views its arguments.
  static bool Holds(const IndexRange& range, std::string_view text, std::string_view key = "k") {
    return Contains(range, PlaceOfText(text, key));
  }
};

TEST_F(IndexRangeTest, EmptyPrefixHoldsAllTextsAndNothingElse) {
  const IndexRange range = IndexRange::WithPrefix("");
  EXPECT_TRUE(Holds(range, ""));
  EXPECT_TRUE(Holds(range, "\xff\xff"));
  EXPECT_FALSE(Contains(range, {*ReadOrderedValue("\x05"), "k"}));
  EXPECT_FALSE(Contains(range, {*ReadOrderedValue("\xc0"), "k"}));
}

TEST_F(IndexRangeTest, EqualToHoldsEveryKeyOfTheValueAndNoLongerText) {
  const IndexRange range = IndexRange::EqualTo(OrderedValue::OfText("ab"));
  EXPECT_TRUE(Holds(range, "ab", std::string(1, '\0')));
  EXPECT_TRUE(Holds(range, "ab", std::string(kKeyBytesMax, '\xff')));
  EXPECT_FALSE(Holds(range, std::string("ab\0", 3)));
  EXPECT_FALSE(Holds(range, "aa\xff"));
}

TEST_F(IndexRangeTest, BetweenHoldsFromAndNotTo) {
  const IndexRange range =
      IndexRange::Between(*ReadOrderedValue("\xc3"), OrderedValue::OfText("m"));  // true to "m"
  EXPECT_FALSE(Contains(range, {*ReadOrderedValue("\xc2"), "k"}));
  EXPECT_TRUE(Contains(range, {*ReadOrderedValue("\xc3"), "k"}));
  EXPECT_TRUE(Contains(range, {*ReadOrderedValue("\x07"), "k"}));
  EXPECT_TRUE(Holds(range, "lzzz"));
  EXPECT_FALSE(Holds(range, "m"));
}

TEST_F(IndexRangeTest, BoundsLongerThanWhatIsIndexedHoldAllThatMayMatch) {
  const std::string whole(kIndexedBytes, 'a');
  const std::string longer = whole + "m";
  EXPECT_TRUE(Holds(IndexRange::WithPrefix(longer), longer + "x"));
  EXPECT_TRUE(Holds(IndexRange::EqualTo(OrderedValue::OfText(longer)), longer));
  EXPECT_TRUE(Holds(IndexRange::Between(OrderedValue::OfText(longer), std::nullopt), longer));
  EXPECT_TRUE(Holds(IndexRange::Between(std::nullopt, OrderedValue::OfText(longer)), whole + "b"));
  // A bound of just what is indexed is exact.
  EXPECT_FALSE(Holds(IndexRange::Between(std::nullopt, OrderedValue::OfText(whole)), longer));
}

TEST_F(IndexRangeTest, WhatIsLeftBehindAPlaceIsWithoutIt) {
  const IndexPlace place = PlaceOfText("b", "k");
  IndexRange up = IndexRange::WithPrefix("");
  up.ContinueBehind(Direction::kAscending, place);
  EXPECT_FALSE(Holds(up, "b", "j"));
  EXPECT_FALSE(Holds(up, "b", "k"));
  EXPECT_TRUE(Holds(up, "b", std::string("k\0", 2)));
  IndexRange down = IndexRange::WithPrefix("");
  down.ContinueBehind(Direction::kDescending, place);
  EXPECT_TRUE(Holds(down, "b", "j"));
  EXPECT_FALSE(Holds(down, "b", "k"));
  EXPECT_FALSE(Holds(down, "b", std::string("k\0", 2)));
}

TEST(IndexPlaceTest, ByValueIsTheIndexedBytesOfTheValueThenTheKey) {
  const std::unique_ptr<Entry, void (*)(Entry*)> entry(
      Entry::New("k", SampleValues::String(std::string(kIndexedBytes + 5, 'v')).encoded, 0),
      Entry::Delete);
  const std::optional<IndexPlace> by_value = PlaceOf(IndexOrder::kByValue, *entry);
  ASSERT_TRUE(by_value);
  EXPECT_EQ(by_value->value.text, std::string(kIndexedBytes, 'v'));
  EXPECT_EQ(by_value->key, "k");
  const std::optional<IndexPlace> by_key = PlaceOf(IndexOrder::kByKey, *entry);
  ASSERT_TRUE(by_key);
  EXPECT_EQ(by_key->value.text, "k");
}

TEST(IndexPlaceTest, ByValueThereIsNoneForAnArrayByKeyThereIs) {
  const std::unique_ptr<Entry, void (*)(Entry*)> entry(
      Entry::New("k", SampleValues::Array().encoded, 0), Entry::Delete);
  EXPECT_FALSE(PlaceOf(IndexOrder::kByValue, *entry));
  EXPECT_TRUE(PlaceOf(IndexOrder::kByKey, *entry));
}

}  // namespace
}  // namespace entrepot
