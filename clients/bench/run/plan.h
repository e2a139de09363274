// What one run is to do: its groups of clients and its times. Filled from the command line
// (options.h), constant while the run lasts.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bench/run/endpoint.h"
#include "bench/run/schedule.h"
#include "bench/wire/codec.h"
#include "bench/workload/mix.h"
#include "bench/workload/workload.h"

namespace entrepot::bench {

enum class Role : uint8_t {
  kWork,       // Sends requests and is measured.
  kLoad,       // Sets each key once; the run ends when all are answered.
  kIdle,       // Connects and does nothing.
  kSlow,       // Sends requests without end and reads its replies slowly, or not at all.
  kReconnect,  // Works, but connects anew after a few batches.
};

struct GroupOptions {
  std::string name = "main";
  Role role = Role::kWork;
  uint32_t clients = 50;
  uint32_t outstanding = 1;  // Batches a client waits for at once.
  uint32_t requests_per_batch = 1;
  double rate = 0;  // Requests a second of the whole group; 0: a closed loop.
  Arrival arrival = Arrival::kConstant;
  Mix mix;
  uint64_t slow_bytes_per_second = 0;   // kSlow: what a client reads; 0: it never reads.
  uint32_t batches_per_connection = 1;  // kReconnect.
};

// Bounds of what can be asked for.
inline constexpr uint32_t kClientsMax = 100'000;  // Beyond it the ports of one address end.
inline constexpr uint32_t kOutstandingMax = 65'536;
inline constexpr uint32_t kBatchMax = 65'536;  // The protocol's limit of a body.
inline constexpr uint32_t kThreadsMax = 256;

struct RunPlan {
  Endpoint endpoint;
  const Codec* codec = nullptr;
  Workload* workload = nullptr;
  std::vector<GroupOptions> groups;
  uint32_t threads = 1;
  bool libzmq = false;  // libzmq's DEALER sockets instead of our own connections.
  bool spin = false;    // Ask for events without sleeping: the tester has a core of its own.
  bool verify = false;
  bool raw_samples = false;
  bool live_line = false;
  uint64_t warm_up_ns = 0;
  uint64_t duration_ns = 0;
  uint64_t drain_ns = 0;    // How long answers are waited for after the end.
  uint64_t connect_ns = 0;  // How long all clients may take to connect.
  int server_pid = 0;       // 0: unknown.
};

// The times of a run, in nanoseconds of the monotonic clock. Loading has no end: to_ns is its
// greatest value.
struct Window {
  uint64_t start_ns = 0;
  uint64_t from_ns = 0;  // The warm-up is over.
  uint64_t to_ns = 0;
  uint64_t drain_ns = 0;  // Give up what is still unanswered.
};

uint64_t NowNs();

}  // namespace entrepot::bench
