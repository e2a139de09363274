// What the server counts, and how `stats` names it.
//
// Thread safety: each thread has a ThreadMetrics of its own to count in; anybody may sum them up.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/byte_buffer.h"
#include "base/mutex.h"
#include "base/status.h"
#include "protocol/message.h"

namespace entrepot {

// A counter that one thread writes and any may read.
class Counter {
 public:
  void Add(uint64_t by) {
    value_.store(value_.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
  }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

inline constexpr size_t kCodes = static_cast<size_t>(Code::kInternal) + 1;

// Times in microseconds, each counted to within an eighth: buckets are linear within a power of
// two, as in G. Tene's HdrHistogram.
class LatencyHistogram {
 public:
  static constexpr size_t kBuckets = 8 * 32;

  void Record(uint64_t micros, uint64_t count = 1) { buckets_[BucketOf(micros)].Add(count); }
  void AddTo(std::array<uint64_t, kBuckets>* sums) const {
    for (size_t i = 0; i < kBuckets; ++i) (*sums)[i] += buckets_[i].value();
  }
  static size_t BucketOf(uint64_t micros) {
    if (micros < 8) return micros;
    const size_t power = static_cast<size_t>(std::bit_width(micros)) - 4;
    const size_t bucket = (power + 1) * 8 + (micros >> power & 7);
    return bucket < kBuckets ? bucket : kBuckets - 1;
  }
  // The largest time that the bucket counts.
  static uint64_t UpperOf(size_t bucket) {
    if (bucket < 8) return bucket;
    const size_t power = bucket / 8 - 1;
    return ((8 + bucket % 8 + 1) << power) - 1;
  }

 private:
  std::array<Counter, kBuckets> buckets_;
};

struct ThreadMetrics {
  std::array<Counter, kMethods> requests;
  std::array<Counter, kCodes> errors;
  Counter notifications_failed;
  Counter replays;
  Counter bodies;
  Counter turns;
  LatencyHistogram latency;
};

class Metrics {
 public:
  // For one thread; lives as long as this.
  ThreadMetrics* NewThread() {
    MutexLock lock(mu_);
    threads_.push_back(std::make_unique<ThreadMetrics>());
    return threads_.back().get();
  }

  struct Sums {
    std::array<uint64_t, kMethods> requests{};
    std::array<uint64_t, kCodes> errors{};
    uint64_t notifications_failed = 0;
    uint64_t replays = 0;
    uint64_t bodies = 0;
    uint64_t turns = 0;
    std::array<uint64_t, LatencyHistogram::kBuckets> latency{};

    // The time in microseconds that `share` of all bodies did not exceed; 0 where there were none.
    uint64_t Percentile(double share) const;
  };
  Sums Sum() const;

 private:
  mutable Mutex mu_;
  std::vector<std::unique_ptr<ThreadMetrics>> threads_ GUARDED_BY(mu_);
};

}  // namespace entrepot
