#include "bench/run/measurement.h"

#include <algorithm>

namespace entrepot::bench {

void Measurement::SetWindow(const Window& window) {
  window_ = window;
  if (window.to_ns == UINT64_MAX) return;
  const uint64_t duration = window.to_ns - window.from_ns;
  interval_ns_ = std::max(kIntervalMinNs, (duration + kIntervalsMax - 1) / kIntervalsMax);
  intervals_.resize(std::max<uint64_t>(1, (duration + interval_ns_ - 1) / interval_ns_));
}

void Measurement::Finish(const Batch& batch, uint64_t now_ns) {
  all_requests += batch.requests;
  wrong += batch.wrong;
  const bool answered_inside = now_ns >= window_.from_ns && now_ns < window_.to_ns;
  if (answered_inside && !intervals_.empty()) {
    requests += batch.requests;
    IntervalAt(now_ns).requests += batch.requests;
  }
  const uint64_t counts_at = open_loop_ ? batch.started_ns : now_ns;
  if (counts_at < window_.from_ns || counts_at >= window_.to_ns) return;
  errors += batch.errors;
  misses += batch.misses;
  if (intervals_.empty()) return;
  const uint64_t latency = now_ns - batch.started_ns;
  if (!batch.mixed) {
    RecordLatency(batch.kind, latency, batch.requests, counts_at);
    return;
  }
  for (size_t kind = 0; kind < kKinds; ++kind) {
    if (batch.by_kind[kind] == 0) continue;
    RecordLatency(static_cast<Kind>(kind), latency, batch.by_kind[kind], counts_at);
  }
}

void Measurement::GiveUp(uint64_t due_ns, uint64_t count, uint64_t now_ns) {
  if (!open_loop_ || due_ns < window_.from_ns || due_ns >= window_.to_ns) return;
  unfinished += count;
  // The kind of what was never sent is unknown: it counts in the totals alone.
  IntervalAt(due_ns).latency.Record(now_ns - due_ns, count);
  if (raw_) raw_samples_.insert(raw_samples_.end(), count, now_ns - due_ns);
}

void Measurement::RecordLatency(Kind kind, uint64_t latency_ns, uint64_t count, uint64_t at_ns) {
  by_kind_[static_cast<size_t>(kind)].Record(latency_ns, count);
  IntervalAt(at_ns).latency.Record(latency_ns, count);
  if (raw_) raw_samples_.insert(raw_samples_.end(), count, latency_ns);
}

Measurement::Interval& Measurement::IntervalAt(uint64_t at_ns) {
  const uint64_t index = (at_ns - window_.from_ns) / interval_ns_;
  return intervals_[std::min<uint64_t>(index, intervals_.size() - 1)];
}

void Measurement::Merge(const Measurement& other) {
  requests += other.requests;
  errors += other.errors;
  misses += other.misses;
  wrong += other.wrong;
  unfinished += other.unfinished;
  failures += other.failures;
  reconnects += other.reconnects;
  all_requests += other.all_requests;
  interval_ns_ = other.interval_ns_;
  lateness_.Merge(other.lateness_);
  for (size_t kind = 0; kind < kKinds; ++kind) by_kind_[kind].Merge(other.by_kind_[kind]);
  if (intervals_.size() < other.intervals_.size()) intervals_.resize(other.intervals_.size());
  for (size_t index = 0; index < other.intervals_.size(); ++index) {
    intervals_[index].latency.Merge(other.intervals_[index].latency);
    intervals_[index].requests += other.intervals_[index].requests;
  }
  raw_samples_.insert(raw_samples_.end(), other.raw_samples_.begin(), other.raw_samples_.end());
}

Histogram Measurement::Total() const {
  Histogram total;
  for (const Interval& interval : intervals_) total.Merge(interval.latency);
  return total;
}

}  // namespace entrepot::bench
