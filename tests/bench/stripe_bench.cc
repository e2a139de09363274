// What a look-up and a replacement cost among a million entries: one by one, and in batches whose
// memory is fetched ahead.
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "base/msgpack.h"
#include "store/store.h"

namespace entrepot {
namespace {

constexpr size_t kEntries = 1'000'000;
constexpr size_t kQuestions = 1 << 16;  // Keys asked for, in an order of their own.

class Corpus {
 public:
  Corpus() : store_(kStripesDefault), participant_(&store_.epochs()) {
    participant_.Enter();
    std::vector<std::string> keys;
    for (size_t i = 0; i < kEntries; ++i) {
      keys.push_back(fmt::format("{:016x}", random_()));
      Put(keys.back());
    }
    for (size_t i = 0; i < kQuestions; ++i) {
      const std::string& key = keys[random_() % kEntries];
      questions_.push_back({store_.Hash(key), key});
    }
    participant_.Leave();
  }

  struct Question {
    uint64_t hash;
    std::string key;
  };

  static Corpus& Get() {
    static const auto corpus = std::make_unique<Corpus>();
    return *corpus;
  }
  Store& store() { return store_; }
  Epochs::Participant& participant() { return participant_; }
  // A run of `count` questions, another one each time.
  const Question* Ask(size_t count) {
    if (next_ + count > kQuestions) next_ = 0;
    next_ += count;
    return &questions_[next_ - count];
  }

  void Put(const std::string& key) {
    const uint64_t hash = store_.Hash(key);
    Entry* const fresh = Entry::New(key, value_.view(), 0);
    fresh->set_version(++version_);
    Store::Locked locked(&store_, &participant_, {&hash, 1});
    Entry* const old = locked.Find(hash, key);
    locked.LockQueues({&hash, 1});
    locked.Put(hash, old, fresh);
  }

 private:
  static ByteBuffer Value() {
    ByteBuffer value;
    PackString(&value, std::string(32, 'v'));
    return value;
  }

  std::mt19937_64 random_{1};
  const ByteBuffer value_ = Value();
  uint64_t version_ = 0;
  Store store_;
  Epochs::Participant participant_;
  std::vector<Question> questions_;
  size_t next_ = 0;
};

size_t Read(Store* store, const Corpus::Question& question) {
  size_t bytes = 0;
  store->Read(question.hash, question.key, [&](const Entry* entry, uint64_t) {
    if (entry != nullptr) bytes = entry->value_size();
  });
  return bytes;
}

// state.range(0) look-ups are prefetched together; 1: none is.
void LookUp(benchmark::State& state) {
  Corpus& corpus = Corpus::Get();
  Store& store = corpus.store();
  const size_t batch = static_cast<size_t>(state.range(0));
  corpus.participant().Enter();
  for (auto _ : state) {
    const Corpus::Question* const questions = corpus.Ask(batch);
    if (batch > 1) {
      for (size_t i = 0; i < batch; ++i) store.PrefetchStripe(questions[i].hash);
      for (size_t i = 0; i < batch; ++i) store.PrefetchSlots(questions[i].hash);
      for (size_t i = 0; i < batch; ++i) store.PrefetchEntry(questions[i].hash);
    }
    for (size_t i = 0; i < batch; ++i) benchmark::DoNotOptimize(Read(&store, questions[i]));
  }
  corpus.participant().Leave();
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(batch));
}
BENCHMARK(LookUp)->Arg(1)->Arg(16)->Arg(64)->Arg(256);

void Replace(benchmark::State& state) {
  Corpus& corpus = Corpus::Get();
  for (auto _ : state) {
    corpus.participant().Enter();
    corpus.Put(corpus.Ask(1)->key);
    corpus.participant().Leave();
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(Replace);

}  // namespace
}  // namespace entrepot

BENCHMARK_MAIN();
