// Time, passed in: whoever needs the hour asks a Clock, so that tests can set it.
//
// Thread safety: Clock's calls may come from any thread.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace entrepot {

class Clock {
 public:
  virtual ~Clock() = default;
  // Milliseconds since 1970-01-01 UTC; may step back when the system's clock is set.
  virtual int64_t WallMs() const = 0;
  // The system's clock.
  static const Clock& System();
};

// A clock that a test sets.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(int64_t now_ms) : now_ms_(now_ms) {}
  int64_t WallMs() const override { return now_ms_.load(std::memory_order_relaxed); }
  void Set(int64_t now_ms) { now_ms_.store(now_ms, std::memory_order_relaxed); }
  void Advance(int64_t by_ms) { now_ms_.fetch_add(by_ms, std::memory_order_relaxed); }

 private:
  std::atomic<int64_t> now_ms_;
};

inline const Clock& Clock::System() {
  class SystemClock final : public Clock {
    int64_t WallMs() const override {
      using std::chrono::duration_cast, std::chrono::milliseconds, std::chrono::system_clock;
      return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
    }
  };
  static const SystemClock clock;
  return clock;
}

// Microseconds that never step back, for measuring durations.
inline int64_t MonotonicMicros() {
  using std::chrono::duration_cast, std::chrono::microseconds, std::chrono::steady_clock;
  return duration_cast<microseconds>(steady_clock::now().time_since_epoch()).count();
}

}  // namespace entrepot
