#include "store/ordered_index.h"

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "unit/indexed_entries.h"
#include "unit/sample_values.h"

namespace entrepot {
namespace {

using Visit = OrderedIndex::Visit;

class OrderedIndexTest : public testing::Test {
 protected:
  OrderedIndexTest() { participant_.Enter(); }
  ~OrderedIndexTest() override { participant_.Leave(); }

  void Set(std::string_view key, const SampleValue& value) {
    entries_.Set(key, value.encoded, &participant_);
    model_[std::string(key)] = value;
  }
  void Delete(std::string_view key) {
    entries_.Delete(key, &participant_);
    model_.erase(std::string(key));
  }
  void Build(IndexOrder order) { entries_.Build(order, &participant_); }
  void BuildBoth() {
    Build(IndexOrder::kByValue);
    Build(IndexOrder::kByKey);
  }

  // The keys of a range, by pages of `page_entries`; each goes on where the one before ended, by
  // way of what a cursor would hold.
  std::vector<std::string> Keys(IndexOrder order, IndexRange range, Direction direction,
                                uint32_t page_entries,
                                const std::function<bool(const Entry&)>& matches) {
    std::vector<std::string> keys;
    for (bool more = true; more;) {
      uint32_t looked_at = 0;
      ByteBuffer cursor_value;
      std::string cursor_key;
      const OrderedIndex::Page page = entries_.index(order).ReadPage(
          {range, direction}, &participant_, [] {},
          [&](const Entry& entry) {
            if (matches(entry)) keys.emplace_back(entry.key());
            if (++looked_at < page_entries) return Visit::kContinue;
            const IndexPlace place = *PlaceOf(order, entry);
            PackOrderedValue(&cursor_value, place.value);
            cursor_key = place.key;
            return Visit::kStop;
          });
      EXPECT_EQ(page.examined, looked_at);
      EXPECT_TRUE(looked_at == page_entries || !page.more);
      more = page.more;
      if (more) {
        range.ContinueBehind(direction, {*ReadOrderedValue(cursor_value.view()), cursor_key});
      }
    }
    return keys;
  }
  std::vector<std::string> Keys(IndexOrder order, const IndexRange& range,
                                Direction direction = Direction::kAscending) {
    return Keys(order, range, direction, kPageLimitMax, [](const Entry&) { return true; });
  }

  // The keys of what matches, in the order of the index, by sorting everything.
  std::vector<std::string> ModelKeys(const std::function<bool(const SampleValue&)>& matches,
                                     Direction direction) const {
    std::vector<std::pair<const SampleValue*, std::string>> found;
    for (const auto& [key, value] : model_) {
      if (value.ordered() && matches(value)) found.emplace_back(&value, key);
    }
    std::sort(found.begin(), found.end(), [](const auto& left, const auto& right) {
      const int values = CompareSamples(*left.first, *right.first, kIndexedBytes);
      return values != 0 ? values < 0 : left.second < right.second;
    });
    if (direction == Direction::kDescending) std::reverse(found.begin(), found.end());
    std::vector<std::string> keys;
    for (const auto& [value, key] : found) keys.push_back(key);
    return keys;
  }

