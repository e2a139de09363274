#include "bench/run/runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <latch>
#include <memory>
#include <thread>
#include <utility>

#include "bench/run/driver.h"
#include "bench/run/process_usage.h"

namespace entrepot::bench {
namespace {

constexpr uint64_t kStartDelayNs = 20'000'000;  // From "all connected" to the first request.
constexpr uint64_t kLiveGapNs = 1'000'000'000;
constexpr double kLateShare =
    0.5;  // Of an open loop's p99: more is the tester's than the server's.

void SleepUntil(uint64_t at_ns) {
  const uint64_t now_ns = NowNs();
  if (at_ns > now_ns) std::this_thread::sleep_for(std::chrono::nanoseconds(at_ns - now_ns));
}

struct CpuReading {
  uint64_t at_ns = 0;
  uint64_t server_ns = 0;
  uint64_t tester_ns = 0;
};

Result<CpuReading> ReadCpu(int server_pid) {
  CpuReading reading;
  if (server_pid != 0) {
    const Result<uint64_t> server = CpuTimeNs(server_pid);
    if (!server.ok()) return server.status();
    reading.server_ns = *server;
  }
  const Result<uint64_t> tester = CpuTimeNs(0);
  if (!tester.ok()) return tester.status();
  reading.tester_ns = *tester;
  reading.at_ns = NowNs();
  return reading;
}

// The threads of a run. They connect, wait for the window, run, and are joined.
class Crew {
 public:
  explicit Crew(const RunPlan& plan)
      : plan_(plan), connected_(plan.threads), go_(1), statuses_(plan.threads) {
    for (uint32_t thread = 0; thread < plan.threads; ++thread) {
      drivers_.push_back(plan.libzmq ? MakeLibzmqDriver(&plan, thread)
                                     : MakeEpollDriver(&plan, thread));
    }
    for (uint32_t thread = 0; thread < plan.threads; ++thread) {
      threads_.emplace_back([this, thread] { Work(thread); });
    }
  }

  // Whether all could connect; then the window may be opened.
  Status AwaitConnected() {
    connected_.wait();
    return FirstProblem();
  }

  void Open(const Window& window) {
    window_ = window;
    go_.count_down();
  }

  // Sends everyone home when the window is not to be opened.
  void Cancel() {
    cancelled_ = true;
    go_.count_down();
  }

  Status Join() {
    for (std::thread& thread : threads_) thread.join();
    return FirstProblem();
  }

  uint64_t LiveRequests() const {
    uint64_t requests = 0;
    for (const auto& driver : drivers_) requests += driver->live_requests();
    return requests;
  }

  const std::vector<std::unique_ptr<Driver>>& drivers() const { return drivers_; }

 private:
  void Work(uint32_t thread) {
    statuses_[thread] = drivers_[thread]->Connect();
    connected_.count_down();
    go_.wait();
    if (!cancelled_) statuses_[thread] = drivers_[thread]->Run(window_);
  }

  Status FirstProblem() const {
    for (const Status& status : statuses_) {
      if (!status.ok()) return status;
    }
    return Status();
  }

