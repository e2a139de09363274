#include "bench/run/driver.h"

#include <ctime>
#include <utility>

namespace entrepot::bench {

uint64_t NowNs() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(time.tv_nsec);
}

Driver::Driver(const RunPlan* plan, uint32_t thread) : plan_(plan), thread_(thread) {
  for (const GroupOptions& group : plan->groups) {
    measurements_.emplace_back(group.rate > 0, plan->raw_samples);
  }
}

uint32_t Driver::ShareOf(const GroupOptions& group) const {
  return group.clients / plan_->threads + (thread_ < group.clients % plan_->threads ? 1 : 0);
}

Client Driver::MakeClient(size_t group, uint32_t index) {
  const GroupOptions& options = plan_->groups[group];
  uint64_t first = 0, all = 0;
  for (size_t other = 0; other < plan_->groups.size(); ++other) {
    if (other < group) first += plan_->groups[other].clients;
    all += plan_->groups[other].clients;
  }
  const bool loading = options.role == Role::kLoad;
  const bool verifying = plan_->verify && options.role == Role::kWork;
  RequestSource::Keys keys =
      verifying ? RequestSource::Keys::kPartitioned : RequestSource::Keys::kShared;
  if (loading) {
    keys = options.mix.Has(Kind::kFind) && plan_->codec->ClientKeepsIndex()
               ? RequestSource::Keys::kLoadingWithIndex
               : RequestSource::Keys::kLoading;
  }
  const uint64_t number = first + index * plan_->threads + thread_;
  std::unique_ptr<Verifier> verifier;
  if (verifying) {
    const bool exact_finds = !options.mix.Has(Kind::kDelete) && !options.mix.Has(Kind::kInsert);
    verifier = std::make_unique<Verifier>(plan_->workload, exact_finds);
  }
  return Client(RequestSource(plan_->workload, &options.mix, keys, number, all), plan_->codec,
                options.outstanding, options.requests_per_batch, std::move(verifier), &findings_);
}

Schedule Driver::MakeSchedule(size_t group, uint64_t start_ns) const {
  const GroupOptions& options = plan_->groups[group];
  const double share = static_cast<double>(ShareOf(options)) / options.clients;
  const double batches = options.rate / options.requests_per_batch * share;
  // Threads begin at different points of the first gap, so that they do not send in step.
  const double gap_ns = 1e9 * options.requests_per_batch / options.rate;
  const uint64_t offset = static_cast<uint64_t>(gap_ns * thread_);
  const uint64_t seed = Scatter(plan_->workload->options().seed + 1000 * group + thread_);
  return Schedule(options.arrival, batches, start_ns + offset, seed);
}

void Driver::SetWindow(const Window& window) {
  window_ = window;
  for (Measurement& measurement : measurements_) measurement.SetWindow(window);
}

void Driver::GiveUpDue(size_t group, Schedule* schedule, uint64_t now_ns) {
  for (; schedule->due_ns() < window_.to_ns; schedule->Advance()) {
    measurements_[group].GiveUp(schedule->due_ns(), plan_->groups[group].requests_per_batch,
                                now_ns);
  }
}

}  // namespace entrepot::bench
