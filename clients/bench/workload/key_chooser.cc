#include "bench/workload/key_chooser.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace entrepot::bench {

Result<Distribution> ParseDistribution(std::string_view text) {
  if (text == "uniform") return Distribution::kUniform;
  if (text == "zipf") return Distribution::kZipf;
  if (text == "latest") return Distribution::kLatest;
  return Status(Code::kInvalidArgument,
                fmt::format("the distribution '{}' is none of uniform, zipf, latest", text));
}

std::string_view DistributionName(Distribution distribution) {
  switch (distribution) {
    case Distribution::kUniform:
      return "uniform";
    case Distribution::kZipf:
      return "zipf";
    case Distribution::kLatest:
      return "latest";
  }
  return "";
}

KeyChooser::KeyChooser(Distribution distribution, uint64_t keys)
    : distribution_(distribution), keys_(keys) {
  CHECK(keys > 0);
  if (distribution == Distribution::kUniform) return;
  for (uint64_t rank = 1; rank <= keys; ++rank) {
    zeta_ += std::pow(1.0 / static_cast<double>(rank), kZipfExponent);
  }
  const double zeta_of_two = 1 + std::pow(0.5, kZipfExponent);
  eta_ = (1 - std::pow(2.0 / static_cast<double>(keys), 1 - kZipfExponent)) /
         (1 - zeta_of_two / zeta_);
}

uint64_t KeyChooser::DrawRank(Random* random) const {
  const double fraction = random->Fraction();
  const double scaled = fraction * zeta_;
  if (scaled < 1) return 0;
  if (keys_ == 1) return 0;
  if (scaled < 1 + std::pow(0.5, kZipfExponent)) return 1;
  const double rank =
      static_cast<double>(keys_) * std::pow(eta_ * fraction - eta_ + 1, 1 / (1 - kZipfExponent));
  return std::min(keys_ - 1, static_cast<uint64_t>(rank));
}

}  // namespace entrepot::bench
