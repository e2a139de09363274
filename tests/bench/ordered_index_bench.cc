// What the ordered index costs: a page of ten hits, the application of a change, memory, building.
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "base/byte_buffer.h"
#include "base/hash.h"
#include "base/msgpack.h"
#include "store/epoch.h"
#include "store/ordered_index.h"

namespace entrepot {
namespace {

constexpr size_t kEntries = 1'000'000;

// A million entries with random values of 32 characters under random keys of 16, indexed by value.
class Corpus {
 public:
  Corpus() : participant_(&epochs_) {
    for (size_t i = 0; i < kEntries; ++i) {
      const std::string key = fmt::format("{:016x}", random_());
      entries_.push_back({HashKey(key, {1, 2}), NewEntry(key)});
    }
    participant_.Enter();
    index_.BeginBuild();
    index_.AddFromStripe(entries_);
    index_.FinishBuild(&participant_);
  }
  ~Corpus() {
    participant_.Leave();
    for (const auto& [hash, entry] : entries_) Entry::Delete(entry);
  }

  static Corpus& Get() {
    static const auto corpus = std::make_unique<Corpus>();
    return *corpus;
  }

  Entry* NewEntry(std::string_view key) {
    ByteBuffer value;
    PackString(&value, fmt::format("{:016x}{:016x}", random_(), random_()));
    return Entry::New(key, value.view(), 0);
  }
  // Gives some entry a new value, without applying the change.
  void Change() {
    auto& [hash, entry] = entries_[random_() % kEntries];
    Entry* const fresh = NewEntry(entry->key());
    entry->Pin();
    const uint32_t partition = OrderedIndex::PartitionOf(hash);
    index_.LockQueue(partition);
    index_.PushLocked(partition, entry, fresh);
    index_.UnlockQueue(partition);
    entry = fresh;
  }
  uint32_t Page(uint32_t entries, Direction direction) {
    const std::string prefix = fmt::format("{:06x}", random_() % (1 << 24));
    ByteBuffer value;
    PackString(&value, prefix);
    uint64_t bytes = 0;
    const std::optional<OrderedValue> from = ReadOrderedValue(value.view());
    const OrderedIndex::Page page = index_.ReadPage(
        {direction == Direction::kAscending ? IndexRange::Between(from, std::nullopt)
                                            : IndexRange::Between(std::nullopt, from),
         direction},
        &participant_, [] {},
        [&](const Entry& entry) {
          bytes += entry.value_size();
          return --entries > 0 ? OrderedIndex::Visit::kContinue : OrderedIndex::Visit::kStop;
        });
    benchmark::DoNotOptimize(bytes);
    return page.examined;
  }
  void ApplyAll() {
    for (uint32_t i = 0; i < kPartitions; ++i) index_.ApplyQueue(i, &participant_);
  }
  // A turn of the thread, so that what was replaced is freed.
  void EndTurn() {
    participant_.Leave();
    participant_.Enter();
  }
  OrderedIndex& index() { return index_; }

 private:
  Epochs epochs_;
  Epochs::Participant participant_;
  OrderedIndex index_{IndexOrder::kByValue};
  std::mt19937_64 random_{42};
  std::vector<OrderedIndex::Hashed> entries_;
};

void BM_PageOfHits(benchmark::State& state) {
  Corpus& corpus = Corpus::Get();
  for (auto _ : state) {
    corpus.Page(static_cast<uint32_t>(state.range(0)), Direction::kAscending);
  }
  state.counters["bytes_an_entry"] =
      static_cast<double>(corpus.index().AllocatedBytes()) / kEntries;
}
BENCHMARK(BM_PageOfHits)->Arg(1)->Arg(10)->Arg(100)->Arg(1000);

void BM_PageOfTenHitsBackwards(benchmark::State& state) {
  for (auto _ : state) Corpus::Get().Page(10, Direction::kDescending);
}
BENCHMARK(BM_PageOfTenHitsBackwards);

// Ten changes happen between two pages, as with 10,000 writes and 1,000 finds a second.
void BM_PageOfTenHitsAfterTenChanges(benchmark::State& state) {
  Corpus& corpus = Corpus::Get();
  for (auto _ : state) {
    state.PauseTiming();
    for (int i = 0; i < 10; ++i) corpus.Change();
    corpus.EndTurn();
    state.ResumeTiming();
    corpus.Page(10, Direction::kAscending);
  }
}
BENCHMARK(BM_PageOfTenHitsAfterTenChanges);

void BM_ApplyChanges(benchmark::State& state) {
  Corpus& corpus = Corpus::Get();
  for (auto _ : state) {
    state.PauseTiming();
    for (int64_t i = 0; i < state.range(0); ++i) corpus.Change();
    corpus.EndTurn();
    state.ResumeTiming();
    corpus.ApplyAll();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
  state.counters["bytes_an_entry"] =
      static_cast<double>(corpus.index().AllocatedBytes()) / kEntries;
}
BENCHMARK(BM_ApplyChanges)->Arg(8)->Arg(256)->Arg(8 * kQueueEntriesMax);

void BM_Build(benchmark::State& state) {
  Epochs epochs;
  Epochs::Participant participant(&epochs);
  participant.Enter();
  std::mt19937_64 random(7);
  std::vector<OrderedIndex::Hashed> entries;
  for (size_t i = 0; i < kEntries; ++i) {
    ByteBuffer value;
    PackString(&value, fmt::format("{:032x}", random()));
    entries.push_back({random(), Entry::New(fmt::format("{:016x}", random()), value.view(), 0)});
  }
  for (auto _ : state) {
    OrderedIndex index(IndexOrder::kByValue);
    index.BeginBuild();
    index.AddFromStripe(entries);
    index.FinishBuild(&participant);
  }
  for (const auto& [hash, entry] : entries) Entry::Delete(entry);
  participant.Leave();
}
BENCHMARK(BM_Build)->Unit(benchmark::kMillisecond)->Iterations(3);

}  // namespace
}  // namespace entrepot

BENCHMARK_MAIN();
