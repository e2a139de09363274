// Counts refusals and tells the user of some of them, so many a second, for the log.
//
// Thread safety: all calls may come from any thread.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/clock.h"
#include "base/limits.h"
#include "base/mutex.h"
#include "zmtp/events.h"
#include "zmtp/handler.h"

namespace entrepot::zmtp {

class Refusals {
 public:
  Refusals(Counters& counters, Handler& handler) : counters_(counters), handler_(handler) {}

  void Note(Event reason, std::string_view address) EXCLUDES(mu_) {
    counters_.Add(reason);
    uint64_t suppressed;
    {
      MutexLock lock(mu_);
      const int64_t second = MonotonicMicros() / 1'000'000;
      if (second != second_) second_ = second, told_ = 0;
      if (told_ >= kRefusedInputLines) {
        ++suppressed_;
        return;
      }
      ++told_;
      suppressed = suppressed_;
      suppressed_ = 0;
    }
    handler_.OnRefused(reason, address, suppressed);
  }

 private:
  Counters& counters_;
  Handler& handler_;
  Mutex mu_;
  int64_t second_ GUARDED_BY(mu_) = 0;
  int told_ GUARDED_BY(mu_) = 0;
  uint64_t suppressed_ GUARDED_BY(mu_) = 0;
};

}  // namespace entrepot::zmtp
