// Pages that are read while others write: each is held against what the store was at the revision
// that the page names, which the writers' history tells.
#include <algorithm>
#include <atomic>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "store/ordered_index.h"
#include "unit/indexed_entries.h"
#include "unit/sample_values.h"

namespace entrepot {
namespace {

constexpr int kWriters = 2;
constexpr int kReaders = 2;
constexpr int kWritesOfOne = 15'000;
constexpr size_t kPagesOfOne = 300;  // At least.
constexpr int kKeys = 400;

// What a reader asked, and what it got.
struct ReadPage {
  uint64_t revision = 0;
  IndexOrder order;
  Direction direction;
  std::string prefix;
  bool texts_only;  // Otherwise the range is everything.
  uint32_t limit;
  std::vector<std::pair<std::string, uint64_t>> found;  // Key and version.
  bool more = false;
};

class OrderedIndexConcurrencyTest : public testing::Test {
 protected:
  void Write(uint64_t seed) {
    SampleValues samples(seed);
    Epochs::Participant participant(&entries_.epochs());
    for (int i = 0; i < kWritesOfOne; ++i) {
      participant.Enter();
      const std::string key = fmt::format("k{}", samples.Below(kKeys));
      if (samples.Below(5) == 0) {
        entries_.Delete(key, &participant);
      } else {
        entries_.Set(key, samples.Any().encoded, &participant);
      }
      participant.Leave();
    }
    --writers_;
  }

  void Read(uint64_t seed, std::vector<ReadPage>* pages) {
    SampleValues samples(seed);
    Epochs::Participant participant(&entries_.epochs());
    while (pages->size() < kPagesOfOne || writers_ > 0) {
      ReadPage page;
      page.order = samples.Below(2) == 0 ? IndexOrder::kByValue : IndexOrder::kByKey;
      if (!entries_.index(page.order).ready()) {
        std::this_thread::yield();
        continue;
      }
      page.direction = samples.Below(2) == 0 ? Direction::kAscending : Direction::kDescending;
      page.texts_only = samples.Below(2) == 0;
      page.prefix = page.order == IndexOrder::kByKey ? fmt::format("k{}", samples.Below(20))
                                                     : samples.TextContent().substr(0, 3);
      page.limit = 1 + static_cast<uint32_t>(samples.Below(100));
      participant.Enter();
      page.more = entries_.index(page.order)
                      .ReadPage(
                          {RangeOf(page), page.direction}, &participant,
                          [&] { page.revision = entries_.LastRevision(); },
                          [&](const Entry& entry) {
                            page.found.emplace_back(entry.key(), entry.version());
                            return page.found.size() < page.limit ? OrderedIndex::Visit::kContinue
                                                                  : OrderedIndex::Visit::kStop;
                          })
                      .more;
      participant.Leave();
      pages->push_back(std::move(page));
    }
  }

  // Applies what waits, as the server's background thread does.
  void ApplyLeftOver() {
    Epochs::Participant participant(&entries_.epochs());
    while (writers_ > 0) {
      participant.Enter();
      for (const IndexOrder order : {IndexOrder::kByValue, IndexOrder::kByKey}) {
        entries_.index(order).ApplyQueuesLeftOver(&participant);
      }
      participant.Leave();
      std::this_thread::yield();
    }
  }

  void Build(IndexOrder order) {
    Epochs::Participant participant(&entries_.epochs());
    participant.Enter();
    entries_.Build(order, &participant);
    participant.Leave();
  }

  static IndexRange RangeOf(const ReadPage& page) {
    return page.texts_only ? IndexRange::WithPrefix(page.prefix) : IndexRange{};
  }

  IndexedEntries entries_;
  std::atomic<int> writers_{0};
};

// The store as it was at a revision, by going through the history once.
class Replay {
 public:
  explicit Replay(const std::vector<IndexedEntries::Change>& history) : history_(history) {}

  void GoTo(uint64_t revision) {
    for (; revision_ < revision; ++revision_) {
      const IndexedEntries::Change& change = history_[revision_];
      if (change.value) {
        present_[change.key] = {*change.value, revision_ + 1};
      } else {
        present_.erase(change.key);
      }
    }
  }

