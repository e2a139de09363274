// Interruption: says once that a command which would go on for ever is to end.
//
// That is Ctrl-C or SIGTERM, or that nobody reads stdout any more: `entrepot watch | head` ends
// when head does, not with the next event.
//
// Thread safety: none; one at a time in a process, for signals are of the process.

#pragma once

#include <signal.h>

#include <functional>
#include <thread>

namespace entrepot::cli {

class Interruption {
 public:
  // `end` is called at most once, on a thread of its own.
  explicit Interruption(std::function<void()> end);
  // Signals do again what they did before.
  ~Interruption();
  Interruption(const Interruption&) = delete;
  Interruption& operator=(const Interruption&) = delete;

 private:
  void Wait();

  const std::function<void()> end_;
  struct sigaction interrupt_before_ = {};
  struct sigaction terminate_before_ = {};
  std::thread thread_;
};

}  // namespace entrepot::cli
