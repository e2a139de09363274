#include "bench/run/histogram.h"

#include <cmath>

namespace entrepot::bench {

void Histogram::Merge(const Histogram& other) {
  if (other.count_ == 0) return;
  if (buckets_.empty()) buckets_.resize(kBuckets);
  for (size_t index = 0; index < kBuckets; ++index) buckets_[index] += other.buckets_[index];
  count_ += other.count_;
  sum_ += other.sum_;
  max_ = std::max(max_, other.max_);
}

uint64_t Histogram::Quantile(double quantile) const {
  if (count_ == 0) return 0;
  const double rank = std::ceil(quantile * static_cast<double>(count_));
  const uint64_t wanted = std::clamp<uint64_t>(static_cast<uint64_t>(rank), 1, count_);
  if (wanted == count_) return max_;
  uint64_t seen = 0;
  for (size_t index = 0; index < kBuckets; ++index) {
    seen += buckets_[index];
    if (seen >= wanted) return std::min(Middle(index), max_);
  }
  return max_;
}

uint64_t Histogram::Middle(size_t index) {
  if (index < (size_t{2} << kSubBits)) return index;
  const size_t exponent = (index >> kSubBits) - 1;
  const uint64_t lowest = static_cast<uint64_t>(index - (exponent << kSubBits)) << exponent;
  return lowest + (uint64_t{1} << exponent) / 2;
}

}  // namespace entrepot::bench
