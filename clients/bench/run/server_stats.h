// What the server says of itself at the end of a run: version, memory, counters.
//
// One blocking exchange on a connection of its own, outside of what is measured.
//
// Thread safety: any thread.
#pragma once

#include <nlohmann/json.hpp>

#include "bench/run/endpoint.h"

namespace entrepot::bench {

// Entrepôt's `stats` as it is, Redis' INFO and memcached's `stats` as an object of strings, null
// for an echo. kUnavailable when the server does not answer within five seconds, kMalformed when
// its answer cannot be read.
Result<nlohmann::json> ReadServerStats(const Endpoint& endpoint);

}  // namespace entrepot::bench
