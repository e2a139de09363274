// The document of a run as one self-contained page: table, percentile curve, rate and p99 over
// time, and rate against latency where more than one point was measured.
//
// Thread safety: pure functions.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace entrepot::bench {

std::string MakePage(const nlohmann::json& document);

}  // namespace entrepot::bench
