// One run from beginning to end: threads, window, CPU and memory of server and tester.
//
// Thread safety: call from one thread; it starts and ends those it needs.
#pragma once

#include <string>
#include <vector>

#include "bench/run/measurement.h"
#include "bench/run/plan.h"

namespace entrepot::bench {

struct RunResult {
  std::vector<Measurement> groups;  // One for each group of the plan, in its order.
  Findings findings;

  // Inside the window. Server figures are 0 when its process is not known.
  double seconds = 0;
  double server_cpu_seconds = 0;
  double tester_cpu_seconds = 0;  // Without the time spent asking for events that were not there.
  uint64_t server_resident_before = 0;  // Bytes before any client connected.
  uint64_t server_resident_end = 0;     // Bytes at the end of the window, all clients connected.

  // Why the figures say more about the tester than about the server; empty if they do not.
  std::string void_reason;
};

// A core counts as busy from here on.
inline constexpr double kBusyCore = 0.95;

// Why `result` says more about the tester than about the server: its threads were busy while the
// server was not, or an open loop's latencies are mostly its own delay. Empty if it does not.
std::string FindVoidReason(const RunPlan& plan, const RunResult& result);

// kUnavailable when the server cannot be reached or a thread's driver failed.
Result<RunResult> RunOnce(const RunPlan& plan);

}  // namespace entrepot::bench
