// A reader of a FileLog's records, for watchers that are behind what is kept in memory.
//
// Thread safety: a reader belongs to one thread; the log may be appended to and trimmed meanwhile.
#pragma once

#include <cstdint>
#include <memory>

#include "log/file_log.h"
#include "log/log.h"
#include "log/segment_reader.h"

namespace entrepot {

class FileLogReader final : public LogReader {
 public:
  // Reads records whose revision is above `after`. The log must outlive the reader.
  FileLogReader(const FileLog& log, uint64_t after) : log_(log), after_(after) {}

  Result<bool> Read(size_t bytes_max, uint64_t through, const RecordVisitor& visit) override;

  // What a reader gets whose position was trimmed away.
  static Status TrimmedStatus(uint64_t oldest);

 private:
  // Moves to the next record above after_, which is then pending; false if there is none yet.
  Result<bool> Advance();
  // Where the segment that is read has come to its limit: has there be more to read, by a higher
  // limit or in the next segment; false if there is nothing more yet.
  Result<bool> Extend();
  Status OpenSegment(const LogSegment& segment);

  const FileLog& log_;
  const uint64_t after_;
  std::unique_ptr<SegmentReader> segment_;
  uint64_t limit_ = 0;    // Up to here segment_ had been written when last asked.
  bool pending_ = false;  // segment_'s record was not handed on yet.
};

}  // namespace entrepot
