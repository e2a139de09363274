// What one group of clients achieved: counts, latencies, and how both went over time.
//
// Closed loop: a batch counts if it is answered inside the window. Open loop: its latency counts if
// it was due inside the window, whenever it was answered; what never was counts with the time it
// had waited when the run gave up, because leaving it out would make an overload look fast. The
// rate is in both the requests answered inside the window.
//
// Thread safety: none; each thread fills its own, and they are merged afterwards.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "bench/run/histogram.h"
#include "bench/run/plan.h"

namespace entrepot::bench {

class Measurement {
 public:
  // Time is cut into pieces of at least this, and into at most so many of them.
  static constexpr uint64_t kIntervalMinNs = 100'000'000;
  static constexpr uint64_t kIntervalsMax = 60;

  struct Interval {
    Histogram latency;
    uint64_t requests = 0;
  };

  Measurement() = default;
  Measurement(bool open_loop, bool raw_samples) : open_loop_(open_loop), raw_(raw_samples) {}

  // Call before anything is recorded.
  void SetWindow(const Window& window);

  void Finish(const Batch& batch, uint64_t now_ns);
  // A batch that was due but not answered when the run gave up, sent or not. Open loop only: in a
  // closed loop the batches at the end of the window are simply cut.
  void GiveUp(uint64_t due_ns, uint64_t requests, uint64_t now_ns);

  // Open loop: the tester itself took up a batch this late, although a client was free.
  void NoteLate(uint64_t due_ns, uint64_t now_ns) {
    if (due_ns >= window_.from_ns) lateness_.Record(now_ns - due_ns, 1);
  }

  void Merge(const Measurement& other);

  // Requests, errors and so on of the window; wrong answers and failures of all the run.
  uint64_t requests = 0;
  uint64_t errors = 0;
  uint64_t misses = 0;
  uint64_t wrong = 0;
  uint64_t unfinished = 0;
  uint64_t failures = 0;  // Connections that ended although nobody asked them to.
  uint64_t reconnects = 0;
  uint64_t all_requests = 0;  // Answered at any time, warm-up included.

  const std::array<Histogram, kKinds>& by_kind() const { return by_kind_; }
  const std::vector<Interval>& intervals() const { return intervals_; }
  const std::vector<uint64_t>& raw() const { return raw_samples_; }
  const Histogram& lateness() const { return lateness_; }
  uint64_t interval_ns() const { return interval_ns_; }
  Histogram Total() const;

 private:
  void RecordLatency(Kind kind, uint64_t latency_ns, uint64_t count, uint64_t at_ns);
  Interval& IntervalAt(uint64_t at_ns);

  bool open_loop_ = false;
  bool raw_ = false;
  Window window_;
  uint64_t interval_ns_ = kIntervalMinNs;
  std::array<Histogram, kKinds> by_kind_;
  std::vector<Interval> intervals_;
  Histogram lateness_;
  std::vector<uint64_t> raw_samples_;  // Latencies in nanoseconds, one a request.
};

}  // namespace entrepot::bench
