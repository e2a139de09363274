// The log in files: segments that are written by one thread, group after group, and never changed.
//
// It does not know what a payload means, has no clock, and does not trim by itself: the engine
// decides when. A memory-mapped ring would save a copy and cost torn writes; one file would never
// give room back. OpenLog() (recovery.h) makes a FileLog; nothing else does.
//
// Thread safety: as log.h says. Append(), Mark() and Stop() belong to one thread, which also may be
// the one that opened it; the rest may be called from any thread, Trim() by one at a time.
//
// Invariants, on which recovery relies:
//  1. A segment was synced whole before the header of the next one is written, and a header is
//     synced, with the folder, before a group follows it. So a bad record in a segment that has a
//     successor is damage, never a torn tail.
//  2. A group's `durable_end` was on disk when the group was written. So a bad record below the
//     durable_end of any whole group behind it is damage.
//  3. The ceiling on disk is at least kCeilingMargin above the last revision of every group whose
//     Append() has returned, and so above every revision that a commit queue can hold.
//  4. A segment is as long as its header says until another follows or the server stops cleanly.
//
// See docs/FORMAT.md for the bytes and for what recovery concludes.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/limits.h"
#include "base/mutex.h"
#include "base/status.h"
#include "log/format.h"
#include "log/log.h"
#include "log/segment_reader.h"
#include "log/spare_segments.h"

namespace entrepot {

// How long a segment is made: long enough that syncing the folder is rare, short enough to give
// room back in small steps. A longer record gets a longer one.
inline constexpr uint64_t kSegmentBytesDefault = uint64_t{64} << 20;
// What the commit queue may hold, and a quarter more for the ends of segments that stay empty
// because the next record is longer.
inline constexpr uint64_t kReserveBytesDefault = kCommitQueueBytesMax + kCommitQueueBytesMax / 4;
// No record may be longer: a group's header counts its bytes in 32 bits.
inline constexpr size_t kLogRecordBytesMax = size_t{1} << 30;
// A ceiling is raised by this much, so a sync for it is rare.
inline constexpr uint64_t kCeilingStep = uint64_t{1} << 20;
// The two buffers of the commit queue hold fewer records than this, whose revisions are given
// before the log sees them.
inline constexpr uint64_t kCeilingMargin = 2 * kCommitQueueBytesMax / kRecordHeaderBytes;

struct FileLogOptions {
  uint64_t segment_bytes = kSegmentBytesDefault;
  // writable() is false while there is less room than this.
  uint64_t reserve_bytes = kReserveBytesDefault;
  // Segments are made ahead by a thread. Off in tests that count file calls.
  bool background = true;
};

// Where the records of a log end.
struct LogEnd {
  uint64_t segment = 0;  // The last one's number; 0 if there is none.
  uint64_t offset = 0;   // Behind the last whole record.
  uint64_t revision = 0;
  int64_t time_ms = 0;
  uint64_t ceiling = 0;
  uint32_t checksum = 0;  // Of the last whole record.
};

// A segment and what its whole records are.
struct LogSegment {
  uint64_t segment = 0;
  uint64_t previous_revision = 0;  // The last one before it.
  int64_t previous_time_ms = 0;    // Likewise, the newest time.
  uint64_t end = 0;                // Of its records; grows in the segment that is written.
  uint32_t checksum = 0;           // Of its last record.
};

// How much of the log is kept that a snapshot makes superfluous, for watchers that were away: the
// newest of it that fits into both.
struct LogKeep {
  uint64_t bytes = 0;
  int64_t time_ms = 0;  // Since the newest record of a segment.
};

// Of `segments`, those that may hold records whose revision is at least `from`, in order.
std::vector<LogSegment> SegmentsFrom(std::span<const LogSegment> segments, uint64_t from);

class FileLog final : public Log {
 public:
  // Used by OpenLog(): a log that ends at `end`, whose segments are `segments`, and into which
  // nothing can be appended before BeginSegment() and BeginRevisions().
  FileLog(FileSystem& files, std::string folder, const FileLogOptions& options,
          const Identity& identity, const LogEnd& end, std::vector<LogSegment> segments,
          std::unique_ptr<FileLock> lock);
  // Without Stop() the next start takes the stop for a crash: that costs revisions, never records.
  ~FileLog() override;

