// How much of a spinning thread's CPU time went into asking for events that were not there: that
// much of it was idle.
//
// Measured in CPU time, because on a shared core the clock also runs while others do. It is read
// only where a stretch of idleness begins and ends, so that busy turns do not pay for it.
//
// Thread safety: none; it belongs to the spinning thread.
#pragma once

#include <cstdint>
#include <ctime>

namespace entrepot::bench {

class SpinMeter {
 public:
  void SetWindow(uint64_t from_ns, uint64_t to_ns) {
    from_ns_ = from_ns;
    to_ns_ = to_ns;
  }

  // A turn of the loop has ended at `now_ns`; `idle`: there was nothing to do in it.
  void Note(bool idle, uint64_t now_ns) {
    const bool counted = idle && now_ns >= from_ns_ && now_ns < to_ns_;
    if (counted == idle_) return;
    idle_ = counted;
    if (counted) {
      idle_since_ns_ = ThreadCpuNs();
    } else {
      spun_ns_ += ThreadCpuNs() - idle_since_ns_;
    }
  }

  uint64_t spun_ns() const { return spun_ns_; }

 private:
  static uint64_t ThreadCpuNs() {
    timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(time.tv_nsec);
  }

  uint64_t from_ns_ = 0;
  uint64_t to_ns_ = 0;
  bool idle_ = false;
  uint64_t idle_since_ns_ = 0;
  uint64_t spun_ns_ = 0;
};

}  // namespace entrepot::bench
