#include "server/metrics.h"

#include <cmath>

namespace entrepot {

uint64_t Metrics::Sums::Percentile(double share) const {
  uint64_t all = 0;
  for (const uint64_t count : latency) all += count;
  const auto wanted = static_cast<uint64_t>(std::ceil(share * static_cast<double>(all)));
  uint64_t seen = 0;
  for (size_t bucket = 0; bucket < latency.size(); ++bucket) {
    seen += latency[bucket];
    if (seen >= wanted && seen > 0) return LatencyHistogram::UpperOf(bucket);
  }
  return 0;
}

Metrics::Sums Metrics::Sum() const {
  Sums sums;
  MutexLock lock(mu_);
  for (const auto& thread : threads_) {
    for (size_t i = 0; i < kMethods; ++i) sums.requests[i] += thread->requests[i].value();
    for (size_t i = 0; i < kCodes; ++i) sums.errors[i] += thread->errors[i].value();
    sums.notifications_failed += thread->notifications_failed.value();
    sums.replays += thread->replays.value();
    sums.bodies += thread->bodies.value();
    sums.turns += thread->turns.value();
    thread->latency.AddTo(&sums.latency);
  }
  return sums;
}

}  // namespace entrepot
