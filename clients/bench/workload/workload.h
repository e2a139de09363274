// What the requests of a run are about: keys, values and how both are written as text.
//
// A key is `k`s followed by twelve hexadecimal digits, a counter of `increment` begins with `n`.
// A value can be computed again from its key and its nonce, so the model of --verify stores a
// nonce an entry and no values:
//
//     value := group:hex[12] nonce:hex[16] filler      cut to the size asked for
//
// Keys of one group share the first twelve characters of their values, which is what a `find` asks
// for: it has exactly `hits` answers at any time, also while values change.
//
// Thread safety: constant after construction, apart from the count of inserted keys, which is
// atomic.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "bench/workload/key_chooser.h"
#include "bench/workload/mix.h"

namespace entrepot::bench {

struct Request {
  Kind kind;
  uint32_t value_bytes;
  uint64_t key;
  uint64_t nonce;
};

inline constexpr uint32_t kKeyDigits = 12;
inline constexpr uint32_t kKeyBytesMin = kKeyDigits + 1;
inline constexpr uint32_t kKeyBytesMax = 1024;          // The protocol's limit of a key.
inline constexpr uint32_t kGroupBytes = 12;             // What a find asks for.
inline constexpr uint32_t kScanHits = 16;               // Keys that differ in the last digit.
inline constexpr uint32_t kVerifiedValueBytesMin = 28;  // Room for group and nonce.
inline constexpr uint32_t kValueBytesMax =
    16 * 1024 * 1024 - 16;  // The protocol's limit of a value.

struct WorkloadOptions {
  uint64_t keys = 1'000'000;
  uint32_t key_bytes = 16;
  uint32_t value_bytes_min = 32;
  uint32_t value_bytes_max = 32;
  uint32_t hits = 10;  // Answers of a find.
  Distribution distribution = Distribution::kUniform;
  uint64_t seed = 1;
};

class Workload {
 public:
  explicit Workload(const WorkloadOptions& options);

  const WorkloadOptions& options() const { return options_; }

  uint64_t DrawKey(Random* random) const {
    return chooser_.Draw(options_.keys + inserted_.load(std::memory_order_relaxed), random);
  }

  // The number of a key that nobody has used before.
  uint64_t InsertKey() { return options_.keys + inserted_.fetch_add(1, std::memory_order_relaxed); }

  // The nonce of the value that loading gives to `key`.
  uint64_t LoadNonce(uint64_t key) const { return Scatter(key ^ options_.seed); }

  uint32_t ValueBytes(uint64_t nonce) const {
    const uint32_t range = options_.value_bytes_max - options_.value_bytes_min;
    return range == 0
               ? options_.value_bytes_min
               : options_.value_bytes_min + static_cast<uint32_t>(Scatter(nonce) % (range + 1));
  }

  // Each writes exactly so many bytes and returns the end: key_bytes, value_bytes, kGroupBytes.
  char* WriteKey(Kind kind, uint64_t key, char* out) const;
  char* WriteValue(uint64_t key, uint64_t nonce, uint32_t value_bytes, char* out) const;
  char* WriteGroup(uint64_t key, char* out) const;

  std::string KeyText(Kind kind, uint64_t key) const;
  std::string ValueText(uint64_t key, uint64_t nonce) const;
  std::string GroupText(uint64_t key) const;

 private:
  WorkloadOptions options_;
  KeyChooser chooser_;
  std::string key_filler_;
  std::string value_filler_;
  std::atomic<uint64_t> inserted_{0};
};

}  // namespace entrepot::bench
