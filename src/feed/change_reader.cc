#include "feed/change_reader.h"

#include <algorithm>

#include <fmt/format.h>

namespace entrepot {

uint64_t ChangeReader::Oldest() const { return std::min(ring_.oldest(), log_.oldest()); }

Status ChangeReader::CheckSkip(const Record& skip) const {
  const uint64_t first = LoadLittle<uint64_t>(skip.payload.data());
  if (position() < first || position() >= skip.revision) return Status();
  return Status(Code::kHistoryLost,
                fmt::format("revision {} was lost in a crash; take a new snapshot", position()));
}

Status ChangeReader::Open() {
  if (InRing()) return Status();
  Result<std::unique_ptr<LogReader>> reader = log_.Read(position());
  if (!reader.ok()) return reader.status();
  // The first record says whether the position was ever given.
  const Result<bool> read = (*reader)->Read(1, ring_.newest(), [this](const Record& record) {
    return record.type == RecordType::kSkip ? CheckSkip(record) : Status();
  });
  return read.status();
}

Result<Ring::Outcome> ChangeReader::Read(uint64_t through, size_t bytes_max, Ring::Visit visit) {
  if (log_reader_ == nullptr) {
    const Ring::Outcome outcome = ring_.Read(&cursor_, through, bytes_max, visit);
    if (outcome != Ring::Outcome::kLost) return outcome;
  }
  return ReadLog(through, bytes_max, visit);
}

Result<Ring::Outcome> ChangeReader::ReadLog(uint64_t through, size_t bytes_max, Ring::Visit visit) {
  if (log_reader_ == nullptr) {
    Result<std::unique_ptr<LogReader>> reader = log_.Read(position());
    if (!reader.ok()) return reader.status();
    log_reader_ = std::move(*reader);
  }
  const uint64_t end = std::min(through, ring_.newest());
  bool wanted = true;
  for (size_t taken = 0; wanted && taken < bytes_max;) {
    bool handed_on = false;
    const auto take = [&](const Record& record) {
      handed_on = true;
      taken += RecordBytes(record.payload.size());
      if (record.type == RecordType::kSkip) {
        Status status = CheckSkip(record);
        if (status.ok() && record.revision > position()) cursor_ = Ring::Cursor(record.revision);
        return status;
      }
      if (record.type != RecordType::kChange || record.revision <= position()) return Status();
      cursor_ = Ring::Cursor(record.revision);
      wanted = visit(record);
      return Status();
    };
    // One record at a time, so that the reader stands behind the last one that was wanted.
    const Result<bool> read = log_reader_->Read(1, end, take);
    if (!read.ok()) return read.status();
    if (!handed_on) {
      // What is written may not have been seen by the reader yet, if the ring says it has passed.
      if (position() < end && !InRing()) return Ring::Outcome::kMore;
      if (InRing()) log_reader_.reset();
      return InRing() && position() < end ? Ring::Outcome::kMore : Ring::Outcome::kEnd;
    }
  }
  if (InRing()) log_reader_.reset();
  return Ring::Outcome::kMore;
}

}  // namespace entrepot