  IndexedEntries entries_;
  Epochs::Participant participant_{&entries_.epochs()};
  std::map<std::string, SampleValue> model_;
};

TEST_F(OrderedIndexTest, FindsKeysByTheBeginningOfTheirValue) {
  Set("sky", SampleValues::String("blue"));
  Set("sea", SampleValues::String("blue-green"));
  Set("sun", SampleValues::String("yellow"));
  Build(IndexOrder::kByValue);
  EXPECT_EQ(Keys(IndexOrder::kByValue, IndexRange::WithPrefix("blue")),
            (std::vector<std::string>{"sky", "sea"}));
}

TEST_F(OrderedIndexTest, ChangeIsFoundByTheNextPage) {
  BuildBoth();
  Set("k", SampleValues::String("one"));
  EXPECT_EQ(Keys(IndexOrder::kByValue, IndexRange::WithPrefix("one")).size(), 1u);
  Set("k", SampleValues::String("two"));
  EXPECT_EQ(Keys(IndexOrder::kByValue, IndexRange::WithPrefix("one")).size(), 0u);
  EXPECT_EQ(Keys(IndexOrder::kByValue, IndexRange::WithPrefix("two")).size(), 1u);
  Set("k", SampleValues::Array());
  EXPECT_EQ(Keys(IndexOrder::kByValue, {}).size(), 0u);
  EXPECT_EQ(Keys(IndexOrder::kByKey, IndexRange::WithPrefix("k")).size(), 1u);
  Delete("k");
  EXPECT_EQ(Keys(IndexOrder::kByKey, {}).size(), 0u);
}

TEST_F(OrderedIndexTest, IsReadyWhenItWasBuilt) {
  EXPECT_FALSE(entries_.index(IndexOrder::kByKey).ready());
  Build(IndexOrder::kByKey);
  EXPECT_TRUE(entries_.index(IndexOrder::kByKey).ready());
}

TEST_F(OrderedIndexTest, PageEndsAtTheLargestNumberOfEntriesAndSaysWhetherThereIsMore) {
  for (uint32_t i = 0; i < kPageLimitMax + 1; ++i) Set(fmt::format("{}", i), SampleValues::Nil());
  Build(IndexOrder::kByValue);
  const auto page = [&](IndexRange range) {
    return entries_.index(IndexOrder::kByValue)
        .ReadPage(
            {std::move(range), Direction::kAscending}, &participant_, [] {},
            [](const Entry&) { return Visit::kContinue; });
  };
  EXPECT_EQ(page({}).examined, kPageLimitMax);
  EXPECT_TRUE(page({}).more);
  Delete("0");
  EXPECT_EQ(page({}).examined, kPageLimitMax);
  EXPECT_FALSE(page({}).more);
  EXPECT_EQ(page(IndexRange::WithPrefix("")).examined, 0u);
}

TEST_F(OrderedIndexTest, InstantIsBeforeTheFirstVisit) {
  Set("k", SampleValues::Nil());
  Build(IndexOrder::kByValue);
  std::string calls;
  entries_.index(IndexOrder::kByValue)
      .ReadPage(
          {{}, Direction::kAscending}, &participant_, [&] { calls += "instant "; },
          [&](const Entry&) {
            calls += "visit";
            return Visit::kContinue;
          });
  EXPECT_EQ(calls, "instant visit");
}

TEST_F(OrderedIndexTest, EveryReplacedEntryIsRetiredOnce) {
  for (int i = 0; i < 20; ++i) Set(fmt::format("{}", i), SampleValues::Unsigned(i));
  BuildBoth();
  const size_t before = participant_.waiting();
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 20; ++i) Set(fmt::format("{}", i), SampleValues::Unsigned(100 + round));
  }
  for (int i = 0; i < 10; ++i) Delete(fmt::format("{}", i));
  Set("came", SampleValues::Nil());
  Delete("came");
  EXPECT_EQ(participant_.waiting(), before) << "as long as an index has not forgotten them";
  Keys(IndexOrder::kByValue, {});
  EXPECT_EQ(participant_.waiting(), before) << "as long as the other has not";
  Keys(IndexOrder::kByKey, {});
  EXPECT_EQ(participant_.waiting(), before + 60 + 10 + 1);
}

TEST_F(OrderedIndexTest, WriterThatFillsAQueueAppliesIt) {
  Build(IndexOrder::kByKey);
  OrderedIndex& index = entries_.index(IndexOrder::kByKey);
  for (size_t i = 0; i + 1 < kQueueEntriesMax; ++i) Set("k", SampleValues::Unsigned(i));
  EXPECT_EQ(index.QueuedEntries(), kQueueEntriesMax - 1);
  EXPECT_EQ(index.size(), 0u);
  Set("k", SampleValues::Nil());
  EXPECT_EQ(index.QueuedEntries(), 0u);
  EXPECT_EQ(index.size(), 1u);
}

TEST_F(OrderedIndexTest, QueueIsFullByTheBytesOfTheEntriesThatItKeeps) {
  Build(IndexOrder::kByKey);
  OrderedIndex& index = entries_.index(IndexOrder::kByKey);
  const SampleValue large = SampleValues::Binary(std::string(kQueueBytesMax / 2, 'x'));
  Set("k", large);
  Set("k", large);
  EXPECT_EQ(index.QueuedEntries(), 2u);
  Set("k", SampleValues::Nil());
  EXPECT_EQ(index.QueuedEntries(), 0u);
}