  // Everything that `page` should have come to if it had no limit.
  std::vector<std::pair<std::string, uint64_t>> Matches(const ReadPage& page) const {
    struct Match {
      OrderedValue value;
      std::string_view key;
      uint64_t version;
    };
    std::vector<Match> matches;
    for (const auto& [key, entry] : present_) {
      const auto& [encoded, version] = entry;
      const std::optional<OrderedValue> value =
          page.order == IndexOrder::kByKey ? OrderedValue::OfText(key) : ReadOrderedValue(encoded);
      if (!value) continue;
      const bool is_text = value->type == OrderedValue::Class::kText;
      if (page.texts_only && !(is_text && value->text.starts_with(page.prefix))) continue;
      matches.push_back({*value, key, version});
      if (is_text) matches.back().value.text = value->text.substr(0, kIndexedBytes);
    }
    std::sort(matches.begin(), matches.end(), [&](const Match& left, const Match& right) {
      const int values = CompareValues(left.value, right.value);
      return values != 0 ? values < 0 : left.key < right.key;
    });
    if (page.direction == Direction::kDescending) std::reverse(matches.begin(), matches.end());
    std::vector<std::pair<std::string, uint64_t>> found;
    for (const Match& match : matches) found.emplace_back(match.key, match.version);
    return found;
  }

 private:
  const std::vector<IndexedEntries::Change>& history_;
  uint64_t revision_ = 0;
  std::map<std::string, std::pair<std::string, uint64_t>> present_;
};

TEST_F(OrderedIndexConcurrencyTest, PageIsExactlyTheStoreAtItsRevisionWhileOthersWriteAndBuild) {
  const uint64_t seed = TestSeed();
  writers_ = kWriters;
  std::vector<std::vector<ReadPage>> read(kReaders);
  std::vector<std::thread> threads;
  for (int i = 0; i < kWriters; ++i) threads.emplace_back([=, this] { Write(seed + i); });
  for (int i = 0; i < kReaders; ++i) {
    threads.emplace_back([=, this, &read] { Read(seed + 100 + i, &read[i]); });
  }
  threads.emplace_back([this] { ApplyLeftOver(); });
  while (entries_.LastRevision() < kWritesOfOne / 10) std::this_thread::yield();
  Build(IndexOrder::kByValue);
  Build(IndexOrder::kByKey);
  for (std::thread& thread : threads) thread.join();

  std::vector<ReadPage> pages;
  for (std::vector<ReadPage>& some : read)
    std::move(some.begin(), some.end(), std::back_inserter(pages));
  ASSERT_GT(pages.size(), 0u);
  std::sort(pages.begin(), pages.end(), [](const ReadPage& left, const ReadPage& right) {
    return left.revision < right.revision;
  });
  Replay replay(entries_.History());
  for (const ReadPage& page : pages) {
    replay.GoTo(page.revision);
    auto expected = replay.Matches(page);
    EXPECT_EQ(page.more, expected.size() > page.limit);
    if (expected.size() > page.limit) expected.resize(page.limit);
    ASSERT_EQ(page.found, expected) << "at revision " << page.revision;
  }
}

TEST_F(OrderedIndexConcurrencyTest, WritersThatFillQueuesApplyThemAndLoseNothing) {
  Build(IndexOrder::kByValue);
  Build(IndexOrder::kByKey);
  constexpr int kWritesOfEach = 6 * kQueueEntriesMax;
  std::vector<std::thread> threads;
  for (int writer = 0; writer < kWriters; ++writer) {
    threads.emplace_back([writer, this] {
      Epochs::Participant participant(&entries_.epochs());
      for (int i = 0; i < kWritesOfEach; ++i) {
        participant.Enter();
        // Few keys of each writer's own: they fill few partitions, so queues fill up.
        entries_.Set(fmt::format("{}-{}", writer, i % 3),
                     SampleValues::Unsigned(static_cast<uint64_t>(i)).encoded, &participant);
        participant.Leave();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(entries_.index(IndexOrder::kByKey).size(), 0u) << "no queue was applied by a writer";

  Epochs::Participant participant(&entries_.epochs());
  participant.Enter();
  std::vector<std::string> keys;
  entries_.index(IndexOrder::kByKey)
      .ReadPage(
          {{}, Direction::kAscending}, &participant, [] {},
          [&](const Entry& entry) {
            keys.emplace_back(entry.key());
            return OrderedIndex::Visit::kContinue;
          });
  participant.Leave();
  EXPECT_EQ(keys, (std::vector<std::string>{"0-0", "0-1", "0-2", "1-0", "1-1", "1-2"}));
}

}  // namespace
}  // namespace entrepot
