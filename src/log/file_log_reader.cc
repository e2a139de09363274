#include "log/file_log_reader.h"

#include <vector>

#include <fmt/format.h>

namespace entrepot {

Status FileLogReader::TrimmedStatus(uint64_t oldest) {
  return Status(Code::kHistoryLost, fmt::format("the log begins behind revision {}", oldest));
}

Status FileLogReader::OpenSegment(const LogSegment& segment) {
  Result<std::unique_ptr<SegmentReader>> opened = log_.OpenSegment(segment.segment);
  if (!opened.ok()) {
    // It may have been trimmed since the list was made.
    const uint64_t oldest = log_.oldest();
    return oldest > segment.previous_revision ? TrimmedStatus(oldest) : opened.status();
  }
  segment_ = std::move(*opened);
  limit_ = segment.end;
  segment_->SetLimit(limit_);
  return Status();
}

Result<bool> FileLogReader::Extend() {
  if (segment_->end() < limit_) {
    return DamageStatus(segment_->name(), segment_->end(), "a record is not whole");
  }
  const std::vector<LogSegment> segments = log_.SegmentsFrom(0);
  const uint64_t number = segment_->header().segment;
  for (size_t i = 0; i < segments.size(); ++i) {
    if (segments[i].segment != number) continue;
    if (segments[i].end > limit_) {
      limit_ = segments[i].end;
      segment_->SetLimit(limit_);
      return true;
    }
    if (i + 1 == segments.size()) return false;
    const Status status = OpenSegment(segments[i + 1]);
    if (!status.ok()) return status;
    return true;
  }
  return TrimmedStatus(segments.front().previous_revision);
}

Result<bool> FileLogReader::Advance() {
  if (segment_ == nullptr) {
    const std::vector<LogSegment> segments = log_.SegmentsFrom(after_ + 1);
    const LogSegment& first = segments.front();
    if (first.previous_revision > after_) return TrimmedStatus(first.previous_revision);
    const Status status = OpenSegment(first);
    if (!status.ok()) return status;
  }
  for (;;) {
    const Result<bool> next = segment_->Next();
    if (!next.ok()) return next;
    if (*next) {
      const Record& record = segment_->record();
      if (record.revision > after_ && !IsOwnOfLog(record.type)) return true;
    } else {
      const Result<bool> extended = Extend();
      if (!extended.ok() || !*extended) return extended;
    }
  }
}

Result<bool> FileLogReader::Read(size_t bytes_max, uint64_t through, const RecordVisitor& visit) {
  for (size_t bytes = 0; bytes < bytes_max;) {
    if (!pending_) {
      const Result<bool> advanced = Advance();
      if (!advanced.ok() || !*advanced) return advanced;
      pending_ = true;
    }
    const Record& record = segment_->record();
    if (record.revision > through) return false;
    pending_ = false;
    bytes += RecordBytes(record.payload.size());
    Status status = visit(record);
    if (!status.ok()) return status;
  }
  return true;
}

}  // namespace entrepot
