// The client's clock: monotonic, and handed to whoever needs it, so that tests can turn it.

#pragma once

#include <chrono>

namespace entrepot {

using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;
using std::chrono::milliseconds;

}  // namespace entrepot
