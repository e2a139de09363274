// Service level objectives of --slo: conditions that every row of the main clients must meet.
//
//     objectives := objective ("," objective)*
//     objective  := name ("<" | ">") number unit?
//     name       := p50 | p90 | p99 | p99.9 | max | mean | rate | errors | misses
//     unit       := ns | us | ms | s             durations only, and always
//
// A void row misses every objective: it says nothing of the server.
//
// Thread safety: values.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace entrepot::bench {

struct Objective {
  std::string text;
  std::string field;  // Of the row, or of its latency_ns.
  bool latency = false;
  bool below = true;  // "<".
  double limit = 0;   // Nanoseconds for latencies.
};

Result<std::vector<Objective>> ParseObjectives(std::string_view text);

// A line for each row and objective that was missed.
std::vector<std::string> FindMissed(const std::vector<Objective>& objectives,
                                    const nlohmann::json& document);

}  // namespace entrepot::bench
