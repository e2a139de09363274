// Memory that connections hold, of all io threads together: unfinished input, waiting output.
//
// A connection reports every change of what it holds. Over a bound, the connection that holds most
// is closed by its own thread; `largest` is how threads tell each other which one that is. A number
// there may be too high, never too low: its thread looks again when it is asked (Inbox) and
// publishes the truth.
//
// Thread safety: all calls may come from any thread.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "zmtp/limits.h"

namespace entrepot::zmtp {

class Budget {
 public:
  explicit Budget(size_t bytes_max) : bytes_max_(bytes_max) {}

  // A connection of `io_thread` that held `before` bytes now holds `after`.
  void Change(uint32_t io_thread, size_t before, size_t after) {
    if (before == after) return;
    total_.fetch_add(after - before, std::memory_order_relaxed);
    if (after > largest_[io_thread].load(std::memory_order_relaxed)) {
      largest_[io_thread].store(after, std::memory_order_relaxed);
    }
  }

  // Bytes on their way to a connection, in an Inbox.
  void AddUnassigned(size_t bytes) { total_.fetch_add(bytes, std::memory_order_relaxed); }
  void RemoveUnassigned(size_t bytes) { total_.fetch_sub(bytes, std::memory_order_relaxed); }

  size_t total() const { return total_.load(std::memory_order_relaxed); }
  size_t bytes_max() const { return bytes_max_; }
  bool exceeded() const { return total() > bytes_max_; }

  // What the largest connection of `io_thread` holds, found by its own thread.
  void SetLargest(uint32_t io_thread, size_t bytes) {
    largest_[io_thread].store(bytes, std::memory_order_relaxed);
  }
  // The thread whose connection holds most.
  uint32_t ThreadOfLargest() const {
    uint32_t thread = 0;
    size_t most = 0;
    for (uint32_t i = 0; i < kIoThreadsMax; ++i) {
      const size_t bytes = largest_[i].load(std::memory_order_relaxed);
      if (bytes > most) most = bytes, thread = i;
    }
    return thread;
  }

 private:
  const size_t bytes_max_;
  std::atomic<size_t> total_{0};
  std::array<std::atomic<size_t>, kIoThreadsMax> largest_{};
};

}  // namespace entrepot::zmtp