TEST_F(OrderedIndexTest, QueuesThatWaitedSinceTheLastCallAreApplied) {
  Build(IndexOrder::kByKey);
  OrderedIndex& index = entries_.index(IndexOrder::kByKey);
  Set("k", SampleValues::Nil());
  index.ApplyQueuesLeftOver(&participant_);
  EXPECT_EQ(index.QueuedEntries(), 1u) << "it may have come just now";
  index.ApplyQueuesLeftOver(&participant_);
  EXPECT_EQ(index.QueuedEntries(), 0u);
  EXPECT_EQ(index.size(), 1u);

  // What a page has taken meanwhile was not left over.
  Set("k", SampleValues::Unsigned(1));
  index.ApplyQueuesLeftOver(&participant_);
  Keys(IndexOrder::kByKey, {});
  Set("k", SampleValues::Unsigned(2));
  index.ApplyQueuesLeftOver(&participant_);
  EXPECT_EQ(index.QueuedEntries(), 1u);
}

TEST_F(OrderedIndexTest, ChangesDuringTheBuildAreFoldedAndNotDropped) {
  Set("kept", SampleValues::String("before"));
  Set("deleted", SampleValues::Nil());
  OrderedIndex index(IndexOrder::kByValue);
  const uint32_t partition = 3;
  const uint64_t hash = uint64_t{partition} << 16;
  Entry* const first = Entry::New("k", SampleValues::Unsigned(0).encoded, 0);
  index.BeginBuild();
  index.AddFromStripe(std::vector<OrderedIndex::Hashed>{{hash, first}});
  Entry* last = first;
  const size_t before = participant_.waiting();
  constexpr size_t kChanges = 10 * kQueueEntriesMax;
  for (size_t i = 1; i <= kChanges; ++i) {
    Entry* const next = Entry::New("k", SampleValues::Unsigned(i).encoded, 0);
    last->Pin();
    index.LockQueue(partition);
    index.PushLocked(partition, last, next);
    index.UnlockQueue(partition);
    if (index.QueueFull(partition)) index.ApplyQueue(partition, &participant_);
    last = next;
  }
  EXPECT_GE(participant_.waiting() - before, kChanges / 2) << "they are not all kept to the end";
  EXPECT_LE(index.AllocatedBytes(), 8 * kQueueEntriesMax * sizeof(IndexChange));
  index.FinishBuild(&participant_);
  EXPECT_EQ(participant_.waiting() - before, kChanges);
  std::vector<const Entry*> found;
  index.ReadPage(
      {{}, Direction::kAscending}, &participant_, [] {},
      [&](const Entry& entry) {
        found.push_back(&entry);
        return Visit::kContinue;
      });
  EXPECT_EQ(found, std::vector<const Entry*>{last});
  Entry::Delete(last);
}

TEST_F(OrderedIndexTest, IndexThatIsDestroyedFreesWhatItsQueuesKept) {
  OrderedIndex index(IndexOrder::kByKey);
  Entry* const old = Entry::New("k", SampleValues::Nil().encoded, 0);
  old->Pin();
  index.LockQueue(0);
  index.PushLocked(0, old, nullptr);  // That it is freed, LeakSanitizer sees.
  index.UnlockQueue(0);
  EXPECT_EQ(index.QueuedEntries(), 1u);
}

TEST_F(OrderedIndexTest, AccountsForItsMemory) {
  constexpr size_t kEntries = 10'000;
  for (size_t i = 0; i < kEntries; ++i) Set(fmt::format("{}", i), SampleValues::Unsigned(i));
  BuildBoth();
  for (const IndexOrder order : {IndexOrder::kByValue, IndexOrder::kByKey}) {
    EXPECT_EQ(entries_.index(order).size(), kEntries);
    EXPECT_GE(entries_.index(order).AllocatedBytes(), kEntries * 16);
    EXPECT_LE(entries_.index(order).AllocatedBytes(), kEntries * 28);
  }
}

// --- Against a model ----------------------------------------------------------------------------

class OrderedIndexPropertyTest : public OrderedIndexTest {
 protected:
  // A range, what it is to the index and what it means.
  struct Query {
    std::string name;
    IndexRange range;
    std::function<bool(const SampleValue&)> matches;
    std::function<bool(const OrderedValue&)> entry_matches;
  };

  std::string AnyKey() { return fmt::format("{}{}", samples_.Below(3), samples_.Below(400)); }
  SampleValue AnyOrdered() {
    for (;;) {
      SampleValue value = samples_.Any();
      if (value.ordered()) return value;
    }
  }
  void AnyChange() {
    if (samples_.Below(4) == 0) {
      Delete(AnyKey());
    } else {
      Set(AnyKey(), samples_.Any());
    }
  }

