// Cheap pseudo-randomness for workloads: the same seed gives the same requests.
//
// Not for secrets. A std::mt19937_64 would carry 2.5 KB of state for each of 10,000 clients.
//
// Thread safety: none; every client owns its generator.
#pragma once

#include <bit>
#include <cstdint>

namespace entrepot::bench {

// The finalizer of SplitMix64 (Steele, Lea, Flood 2014): a bijection that scatters its input.
inline uint64_t Scatter(uint64_t value) {
  value += 0x9e3779b97f4a7c15;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

// xoroshiro128++ (Blackman, Vigna 2019).
class Random {
 public:
  explicit Random(uint64_t seed) : low_(Scatter(seed)), high_(Scatter(seed ^ 0x5851f42d4c957f2d)) {}

  uint64_t Next() {
    const uint64_t result = std::rotl(low_ + high_, 17) + low_;
    high_ ^= low_;
    low_ = std::rotl(low_, 49) ^ high_ ^ (high_ << 21);
    high_ = std::rotl(high_, 28);
    return result;
  }

  // Uniform in [0, bound); bound > 0. The bias of the multiplication is below bound / 2^64.
  uint64_t Below(uint64_t bound) {
    return static_cast<uint64_t>((static_cast<unsigned __int128>(Next()) * bound) >> 64);
  }

  // Uniform in (0, 1], so that its logarithm is finite.
  double Fraction() { return static_cast<double>((Next() >> 11) + 1) * 0x1p-53; }

 private:
  uint64_t low_;
  uint64_t high_;
};

}  // namespace entrepot::bench
