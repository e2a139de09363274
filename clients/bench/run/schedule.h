// When the requests of an open loop are due.
//
// The schedule runs on whether or not the server answers: a request that cannot leave because all
// connections wait keeps its due time, and its latency counts from there. Nothing is stored for
// requests that are late; the next due time is all there is.
//
// Thread safety: none; one for each thread and group.
#pragma once

#include <cmath>
#include <cstdint>

#include "bench/workload/random.h"

namespace entrepot::bench {

enum class Arrival : uint8_t { kConstant, kPoisson };

class Schedule {
 public:
  // `per_second` > 0 arrivals, the first one after `start_ns`.
  Schedule(Arrival arrival, double per_second, uint64_t start_ns, uint64_t seed)
      : arrival_(arrival),
        gap_ns_(1e9 / per_second),
        due_ns_(static_cast<double>(start_ns)),
        random_(seed) {
    Advance();
  }

  uint64_t due_ns() const { return static_cast<uint64_t>(due_ns_); }

  void Advance() {
    due_ns_ += arrival_ == Arrival::kConstant ? gap_ns_ : -std::log(random_.Fraction()) * gap_ns_;
  }

 private:
  Arrival arrival_;
  double gap_ns_;
  double due_ns_;  // Exact to a few nanoseconds: the clock begins with the machine.
  Random random_;
};

}  // namespace entrepot::bench
