// When to look at connections again: times in order, one a connection at most.
//
// A deadline that moves later (traffic came) is not moved here: when its old time comes, the owner
// is asked and schedules it again. So traffic costs nothing, and a peer that changes its mind about
// its deadline holds one entry only.
//
// Thread safety: none; belongs to one io thread.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <set>
#include <utility>

#include "zmtp/message.h"

namespace entrepot::zmtp {

class Deadlines {
 public:
  static constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

  // `*scheduled` is what the connection remembers of its entry, kNever at first. Schedules it at
  // `at_micros` unless it is scheduled earlier.
  void Schedule(ConnectionHandle connection, int64_t at_micros, int64_t* scheduled) {
    if (at_micros >= *scheduled) return;
    Cancel(connection, scheduled);
    times_.emplace(at_micros, connection);
    *scheduled = at_micros;
  }

  void Cancel(ConnectionHandle connection, int64_t* scheduled) {
    if (*scheduled != kNever) times_.erase({*scheduled, connection});
    *scheduled = kNever;
  }

  // The earliest time, or kNever.
  int64_t next_micros() const { return times_.empty() ? kNever : times_.begin()->first; }

  // The first connection whose time has come. It is to be taken out by Cancel().
  std::optional<ConnectionHandle> Due(int64_t now_micros) const {
    if (next_micros() > now_micros) return std::nullopt;
    return times_.begin()->second;
  }

 private:
  std::set<std::pair<int64_t, ConnectionHandle>> times_;
};

}  // namespace entrepot::zmtp