  const RunPlan& plan_;
  std::latch connected_;
  std::latch go_;
  bool cancelled_ = false;  // Written before go_ opens, read after.
  Window window_;           // The same.
  std::vector<Status> statuses_;
  std::vector<std::unique_ptr<Driver>> drivers_;
  std::vector<std::thread> threads_;
};

Window MakeWindow(const RunPlan& plan, bool loading) {
  Window window;
  window.start_ns = NowNs() + kStartDelayNs;
  window.from_ns = loading ? window.start_ns : window.start_ns + plan.warm_up_ns;
  window.to_ns = loading ? UINT64_MAX : window.from_ns + plan.duration_ns;
  window.drain_ns = loading ? UINT64_MAX : window.to_ns + plan.drain_ns;
  return window;
}

void ShowLive(const Crew& crew, const Window& window) {
  uint64_t before = crew.LiveRequests();
  for (uint64_t at_ns = window.start_ns + kLiveGapNs; at_ns < window.to_ns; at_ns += kLiveGapNs) {
    SleepUntil(at_ns);
    const uint64_t now = crew.LiveRequests();
    const char* const phase = at_ns < window.from_ns ? "warm-up" : "measured";
    fmt::print(stderr, "\r\x1b[K{} {:.0f} s of {:.0f} s: {:.0f} requests/s", phase,
               static_cast<double>(at_ns - window.start_ns) / 1e9,
               static_cast<double>(window.to_ns - window.start_ns) / 1e9,
               static_cast<double>(now - std::exchange(before, now)) * 1e9 /
                   static_cast<double>(kLiveGapNs));
    std::fflush(stderr);
  }
  fmt::print(stderr, "\r\x1b[K");
}

RunResult Collect(const RunPlan& plan, const Crew& crew) {
  RunResult result;
  result.groups.resize(plan.groups.size());
  for (const auto& driver : crew.drivers()) {
    result.findings.Merge(driver->findings());
    for (size_t group = 0; group < plan.groups.size(); ++group) {
      result.groups[group].Merge(driver->measurements()[group]);
    }
  }
  return result;
}

}  // namespace

std::string FindVoidReason(const RunPlan& plan, const RunResult& result) {
  const double server_busy = result.server_cpu_seconds / result.seconds;
  const double tester_busy = result.tester_cpu_seconds / result.seconds / plan.threads;
  if (plan.server_pid != 0 && server_busy >= kBusyCore) return "";
  if (tester_busy >= kBusyCore) {
    return fmt::format(
        "the tester was the limit: its threads were {:.0f} % busy, {}", 100 * tester_busy,
        plan.server_pid == 0 ? "the server's share is not known (--server-pid)"
                             : fmt::format("the server {:.0f} %", 100 * server_busy));
  }
  for (const Measurement& group : result.groups) {
    const uint64_t late_ns = group.lateness().Quantile(0.99);
    const uint64_t latency_ns = group.Total().Quantile(0.99);
    if (static_cast<double>(late_ns) <= kLateShare * static_cast<double>(latency_ns)) continue;
    return fmt::format(
        "the tester itself was late: {:.0f} µs of the p99 of {:.0f} µs (on a core of "
        "its own, --spin helps)",
        static_cast<double>(late_ns) / 1e3, static_cast<double>(latency_ns) / 1e3);
  }
  return "";
}

Result<RunResult> RunOnce(const RunPlan& plan) {
  const bool loading = plan.groups[0].role == Role::kLoad;
  uint64_t resident_before = 0, resident_end = 0;
  if (plan.server_pid != 0) {
    const Result<uint64_t> resident = ResidentBytes(plan.server_pid);
    if (!resident.ok()) return resident.status();
    resident_before = *resident;
  }
  Crew crew(plan);
  Status status = crew.AwaitConnected();
  if (!status.ok()) {
    crew.Cancel();
    static_cast<void>(crew.Join());  // The same problem once more.
    return status;
  }
  const Window window = MakeWindow(plan, loading);
  crew.Open(window);

  Result<CpuReading> from = CpuReading(), to = CpuReading();
  if (!loading) {
    std::thread live;
    if (plan.live_line) live = std::thread([&] { ShowLive(crew, window); });
    SleepUntil(window.from_ns);
    from = ReadCpu(plan.server_pid);
    SleepUntil(window.to_ns);
    to = ReadCpu(plan.server_pid);
    if (plan.server_pid != 0) {
      const Result<uint64_t> resident = ResidentBytes(plan.server_pid);
      if (resident.ok()) resident_end = *resident;
    }
    if (live.joinable()) live.join();
  }
  status = crew.Join();
  if (!status.ok()) return status;
  if (!from.ok()) return from.status();
  if (!to.ok()) return to.status();

  RunResult result = Collect(plan, crew);
  result.server_resident_before = resident_before;
  result.server_resident_end = resident_end;
  if (loading) return result;
  uint64_t spun_ns = 0;
  for (const auto& driver : crew.drivers()) spun_ns += driver->spun_ns();
  const double asked = static_cast<double>(to->at_ns - from->at_ns);
  const double window_ns = static_cast<double>(window.to_ns - window.from_ns);
  const double scale = window_ns / asked / 1e9;  // The readings are a little off the window.
  result.seconds = window_ns / 1e9;
  result.server_cpu_seconds = static_cast<double>(to->server_ns - from->server_ns) * scale;
  const double tester_ns = static_cast<double>(to->tester_ns - from->tester_ns);
  result.tester_cpu_seconds = std::max(0.0, tester_ns - static_cast<double>(spun_ns)) * scale;
  result.void_reason = FindVoidReason(plan, result);
  return result;
}

}  // namespace entrepot::bench