  Query AnyQuery() {
    switch (samples_.Below(5)) {
      case 0:
        return {"all", {}, [](const auto&) { return true; }, [](const auto&) { return true; }};
      case 1: {
        const std::string prefix = samples_.TextContent();
        return {"prefix", IndexRange::WithPrefix(prefix),
                [=](const SampleValue& value) {
                  return value.type == SampleValue::kText && value.text.starts_with(prefix);
                },
                [=](const OrderedValue& value) { return value.text.starts_with(prefix); }};
      }
      case 2: {
        const SampleValue equal = AnyOrdered();
        return {"equals", IndexRange::EqualTo(*ReadOrderedValue(equal.encoded)),
                [=](const SampleValue& value) { return CompareSamples(value, equal) == 0; },
                [=](const OrderedValue& value) {
                  return CompareValues(value, *ReadOrderedValue(equal.encoded)) == 0;
                }};
      }
      default: {
        const bool open_below = samples_.Below(4) == 0, open_above = samples_.Below(4) == 0;
        const SampleValue from = AnyOrdered(), to = AnyOrdered();
        const auto bound = [](bool open, const SampleValue& value) {
          return open ? std::nullopt : ReadOrderedValue(value.encoded);
        };
        return {
            "between", IndexRange::Between(bound(open_below, from), bound(open_above, to)),
            [=](const SampleValue& value) {
              return (open_below || CompareSamples(value, from) >= 0) &&
                     (open_above || CompareSamples(value, to) < 0);
            },
            [=](const OrderedValue& value) {
              return (open_below || CompareValues(value, *ReadOrderedValue(from.encoded)) >= 0) &&
                     (open_above || CompareValues(value, *ReadOrderedValue(to.encoded)) < 0);
            }};
      }
    }
  }

  void ExpectAsTheModel(const Query& query, Direction direction, uint32_t page_entries) {
    const auto matches = [&](const Entry& entry) {
      const OrderedValue value = *ReadOrderedValue(entry.value());
      if (query.entry_matches(value)) return true;
      EXPECT_GE(value.text.size(), kIndexedBytes) << "only what is cut may be in vain";
      return false;
    };
    EXPECT_EQ(Keys(IndexOrder::kByValue, query.range, direction, page_entries, matches),
              ModelKeys(query.matches, direction))
        << query.name << (direction == Direction::kAscending ? " ascending" : " descending")
        << " by pages of " << page_entries;
  }

  void ExpectKeysAsTheModel(const std::string& prefix, Direction direction) {
    std::vector<std::string> expected;
    for (const auto& [key, value] : model_) {
      if (key.starts_with(prefix)) expected.push_back(key);
    }
    if (direction == Direction::kDescending) std::reverse(expected.begin(), expected.end());
    const uint32_t page_entries = 1 + static_cast<uint32_t>(samples_.Below(50));
    EXPECT_EQ(Keys(IndexOrder::kByKey, IndexRange::WithPrefix(prefix), direction, page_entries,
                   [](const Entry&) { return true; }),
              expected);
  }

  void CheckSomeQueries(int count) {
    for (int i = 0; i < count; ++i) {
      const Direction direction =
          samples_.Below(2) == 0 ? Direction::kAscending : Direction::kDescending;
      ExpectAsTheModel(AnyQuery(), direction, 1 + static_cast<uint32_t>(samples_.Below(40)));
      ExpectKeysAsTheModel(AnyKey().substr(0, samples_.Below(4)), direction);
    }
  }

  SampleValues samples_{TestSeed()};
};

TEST_F(OrderedIndexPropertyTest, EveryRangeAndDirectionAfterABulkLoad) {
  for (int i = 0; i < 1000; ++i) AnyChange();
  BuildBoth();
  CheckSomeQueries(300);
}

TEST_F(OrderedIndexPropertyTest, EveryRangeAndDirectionBetweenChanges) {
  BuildBoth();
  for (int round = 0; round < 150 && !HasFailure(); ++round) {
    for (uint64_t i = samples_.Below(30); i > 0; --i) AnyChange();
    CheckSomeQueries(3);
  }
}

TEST_F(OrderedIndexPropertyTest, ValuesThatBeginAlikeAndThenNoMore) {
  const std::string shared(30, 'a');
  for (int i = 0; i < 300; ++i) {
    Set(AnyKey(), SampleValues::String(shared + samples_.TextContent()));
  }
  BuildBoth();
  CheckSomeQueries(60);
  for (int round = 0; round < 60 && !HasFailure(); ++round) {
    Set(AnyKey(), SampleValues::String(shared.substr(0, 30 - round / 2) + samples_.TextContent()));
    CheckSomeQueries(2);
  }
}

}  // namespace
}  // namespace entrepot
