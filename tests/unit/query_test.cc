// Queries: which forms are understood, what they match, and that what they match stands in their
// range.

#include "store/query.h"

#include <gtest/gtest.h>
#include <msgpack.hpp>

#include "store/entry.h"

namespace entrepot {
namespace {

template <typename T>
std::string Item(const T& value) {
  msgpack::sbuffer buffer;
  msgpack::pack(buffer, value);
  return {buffer.data(), buffer.size()};
}

std::string Map(const std::string& name, const std::string& operand) {
  return "\x81" + Item(name) + operand;
}

bool Matches(const std::string& query, const std::string& value) {
  const Result<Query> read = Query::Read(query);
  EXPECT_TRUE(read.ok()) << read.status().message();
  const bool matches = read->Matches(value);
  if (matches) {
    // Whoever walks the range meets it.
    Entry* const entry = Entry::New("key", value, 0);
    const IndexPlace place = *PlaceOf(IndexOrder::kByValue, *entry);
    const IndexRange range = read->Range();
    EXPECT_TRUE(!range.begin || !range.begin->IsBehind(place));
    EXPECT_TRUE(!range.end || range.end->IsBehind(place));
    Entry::Delete(entry);
  }
  return matches;
}

TEST(QueryTest, PrefixMatchesTextsThatBeginWithIt) {
  for (const std::string& query : {Item("blue"), Map("prefix", Item("blue"))}) {
    EXPECT_TRUE(Matches(query, Item("blue")));
    EXPECT_TRUE(Matches(query, Item("blueish")));
    EXPECT_FALSE(Matches(query, Item("blu")));
    EXPECT_FALSE(Matches(query, Item(7)));
  }
  EXPECT_TRUE(Matches(Item(""), Item("")));
}

TEST(QueryTest, PrefixBeyondTheIndexedBytesIsComparedWhole) {
  const std::string prefix(2000, 'p');
  EXPECT_TRUE(Matches(Item(prefix), Item(prefix + "!")));
  EXPECT_FALSE(Matches(Item(prefix), Item(std::string(1500, 'p'))));
}

TEST(QueryTest, EqualsComparesByValueNotByEncoding) {
  EXPECT_TRUE(Matches(Map("equals", Item(1)), Item(1.0)));
  EXPECT_TRUE(Matches(Map("equals", "\xd3" + std::string(8, '\0')), Item(-0.0)));
  EXPECT_TRUE(Matches(Map("equals", "\xc0"), "\xc0"));
  EXPECT_FALSE(Matches(Map("equals", Item(1)), Item("1")));
}

TEST(QueryTest, RangeIsHalfOpenAndRunsAcrossTypes) {
  const std::string range = "\x82" + Item("from") + Item(3) + Item("to") + Item("b");
  EXPECT_TRUE(Matches(range, Item(3)));
  EXPECT_TRUE(Matches(range, Item("a")));
  EXPECT_FALSE(Matches(range, Item(2)));
  EXPECT_FALSE(Matches(range, Item("b")));
  EXPECT_FALSE(Matches(range, Item(std::vector<int>{3})));
}

TEST(QueryTest, AnythingElseIsRefused) {
  const std::string empty_map = "\x80";
  for (const std::string& query :
       {Item(7), empty_map, std::string("\xc0"), Map("prefix", Item(1)), Map("near", Item(1)),
        Map("equals", Item(std::vector<int>{1})), Map("from", "\xd4\x01\x02"),
        "\x82" + Item("prefix") + Item("a") + Item("to") + Item("b"),
        "\x82" + Item("from") + Item(1) + Item("from") + Item(2)}) {
    EXPECT_EQ(Query::Read(query).status().code(), Code::kInvalidArgument);
  }
}

}  // namespace
}  // namespace entrepot
