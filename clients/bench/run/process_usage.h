// CPU time and memory of a process, the server's or our own.
//
// CPU time comes from the process' CPU clock (clock_getcpuclockid(3)): all of its threads, also
// those that have ended, in nanoseconds. /proc/PID/stat counts in hundredths of a second.
//
// Thread safety: any thread.
#pragma once

#include <cstdint>

#include "base/status.h"

namespace entrepot::bench {

// `pid` 0 is the calling process. kInvalidArgument when there is no such process.
Result<uint64_t> CpuTimeNs(int pid);

// Resident bytes now (VmRSS of /proc/PID/status).
Result<uint64_t> ResidentBytes(int pid);

}  // namespace entrepot::bench
