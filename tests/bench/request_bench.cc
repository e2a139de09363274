// What a request costs without a network, alone and beside threads that share the store.
//
// `bodies x requests` are the messages of a turn and the requests in each. Time is CPU time of all
// threads for a request; tests/bench/run_micro.py has callgrind count the instructions of the same.
#include <cstdlib>
#include <memory>
#include <string>

#include <benchmark/benchmark.h>

#include "support/hot_path.h"

namespace entrepot {
namespace {

using Kind = HotPath::Sender::Kind;

size_t Entries() {
  const char* const given = std::getenv("ENTREPOT_BENCH_ENTRIES");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : 1'000'000;
}

HotPath& Path(bool indexed) {
  static HotPath plain(Entries(), /*indexed=*/false);
  if (!indexed) return plain;
  static HotPath with_index(Entries(), /*indexed=*/true);
  return with_index;
}

void Run(benchmark::State& state, Kind kind, bool indexed) {
  const auto bodies = static_cast<size_t>(state.range(0));
  const auto requests = static_cast<size_t>(state.range(1));
  HotPath::Sender sender(&Path(indexed), kind, bodies, requests,
                         static_cast<uint64_t>(state.thread_index()));
  uint64_t turns = 0;
  for (auto _ : state) {
    sender.Send();
    ++turns;
  }
  if (sender.replies() != turns * bodies) state.SkipWithError("a reply is missing");
  const double sent = static_cast<double>(turns * bodies * requests);
  using Counter = benchmark::Counter;
  state.counters["requests"] = Counter(sent, Counter::kIsRate);
  state.counters["cpu"] = Counter(sent, Counter::kIsRate | Counter::kInvert);
}

void Get(benchmark::State& state) { Run(state, Kind::kGet, /*indexed=*/false); }
void Set(benchmark::State& state) { Run(state, Kind::kSet, /*indexed=*/false); }
void SetIndexed(benchmark::State& state) { Run(state, Kind::kSet, /*indexed=*/true); }

// For who counts instead of measuring: exactly so many turns.
void Iterations(benchmark::internal::Benchmark* benchmark) {
  if (const char* const given = std::getenv("ENTREPOT_BENCH_ITERATIONS")) {
    benchmark->Iterations(std::atoll(given));
  }
}
void Messages(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"bodies", "requests"})->Args({64, 1})->Args({1, 64});
}
void Threads(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"bodies", "requests"})->Args({1, 64})->Threads(2)->Threads(4)->Threads(8);
}

BENCHMARK(Get)->Apply(Messages)->Apply(Iterations);
BENCHMARK(Set)->Apply(Messages)->Apply(Iterations);
BENCHMARK(SetIndexed)->Apply(Messages)->Apply(Iterations);

BENCHMARK(Get)->Name("GetThreads")->Apply(Threads);
BENCHMARK(Set)->Name("SetThreads")->Apply(Threads);
BENCHMARK(SetIndexed)->Name("SetIndexedThreads")->Apply(Threads);

}  // namespace
}  // namespace entrepot

BENCHMARK_MAIN();
