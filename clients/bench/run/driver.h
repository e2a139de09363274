// One thread's share of a run: it moves the bytes of its clients and measures.
//
// Life: constructed, Connect() and Run() on its own thread, then read by the runner once that
// thread has ended. Live counters may be read meanwhile.
//
// Thread safety: as said above; live_requests() from any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "bench/run/measurement.h"
#include "bench/run/plan.h"

namespace entrepot::bench {

class Driver {
 public:
  // `plan` must live longer. The thread takes every `threads`-th client, `thread` first.
  Driver(const RunPlan* plan, uint32_t thread);
  virtual ~Driver() = default;
  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;

  // Connects all clients that are to be connected before the start. kUnavailable when one cannot.
  virtual Status Connect() = 0;

  // Runs the workload and returns when all is answered or given up.
  virtual Status Run(const Window& window) = 0;

  // ---- after Run()
  const std::vector<Measurement>& measurements() const { return measurements_; }  // One a group.
  const Findings& findings() const { return findings_; }
  // CPU time inside the window spent on asking for events that were not there (`spin`).
  uint64_t spun_ns() const { return spun_ns_; }

  uint64_t live_requests() const { return live_requests_.load(std::memory_order_relaxed); }

 protected:
  // How many clients of `group` are this thread's.
  uint32_t ShareOf(const GroupOptions& group) const;
  // This thread's `index`-th client of group number `group`.
  Client MakeClient(size_t group, uint32_t index);
  // The schedule of this thread's share of an open-loop group.
  Schedule MakeSchedule(size_t group, uint64_t start_ns) const;
  void SetWindow(const Window& window);

  // The batches that are due but were never sent, when the run gives up.
  void GiveUpDue(size_t group, Schedule* schedule, uint64_t now_ns);

  const RunPlan* const plan_;
  const uint32_t thread_;
  Window window_;
  std::vector<Measurement> measurements_;
  Findings findings_;
  uint64_t spun_ns_ = 0;
  std::vector<Request> scratch_;
  std::atomic<uint64_t> live_requests_{0};
};

// Our own connections on epoll.
std::unique_ptr<Driver> MakeEpollDriver(const RunPlan* plan, uint32_t thread);
// libzmq's DEALER sockets, one a client; work groups only.
std::unique_ptr<Driver> MakeLibzmqDriver(const RunPlan* plan, uint32_t thread);

}  // namespace entrepot::bench
