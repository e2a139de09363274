// Reads the records of one segment in order, checking each against the chain of checksums.
//
// Recovery, the feed's fall-back and the tools all read through it. It reads ahead into a buffer of
// its own (bounded by the longest record) and judges nothing: where the chain breaks it stops, and
// JudgeTail() says whether that is a torn tail or damage.
//
// Thread safety: none; a reader belongs to one thread. Several may read the same file, also while
// it is written, as long as SetLimit() stays below what the writer has finished.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>

#include "base/file.h"
#include "base/status.h"
#include "log/format.h"

namespace entrepot {

class SegmentReader {
 public:
  // Opens `folder`/SegmentName(segment) and checks its header. Errors: those of the files, and
  // those of DecodeSegmentHeader(); damage too when the header is that of another segment.
  static Result<std::unique_ptr<SegmentReader>> Open(FileSystem& files, const std::string& folder,
                                                     uint64_t segment);

  // Bytes of the file at and behind `end` are not looked at. At first there is no limit but the
  // file's end.
  void SetLimit(uint64_t end) { limit_ = std::min(end, file_bytes_); }

  // Whether there is a whole record next, which is then in record(). False at the limit and at the
  // first record that is not whole; errors are those of reading.
  Result<bool> Next();

  // The record that Next() found; its payload is valid until the next call.
  const Record& record() const { return record_; }
  // Where it begins in the file.
  uint64_t record_offset() const { return record_offset_; }

  const SegmentHeader& header() const { return header_; }
  const std::string& name() const { return name_; }
  // How long the file was when it was opened. A segment does not grow.
  uint64_t file_bytes() const { return file_bytes_; }
  // Behind the last whole record: where the next one begins.
  uint64_t end() const { return end_; }
  // Of the last whole record; what the header says of the segment before when there is none.
  uint32_t checksum() const { return checksum_; }
  uint64_t revision() const { return revision_; }
  int64_t time_ms() const { return time_ms_; }
  // The highest that the header or a record before end() named.
  uint64_t ceiling() const { return ceiling_; }
  // The file was on disk up to here when the last group before end() was written.
  uint64_t durable_end() const { return durable_end_; }

  // What is behind end() in a segment that no other follows.
  struct Tail {
    // A whole group behind end() says that end() was on disk: what is missing was lost later.
    bool damaged = false;
    // From end() to the last byte that is not zero: what a crash or a power cut left unfinished.
    uint64_t torn_bytes = 0;
  };
  // Reads the rest of the file, up to the limit. To be called after Next() gave false.
  Result<Tail> JudgeTail();

 private:
  SegmentReader(std::string name, std::unique_ptr<File> file, uint64_t file_bytes,
                const SegmentHeader& header, uint32_t seed);

  // Has the buffer hold `bytes` from end_ on, if the file and the limit do; false if they do not.
  Result<bool> Fill(size_t bytes);

  const std::string name_;
  const std::unique_ptr<File> file_;
  const uint64_t file_bytes_;
  const SegmentHeader header_;
  const uint32_t seed_;

  uint64_t limit_;  // Never above file_bytes_.
  std::string buffer_;
  uint64_t buffer_offset_ = 0;  // Of the buffer's first byte in the file.

  Record record_{};
  uint64_t record_offset_ = 0;
  uint64_t end_ = kSegmentHeaderBytes;
  uint32_t checksum_;
  uint64_t revision_;
  int64_t time_ms_;
  uint64_t ceiling_;
  uint64_t durable_end_ = kSegmentHeaderBytes;
};

}  // namespace entrepot
