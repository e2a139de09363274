// What it costs to write responses: one that holds its value, one that refers to it, and an error.
#include <string>

#include <benchmark/benchmark.h>

#include "base/status.h"
#include "protocol/encoder.h"

namespace entrepot {
namespace {

constexpr int kResponses = 64;  // Of a body.

void PackFound(Reply* reply, std::string_view value) {
  ByteBuffer* const out = &reply->bytes();
  PackResultHead(out, 1'000'000);
  PackMap(out, 3);
  PackName(out, "status");
  PackString(out, OutcomeName(Outcome::kFound));
  PackName(out, "version");
  PackUnsigned(out, 123'456'789);
  PackName(out, "value");
  out->Append(value);
}

// A reply is used again, with the memory that it has, as a lane does.
void EncodeFound(benchmark::State& state) {
  ByteBuffer value;
  PackString(&value, std::string(static_cast<size_t>(state.range(0)), 'v'));
  Reply reply;
  for (auto _ : state) {
    reply.Clear();
    for (int i = 0; i < kResponses; ++i) PackFound(&reply, value.view());
    benchmark::DoNotOptimize(reply.size());
  }
  state.SetItemsProcessed(state.iterations() * kResponses);
}
BENCHMARK(EncodeFound)->Arg(32)->Arg(1024)->Arg(8192);

void EncodeBlock(benchmark::State& state) {
  ValueBlock* const block = ValueBlock::New(std::string(64 << 10, 'v'));
  Reply reply;
  for (auto _ : state) {
    reply.Clear();
    for (int i = 0; i < kResponses; ++i) {
      PackFound(&reply, {});
      reply.AppendBlock(BlockRef(block));
    }
    benchmark::DoNotOptimize(reply.size());
  }
  block->Unref();
  state.SetItemsProcessed(state.iterations() * kResponses);
}
BENCHMARK(EncodeBlock);

void EncodeError(benchmark::State& state) {
  const Status status(Code::kInvalidArgument, "set has no option \"tttl_ms\"");
  Reply reply;
  for (auto _ : state) {
    reply.Clear();
    for (int i = 0; i < kResponses; ++i) PackError(&reply.bytes(), 1'000'000, status);
    benchmark::DoNotOptimize(reply.size());
  }
  state.SetItemsProcessed(state.iterations() * kResponses);
}
BENCHMARK(EncodeError);

}  // namespace
}  // namespace entrepot

BENCHMARK_MAIN();
