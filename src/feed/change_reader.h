// One reader of changes, wherever they are: in the ring, or where that has forgotten them, in the
// log.
//
// Thread safety: none; a reader belongs to who uses it. The ring and the log outlive it.
//
// Invariant: every change up to position() has been handed on, once, in the order of revisions.
#pragma once

#include <cstdint>
#include <memory>

#include "base/status.h"
#include "feed/ring.h"
#include "log/log.h"

namespace entrepot {

class ChangeReader {
 public:
  // Begins behind the revision `after`.
  ChangeReader(const Ring* ring, Log* log, uint64_t after)
      : ring_(*ring), log_(*log), cursor_(after) {}

  uint64_t position() const { return cursor_.revision(); }
  // Whether the ring has what comes next, so that Read() touches no file.
  bool InRing() const { return cursor_.revision() >= ring_.oldest(); }
  // The lowest position from which anyone can read.
  uint64_t Oldest() const;

  // Makes sure that what comes next can be read. Errors: kHistoryLost when the log does not have it
  // any more, or the position was skipped after an unclean stop; those of the log.
  Status Open();

  // As Ring::Read(), from wherever the changes are; never kLost. Errors: those of Open().
  Result<Ring::Outcome> Read(uint64_t through, size_t bytes_max, Ring::Visit visit);

 private:
  Result<Ring::Outcome> ReadLog(uint64_t through, size_t bytes_max, Ring::Visit visit);
  // kHistoryLost when the position is among revisions that `skip` says will never be given.
  Status CheckSkip(const Record& skip) const;

  const Ring& ring_;
  Log& log_;
  Ring::Cursor cursor_;
  std::unique_ptr<LogReader> log_reader_;
};

}  // namespace entrepot
