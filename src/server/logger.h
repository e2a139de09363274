// Log lines that a person reads: start, ready, stop, what went wrong, and refused input at a
// limited rate. Never a line a request.
//
//    2026-11-24T13:29:03.120Z info    ready on tcp://127.0.0.1:5555
//
// It is not a framework: no categories, no files, no rotation; the service manager that reads
// stderr does that better. There is no global logger: who wants to say something is handed one, so
// two servers in one process can speak to two places.
//
// Thread safety: all calls from any thread; lines never mix.
//
// Invariants:
//  1. A line is one line: control characters of a message are written as \xNN, so that what a peer
//     sent cannot forge a line or steer a terminal.
//  2. Of refused input at most kRefusedInputLines lines a second are written; the others are
//  counted
//     and told as one line when that second is over.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/clock.h"
#include "base/mutex.h"

namespace entrepot {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

class Logger {
 public:
  // Receives whole lines with their newline, one at a time.
  using Sink = std::function<void(std::string_view line)>;

  // Writes lines of `lowest` and above to stderr.
  explicit Logger(LogLevel lowest);
  // Writes them to `sink`, with the hour of `clock`, which outlives the logger.
  Logger(LogLevel lowest, Sink sink, const Clock& clock);
  Logger(const Logger&) = delete;
  Logger& operator=(const Logger&) = delete;
  // Tells of refused inputs not yet told.
  ~Logger();

  template <typename... Arguments>
  void Debug(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    Say(LogLevel::kDebug, format, std::forward<Arguments>(arguments)...);
  }
  template <typename... Arguments>
  void Info(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    Say(LogLevel::kInfo, format, std::forward<Arguments>(arguments)...);
  }
  template <typename... Arguments>
  void Warning(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    Say(LogLevel::kWarning, format, std::forward<Arguments>(arguments)...);
  }
  template <typename... Arguments>
  void Error(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    Say(LogLevel::kError, format, std::forward<Arguments>(arguments)...);
  }

  // A warning about refused input, at the limited rate; nothing is formatted beyond it.
  template <typename... Arguments>
  void Refused(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    if (AdmitRefused()) Say(LogLevel::kWarning, format, std::forward<Arguments>(arguments)...);
  }

  // Tells how many refused inputs had no line of their own, once their second is over. For a timer:
  // without it they are told with the next refused input.
  void TellRefused();

 private:
  template <typename... Arguments>
  void Say(LogLevel level, fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    if (level < lowest_) return;
    const std::string message = fmt::format(format, std::forward<Arguments>(arguments)...);
    MutexLock lock(mutex_);
    WriteLocked(level, message);
  }

  // Whether a refused input gets a line; counts it if not.
  bool AdmitRefused();
  void EndRefusedSecondLocked() REQUIRES(mutex_);
  void WriteLocked(LogLevel level, std::string_view message) REQUIRES(mutex_);

  // Constant after construction.
  const LogLevel lowest_;
  const Sink sink_;
  const Clock& clock_;

  Mutex mutex_;
  int64_t refused_second_ms_ GUARDED_BY(mutex_) = 0;  // When the current second began.
  int refused_lines_ GUARDED_BY(mutex_) = 0;          // Written in it.
  uint64_t refused_untold_ GUARDED_BY(mutex_) = 0;    // Counted in it, without a line.
};

}  // namespace entrepot
