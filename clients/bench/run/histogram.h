// A histogram of durations with a bounded relative error: the log-linear buckets of HdrHistogram.
//
// Below 512 ns each nanosecond has its bucket; above, each doubling is cut into 256 buckets, so
// that a value handed back is within 0.2 % of the one recorded. Durations above kDurationMax count
// as kDurationMax.
//
// Thread safety: none; each thread fills its own, and they are merged afterwards.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <vector>

namespace entrepot::bench {

class Histogram {
 public:
  static constexpr uint64_t kDurationMax = uint64_t{1} << 40;  // 18 minutes, in nanoseconds.

  void Record(uint64_t duration_ns, uint64_t count) {
    if (buckets_.empty()) buckets_.resize(kBuckets);
    const uint64_t duration = std::min(duration_ns, kDurationMax);
    buckets_[Index(duration)] += count;
    count_ += count;
    sum_ += static_cast<double>(duration) * static_cast<double>(count);
    max_ = std::max(max_, duration);
  }

  void Merge(const Histogram& other);

  uint64_t count() const { return count_; }
  uint64_t max() const { return max_; }
  double mean() const { return count_ == 0 ? 0 : sum_ / static_cast<double>(count_); }

  // The smallest duration that at least `quantile` of all durations do not exceed (the nearest-rank
  // percentile), 0 when there is none. 0 <= quantile <= 1.
  uint64_t Quantile(double quantile) const;

  // Calls `visit(duration, count of durations up to it)` for each bucket that holds any.
  template <typename Visit>
  void ForEachCumulative(Visit visit) const {
    uint64_t seen = 0;
    for (size_t index = 0; index < buckets_.size(); ++index) {
      if (buckets_[index] == 0) continue;
      seen += buckets_[index];
      visit(std::min(Middle(index), max_), seen);
    }
  }

 private:
  static constexpr int kSubBits = 8;
  static constexpr size_t kBuckets = ((40 - kSubBits + 1) << kSubBits) + 1;  // Up to kDurationMax.

  static size_t Index(uint64_t duration) {
    const int exponent = std::max(0, static_cast<int>(std::bit_width(duration)) - kSubBits - 1);
    return (static_cast<size_t>(exponent) << kSubBits) + (duration >> exponent);
  }
  static uint64_t Middle(size_t index);

  std::vector<uint64_t> buckets_;  // Empty until the first Record().
  uint64_t count_ = 0;
  double sum_ = 0;
  uint64_t max_ = 0;
};

}  // namespace entrepot::bench
