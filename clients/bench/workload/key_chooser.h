// Which of the keys the next request is about: uniform, zipf or latest.
//
// Zipf follows J. Gray et al., "Quickly Generating Billion-Record Synthetic Databases" (1994), the
// generator that YCSB uses, with its exponent of 0.99; ranks are scattered over the keys, so that
// hot keys do not stand side by side. "latest" is the same, but the newest key is the hottest.
//
// Thread safety: constant after construction.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/status.h"
#include "bench/workload/random.h"

namespace entrepot::bench {

enum class Distribution : uint8_t { kUniform, kZipf, kLatest };

Result<Distribution> ParseDistribution(std::string_view text);
std::string_view DistributionName(Distribution distribution);

class KeyChooser {
 public:
  static constexpr double kZipfExponent = 0.99;

  // Keys are numbered 0 … keys - 1; keys > 0. Zipf and latest sum up `keys` terms here, once.
  KeyChooser(Distribution distribution, uint64_t keys);

  // `present` counts the keys that exist by now (at least `keys`); only "latest" looks at it.
  uint64_t Draw(uint64_t present, Random* random) const {
    if (distribution_ == Distribution::kUniform) return random->Below(keys_);
    const uint64_t rank = DrawRank(random);
    return distribution_ == Distribution::kZipf ? Scatter(rank) % keys_ : present - 1 - rank;
  }

 private:
  // 0 is the most frequent rank.
  uint64_t DrawRank(Random* random) const;

  Distribution distribution_;
  uint64_t keys_;
  double zeta_ = 0;
  double eta_ = 0;
};

}  // namespace entrepot::bench
