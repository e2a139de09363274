#include "server/logger.h"

#include <cstdio>
#include <ctime>
#include <iterator>

#include <fmt/chrono.h>

#include "base/limits.h"

namespace entrepot {
namespace {

constexpr int64_t kSecondMs = 1000;

std::string_view Name(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kError:
      return "error";
  }
  return "error";
}

// `message` with control characters written as \xNN. Bytes of 0x80 and above stay: they are UTF-8.
std::string OneLine(std::string_view message) {
  std::string line;
  line.reserve(message.size());
  for (const char c : message) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      fmt::format_to(std::back_inserter(line), "\\x{:02x}", byte);
    } else {
      line.push_back(c);
    }
  }
  return line;
}

// A log that cannot be written must not stop the server: the outcome of the write is not looked at.
void WriteToStderr(std::string_view line) { std::fwrite(line.data(), 1, line.size(), stderr); }

}  // namespace

Logger::Logger(LogLevel lowest) : Logger(lowest, WriteToStderr, Clock::System()) {}

Logger::Logger(LogLevel lowest, Sink sink, const Clock& clock)
    : lowest_(lowest), sink_(std::move(sink)), clock_(clock) {}

Logger::~Logger() {
  MutexLock lock(mutex_);
  EndRefusedSecondLocked();
}

void Logger::TellRefused() {
  MutexLock lock(mutex_);
  const int64_t age_ms = clock_.WallMs() - refused_second_ms_;
  if (age_ms < 0 || age_ms >= kSecondMs) EndRefusedSecondLocked();
}

bool Logger::AdmitRefused() {
  if (LogLevel::kWarning < lowest_) return false;
  MutexLock lock(mutex_);
  const int64_t now_ms = clock_.WallMs();
  // A clock that was set back begins a new second too: waiting for it would silence the log.
  if (now_ms < refused_second_ms_ || now_ms - refused_second_ms_ >= kSecondMs) {
    EndRefusedSecondLocked();
    refused_second_ms_ = now_ms;
  }
  if (refused_lines_ >= kRefusedInputLines) {
    ++refused_untold_;
    return false;
  }
  ++refused_lines_;
  return true;
}

void Logger::EndRefusedSecondLocked() {
  if (refused_untold_ > 0) {
    WriteLocked(LogLevel::kWarning,
                fmt::format("and {} more inputs refused within a second", refused_untold_));
  }
  refused_untold_ = 0;
  refused_lines_ = 0;
}

void Logger::WriteLocked(LogLevel level, std::string_view message) {
  const int64_t now_ms = clock_.WallMs();
  const std::tm hour = fmt::gmtime(static_cast<std::time_t>(now_ms / kSecondMs));
  sink_(fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z {:<7} {}\n", hour, now_ms % kSecondMs, Name(level),
                    OneLine(message)));
}

}  // namespace entrepot
