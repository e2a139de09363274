#include "bench/run/process_usage.h"

#include <fmt/format.h>

#include <ctime>
#include <fstream>
#include <string>

namespace entrepot::bench {
namespace {

Status NoProcess(int pid) {
  return Status(Code::kInvalidArgument, fmt::format("there is no process {}", pid));
}

}  // namespace

Result<uint64_t> CpuTimeNs(int pid) {
  clockid_t clock = CLOCK_PROCESS_CPUTIME_ID;
  timespec time;
  if ((pid != 0 && clock_getcpuclockid(pid, &clock) != 0) || clock_gettime(clock, &time) != 0) {
    return NoProcess(pid);
  }
  return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(time.tv_nsec);
}

Result<uint64_t> ResidentBytes(int pid) {
  std::ifstream file(pid == 0 ? std::string("/proc/self/status")
                              : fmt::format("/proc/{}/status", pid));
  std::string name;
  while (file >> name) {
    uint64_t kilobytes;
    if (name == "VmRSS:" && file >> kilobytes) return kilobytes * 1024;
  }
  return NoProcess(pid);
}

}  // namespace entrepot::bench