  Result<Watermark> Append(std::span<char> records, uint64_t last_revision, bool sync) override;
  Status Mark() override;
  bool durable_at_once() const override { return false; }
  size_t record_bytes_max() const override { return kLogRecordBytesMax; }
  bool writable() const override;
  bool disk_full() const override { return spares_.disk_full(); }
  uint64_t oldest() const override;
  Result<std::unique_ptr<LogReader>> Read(uint64_t after) override;
  Status Trim(uint64_t to) override;

  // The highest revision that Trim() may be called with when a snapshot of `begin` is on disk, to
  // leave what is needed behind that and what `keep` says at `now_ms`; 0 when nothing is to go.
  uint64_t SuperfluousUpTo(uint64_t begin, const LogKeep& keep, int64_t now_ms) const;

  // The clean stop: marks the end, writes it down and cuts what was made ahead. Nothing can be
  // appended afterwards.
  Status Stop();

  // For recovery: the segments that may hold records whose revision is at least `from`, in order.
  std::vector<LogSegment> SegmentsFrom(uint64_t from) const;
  // Hands on the records of one of them whose revision is at least `from`, except the log's own
  // groups and ceilings. Several threads may each read a segment. Damage anywhere in it, also
  // before `from`, is an error.
  Status ReadSegment(const LogSegment& segment, uint64_t from, const RecordVisitor& visit) const;
  // All of SegmentsFrom(from), one after the other.
  Status Replay(uint64_t from, const RecordVisitor& visit) const;

  // A reader of one of the segments; errors as SegmentReader::Open().
  Result<std::unique_ptr<SegmentReader>> OpenSegment(uint64_t segment) const;

  // Bytes of records in the folder, of all segments together.
  uint64_t bytes() const;
  const Identity& identity() const { return identity_; }
  const std::string& folder() const { return folder_; }

  // Begins a new segment behind the log's end.
  Status BeginSegment();
  // Makes sure of the ceiling. With `skip`, first writes down that no revision from the last one up
  // to the old ceiling will be given; returns the first and the last of them.
  struct Skipped {
    uint64_t first;
    uint64_t last;
  };
  Result<std::optional<Skipped>> BeginRevisions(bool skip);

 private:
  // A part of a group that goes into one segment.
  struct Piece {
    std::span<char> records;
    std::optional<SpareSegment> segment;  // It begins this one.
  };

  // Splits records at the segments' ends and takes the segments that are needed.
  Result<std::vector<Piece>> Plan(std::span<char> records, size_t own_bytes);
  // Writes `own` (records of the log itself) and records as one group, or several where a segment
  // ends. kReadOnly when nothing was written; after any other error the log is poisoned.
  Status WriteGroup(std::string own, std::span<char> records);
  Status WritePiece(std::span<char> own, std::span<char> records);
  Status Roll(SpareSegment spare);
  Status Sync();
  // From now on every Append() returns this.
  Status Poison(const Status& status);
  // The record that raises the ceiling to `ceiling`, behind a record of `revision`.
  std::string CeilingRecord(uint64_t revision, uint64_t ceiling) const;
  // Has spares made when the room runs low.
  void KeepRoom();

  // Constant after construction.
  FileSystem& files_;
  const std::string folder_;
  const FileLogOptions options_;
  const Identity identity_;
  const std::unique_ptr<FileLock> lock_;

  // Synchronise themselves.
  SpareSegments spares_;
  std::atomic<uint64_t> room_{0};  // Left in the segment that is written.

  // Owned by the committer's thread.
  std::unique_ptr<File> file_;
  uint64_t file_bytes_ = 0;
  uint32_t seed_ = 0;
  LogEnd end_;
  uint64_t durable_end_ = 0;  // In the segment that is written.
  uint64_t durable_revision_ = 0;
  bool marked_ = false;  // The last group says that all before it is on disk, and is so itself.
  Status failure_;

  mutable Mutex mu_;
  std::vector<LogSegment> segments_ GUARDED_BY(mu_);
};

}  // namespace entrepot
