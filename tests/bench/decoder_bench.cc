// What it costs to take a body apart: a request of each of the commonest kinds, and a whole body.
#include <string>
#include <string_view>

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "base/byte_buffer.h"
#include "base/limits.h"
#include "base/msgpack.h"
#include "protocol/decoder.h"

namespace entrepot {
namespace {

constexpr int kRequests = 64;  // Of a body.

void PackHead(ByteBuffer* out, std::string_view method, uint32_t params) {
  PackArray(out, 4);
  PackUnsigned(out, 0);
  PackUnsigned(out, 1'000'000);
  PackString(out, method);
  PackArray(out, params);
}

std::string Gets() {
  ByteBuffer body;
  for (int i = 0; i < kRequests; ++i) {
    PackHead(&body, "get", 1);
    PackString(&body, fmt::format("{:016x}", i));
  }
  return std::string(body.view());
}

std::string Sets(size_t value_bytes) {
  ByteBuffer body;
  for (int i = 0; i < kRequests; ++i) {
    PackHead(&body, "set", 2);
    PackString(&body, fmt::format("{:016x}", i));
    PackString(&body, std::string(value_bytes, 'v'));
  }
  return std::string(body.view());
}

std::string SetsWithOptions() {
  ByteBuffer body;
  for (int i = 0; i < kRequests; ++i) {
    PackHead(&body, "set", 3);
    PackString(&body, fmt::format("{:016x}", i));
    PackString(&body, std::string(32, 'v'));
    PackMap(&body, 2);
    PackString(&body, "ttl_ms");
    PackUnsigned(&body, 60'000);
    PackString(&body, "if_version");
    PackUnsigned(&body, 123'456);
  }
  return std::string(body.view());
}

// A document of 50 numbers and names for each value.
std::string SetsOfDocuments() {
  ByteBuffer body;
  for (int i = 0; i < kRequests; ++i) {
    PackHead(&body, "set", 2);
    PackString(&body, fmt::format("{:016x}", i));
    PackMap(&body, 50);
    for (int field = 0; field < 50; ++field) {
      PackString(&body, fmt::format("field{}", field));
      PackFloat(&body, field * 1.5);
    }
  }
  return std::string(body.view());
}

void Decode(benchmark::State& state, const std::string& body) {
  const size_t nesting = Limits().nesting;
  for (auto _ : state) {
    Decoder decoder(body, nesting);
    Request request;
    int requests = 0;
    while (decoder.Next(&request)) requests += request.error == Code::kOk;
    if (requests != kRequests) state.SkipWithError("the body was not understood");
  }
  state.SetItemsProcessed(state.iterations() * kRequests);
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(body.size()));
}

BENCHMARK_CAPTURE(Decode, get, Gets());
BENCHMARK_CAPTURE(Decode, set_32_bytes, Sets(32));
BENCHMARK_CAPTURE(Decode, set_1024_bytes, Sets(1024));
BENCHMARK_CAPTURE(Decode, set_with_options, SetsWithOptions());
BENCHMARK_CAPTURE(Decode, set_document, SetsOfDocuments());

}  // namespace
}  // namespace entrepot

BENCHMARK_MAIN();
