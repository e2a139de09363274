// The log: the order of all changes. The log is the database; the store is what the log says.
//
// Two kinds implement it: files (file_log.h), and the one in this file that keeps nothing, for
// `--data none`. A replicated log can be a third: that is why a term stands in every record and why
// Append() says whether this server still owned it.
//
// Thread safety: Append() and Mark() belong to the committer's thread; the rest may be called from
// any. A LogReader belongs to one thread.
//
// Invariants:
//  1. Records are appended in the order of their revisions.
//  2. After a failed Append() the log accepts nothing more: what a failed fsync left on disk is
//     unknown, and a second fsync would lie about it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "base/status.h"
#include "log/record.h"

namespace entrepot {

// What an Append() made certain.
struct Watermark {
  uint64_t written = 0;  // Every revision up to here is in the hands of the operating system.
  uint64_t synced = 0;   // Every revision up to here is on disk. Never above `written`.
};

// Is handed records one by one, in their order; the payload is valid during the call. An error ends
// the reading and is returned by it.
using RecordVisitor = std::function<Status(const Record&)>;

// A position in the log from which records are read on, also while more are appended.
class LogReader {
 public:
  virtual ~LogReader() = default;

  // Hands on records of revisions up to `through`, until there is none or they took `bytes_max`.
  // Returns whether there may be more. Errors: kHistoryLost when the log was trimmed beyond the
  // position; those of the files; kInternal for damage.
  virtual Result<bool> Read(size_t bytes_max, uint64_t through, const RecordVisitor& visit) = 0;
};

class Log {
 public:
  virtual ~Log() = default;

  // Appends whole records (log/record.h), whose checksums it fills in; none has a revision above
  // `last_revision`. With `sync`, returns when they are on disk. An empty group with `sync` syncs
  // what was written before. Errors: kReadOnly while the disk is full (nothing of the group was
  // written, it may be appended again); kUnavailable for ever after a failed write or fsync.
  virtual Result<Watermark> Append(std::span<char> records, uint64_t last_revision, bool sync) = 0;

  // To be called when nothing was appended for kMarkIdleMs: syncs, and writes down that all is on
  // disk, so that later damage to the newest records is not taken for a torn tail. Does nothing
  // when that stands there already. Errors as Append().
  virtual Status Mark() = 0;

  // Whether a record is durable when Append() is called, so that nobody needs to wait for it.
  virtual bool durable_at_once() const = 0;

  // No record may be longer.
  virtual size_t record_bytes_max() const = 0;

  // False while there is no room but for what may wait in the commit queue: no new writes are to be
  // accepted, so that those accepted can be finished. It ends by itself.
  virtual bool writable() const = 0;
  // Why writable() is false: the disk is full, or room is being made and will be there soon.
  virtual bool disk_full() const { return !writable(); }

  // Every revision above this one is in the log; those up to it may have been trimmed.
  virtual uint64_t oldest() const = 0;

  // A reader of the records whose revision is above `after`. Errors: kHistoryLost.
  virtual Result<std::unique_ptr<LogReader>> Read(uint64_t after) = 0;

  // Forgets old records as far as that is cheap, but none whose revision is above `to`. One call at
  // a time.
  virtual Status Trim(uint64_t to) = 0;
};

// The log is idle when nothing was appended for this long.
inline constexpr int64_t kMarkIdleMs = 100;

// Keeps nothing and loses nothing that was promised: with `--data none` a stop empties the store.
class NullLog final : public Log {
 public:
  Result<Watermark> Append(std::span<char>, uint64_t last_revision, bool) override {
    return Watermark{last_revision, last_revision};
  }
  Status Mark() override { return Status(); }
  bool durable_at_once() const override { return true; }
  size_t record_bytes_max() const override { return size_t{1} << 32; }
  bool writable() const override { return true; }
  uint64_t oldest() const override { return UINT64_MAX; }
  Result<std::unique_ptr<LogReader>> Read(uint64_t) override {
    return Status(Code::kHistoryLost, "this server keeps no log");
  }
  Status Trim(uint64_t) override { return Status(); }
};

}  // namespace entrepot
