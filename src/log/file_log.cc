#include "log/file_log.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/random.h"
#include "log/file_log_reader.h"

namespace entrepot {
namespace {

// A record of the log's own with one u64 as payload.
std::string OwnRecord(RecordType type, uint64_t revision, int64_t time_ms, uint64_t payload) {
  std::string record(RecordBytes(sizeof payload), '\0');
  StoreRecordHeader(record.data(), sizeof payload, revision, /*term=*/0, time_ms, type);
  StoreLittle<uint64_t>(record.data() + kRecordHeaderBytes, payload);
  return record;
}

// The bytes of the record at the front of `records`.
size_t FrontBytes(std::span<const char> records) {
  return RecordBytes(LoadLittle<uint32_t>(records.data()));
}

// Fills in the checksums of whole records, which follow the end that `end` has; moves it behind
// them, but for its offset.
void ChainRecords(std::span<char> records, LogEnd& end) {
  while (!records.empty()) {
    const size_t bytes = FrontBytes(records);
    CHECK(bytes <= records.size());
    const std::string_view whole(records.data(), bytes);
    const Record record = LoadRecord(whole);
    CHECK(record.revision >= end.revision);
    end.checksum = RecordChecksum(end.checksum, whole);
    StoreLittle<uint32_t>(records.data() + 4, end.checksum);
    end.time_ms = std::max(end.time_ms, record.time_ms);
    end.revision = record.revision;
    records = records.subspan(bytes);
  }
}

}  // namespace

std::vector<LogSegment> SegmentsFrom(std::span<const LogSegment> segments, uint64_t from) {
  std::vector<LogSegment> found;
  for (size_t i = 0; i < segments.size(); ++i) {
    const bool last = i + 1 == segments.size();
    if (last || segments[i + 1].previous_revision >= from) found.push_back(segments[i]);
  }
  return found;
}

FileLog::FileLog(FileSystem& files, std::string folder, const FileLogOptions& options,
                 const Identity& identity, const LogEnd& end, std::vector<LogSegment> segments,
                 std::unique_ptr<FileLock> lock)
    : files_(files),
      folder_(std::move(folder)),
      options_(options),
      identity_(identity),
      lock_(std::move(lock)),
      spares_(files, folder_, options.segment_bytes, options.background),
      end_(end),
      durable_revision_(end.revision),
      segments_(std::move(segments)) {}

FileLog::~FileLog() = default;

Status FileLog::Poison(const Status& status) {
  failure_ = Status(Code::kUnavailable, "the log failed: " + status.message());
  return failure_;
}

std::string FileLog::CeilingRecord(uint64_t revision, uint64_t ceiling) const {
  return OwnRecord(RecordType::kCeiling, revision, end_.time_ms, ceiling);
}

bool FileLog::writable() const {
  return room_.load(std::memory_order_relaxed) + spares_.bytes() >= options_.reserve_bytes;
}

void FileLog::KeepRoom() {
  const uint64_t left = file_bytes_ - end_.offset;
  room_.store(left, std::memory_order_relaxed);
  // A quarter of a segment more, so that a spare is made before writable() would turn false.
  const uint64_t wanted = options_.reserve_bytes + options_.segment_bytes / 4;
  if (left + spares_.bytes() < wanted) spares_.KeepRoom(wanted - left);
}

Status FileLog::Sync() {
  Status status = file_->SyncData();
  if (!status.ok()) return Poison(status);
  durable_end_ = end_.offset;
  durable_revision_ = end_.revision;
  return Status();
}

Status FileLog::Roll(SpareSegment spare) {
  if (file_ != nullptr && durable_end_ < end_.offset) {
    Status status = Sync();
    if (!status.ok()) return status;
  }
  const SegmentHeader header{.history = identity_.history,
                             .segment = end_.segment + 1,
                             .salt = RandomUint64(),
                             .bytes = spare.bytes,
                             .previous_end = end_.offset,
                             .previous_revision = end_.revision,
                             .previous_time_ms = end_.time_ms,
                             .ceiling = end_.ceiling,
                             .previous_checksum = end_.checksum};
  const std::string bytes = EncodeSegmentHeader(header);
  Status status = spare.file->WriteAt(0, bytes);
  if (status.ok()) status = spare.file->SyncData();
  if (status.ok()) status = files_.Rename(spare.path, folder_ + "/" + SegmentName(header.segment));
  if (status.ok()) status = files_.SyncFolder(folder_);
  if (status.ok() && file_ != nullptr) status = file_->Truncate(end_.offset);
  if (!status.ok()) return Poison(status);

  file_ = std::move(spare.file);
  file_bytes_ = spare.bytes;
  seed_ = SegmentSeed(bytes);
  end_.segment = header.segment;
  end_.offset = kSegmentHeaderBytes;
  end_.checksum = seed_;
  durable_end_ = kSegmentHeaderBytes;
  marked_ = false;
  MutexLock lock(mu_);
  segments_.push_back({.segment = header.segment,
                       .previous_revision = header.previous_revision,
                       .previous_time_ms = header.previous_time_ms,
                       .end = kSegmentHeaderBytes,
                       .checksum = seed_});
  return Status();
}

Status FileLog::BeginSegment() {
  Result<SpareSegment> spare = spares_.Take(options_.segment_bytes);
  if (!spare.ok()) return spare.status();
  Status status = Roll(std::move(*spare));
  if (status.ok()) KeepRoom();
  return status;
}

Result<std::optional<FileLog::Skipped>> FileLog::BeginRevisions(bool skip) {
  std::optional<Skipped> skipped;
  std::string own;
  uint64_t last = end_.revision;
  if (skip && end_.ceiling > end_.revision) {
    skipped = Skipped{end_.revision + 1, end_.ceiling};
    last = end_.ceiling;
    own = OwnRecord(RecordType::kSkip, last, end_.time_ms, skipped->first);
  }
  if (end_.ceiling >= last + kCeilingMargin) return skipped;
  const uint64_t ceiling = last + kCeilingMargin + kCeilingStep;
  own += CeilingRecord(last, ceiling);
  Status status = WriteGroup(std::move(own), {});
  if (status.ok()) status = Sync();
  if (!status.ok()) return status;
  end_.ceiling = ceiling;
  return skipped;
}

Result<std::vector<FileLog::Piece>> FileLog::Plan(std::span<char> records, size_t own_bytes) {
  std::vector<Piece> pieces;
  uint64_t left = file_bytes_ - end_.offset;
  size_t overhead = kGroupBytes + own_bytes;
  pieces.emplace_back();
  if (left >= overhead + records.size()) {
    pieces.back().records = records;
    return pieces;
  }
  if (records.empty()) {
    Result<SpareSegment> spare = spares_.Take(kSegmentHeaderBytes + overhead);
    if (!spare.ok()) return spare.status();
    pieces.back().segment = std::move(*spare);
    return pieces;
  }
  while (!records.empty()) {
    size_t fitting = 0;
    while (fitting < records.size()) {
      const size_t next = fitting + FrontBytes(records.subspan(fitting));
      if (overhead + next > left) break;
      fitting = next;
    }
    if (fitting > 0) {
      pieces.back().records = records.first(fitting);
      records = records.subspan(fitting);
      overhead = kGroupBytes;
      left = 0;  // The next record did not fit, so the next piece begins a segment.
      if (!records.empty()) pieces.emplace_back();
      continue;
    }
    Result<SpareSegment> spare = spares_.Take(kSegmentHeaderBytes + overhead + FrontBytes(records));
    if (!spare.ok()) {
      for (Piece& piece : pieces) {
        if (piece.segment) spares_.Return(std::move(*piece.segment));
      }
      return spare.status();
    }
    left = spare->bytes - kSegmentHeaderBytes;
    pieces.back().segment = std::move(*spare);
  }
  return pieces;
}

Status FileLog::WriteGroup(std::string own, std::span<char> records) {
  Result<std::vector<Piece>> pieces = Plan(records, own.size());
  if (!pieces.ok()) {
    // Nothing was written, so a disk that has room again may go on.
    return pieces.status().code() == Code::kReadOnly ? pieces.status() : Poison(pieces.status());
  }
  for (Piece& piece : *pieces) {
    if (piece.segment) {
      Status status = Roll(std::move(*piece.segment));
      if (!status.ok()) return status;
    }
    Status status = WritePiece(own, piece.records);
    if (!status.ok()) return status;
    own.clear();
  }
  KeepRoom();
  return Status();
}

Status FileLog::WritePiece(std::span<char> own, std::span<char> records) {
  char group[kGroupBytes];
  const GroupHeader header{.durable_revision = durable_revision_,
                           .durable_end = durable_end_,
                           .offset = end_.offset,
                           .bytes = static_cast<uint32_t>(own.size() + records.size()),
                           .previous_checksum = end_.checksum};
  LogEnd end = end_;
  end.checksum = StoreGroup(group, header, seed_, end_.revision, end_.time_ms);
  ChainRecords(own, end);
  ChainRecords(records, end);
  end.offset += kGroupBytes + own.size() + records.size();
  const std::string_view parts[] = {
      {group, kGroupBytes}, {own.data(), own.size()}, {records.data(), records.size()}};
  Status status = file_->WriteAt(end_.offset, parts);
  if (!status.ok()) return Poison(status);
  end_ = end;
  marked_ = false;
  MutexLock lock(mu_);
  segments_.back().end = end_.offset;
  segments_.back().checksum = end_.checksum;
  return Status();
}

Result<Watermark> FileLog::Append(std::span<char> records, uint64_t last_revision, bool sync) {
  if (!failure_.ok()) return failure_;
  CHECK(file_ != nullptr);
  if (!records.empty()) {
    std::string own;
    uint64_t ceiling = end_.ceiling;
    if (ceiling < last_revision + kCeilingMargin) {
      ceiling = last_revision + kCeilingMargin + kCeilingStep;
      own = CeilingRecord(end_.revision, ceiling);
      sync = true;
    }
    Status status = WriteGroup(std::move(own), records);
    if (!status.ok()) return status;
    CHECK(end_.revision <= last_revision);
    end_.ceiling = ceiling;
  }
  if (sync && durable_end_ < end_.offset) {
    Status status = Sync();
    if (!status.ok()) return status;
  }
  return Watermark{.written = end_.revision, .synced = durable_revision_};
}

Status FileLog::Mark() {
  if (!failure_.ok()) return failure_;
  CHECK(file_ != nullptr);
  if (marked_) return Status();
  if (durable_end_ < end_.offset) {
    Status status = Sync();
    if (!status.ok()) return status;
  }
  Status status = WriteGroup({}, {});
  if (status.ok()) status = Sync();
  marked_ = status.ok();
  return status;
}

Status FileLog::Stop() {
  Status status = Mark();
  if (!status.ok()) return status;
  const std::string stopped = folder_ + "/" + std::string(kStoppedName);
  const std::string temporary = stopped + std::string(kTemporarySuffix);
  status = WriteWholeFile(files_, temporary,
                          EncodeStopped({.history = identity_.history,
                                         .segment = end_.segment,
                                         .end = end_.offset,
                                         .revision = end_.revision,
                                         .checksum = end_.checksum}));
  if (status.ok()) status = files_.Rename(temporary, stopped);
  if (status.ok()) status = files_.SyncFolder(folder_);
  if (status.ok()) status = file_->Truncate(end_.offset);
  if (status.ok()) status = file_->SyncAll();
  if (status.ok()) status = spares_.DiscardAll();
  if (!status.ok()) return Poison(status);
  file_.reset();
  failure_ = Status(Code::kUnavailable, "the log is stopped");
  return Status();
}

uint64_t FileLog::oldest() const {
  MutexLock lock(mu_);
  return segments_.front().previous_revision;
}

uint64_t FileLog::bytes() const {
  MutexLock lock(mu_);
  uint64_t bytes = 0;
  for (const LogSegment& segment : segments_) bytes += segment.end;
  return bytes;
}

Status FileLog::Trim(uint64_t to) {
  for (;;) {
    uint64_t segment;
    {
      MutexLock lock(mu_);
      if (segments_.size() < 2 || segments_[1].previous_revision > to) return Status();
      segment = segments_.front().segment;
      segments_.erase(segments_.begin());
    }
    // Oldest first, and each on disk before the next: what is left has no hole in it.
    Status status = files_.Unlink(folder_ + "/" + SegmentName(segment));
    if (status.ok()) status = files_.SyncFolder(folder_);
    if (!status.ok()) return status;
  }
}

uint64_t FileLog::SuperfluousUpTo(uint64_t begin, const LogKeep& keep, int64_t now_ms) const {
  MutexLock lock(mu_);
  uint64_t kept_bytes = 0;
  for (size_t i = segments_.size() - 1; i-- > 0;) {
    const LogSegment& next = segments_[i + 1];
    // Outcomes share the revision of the change before them, so those of `begin` are needed.
    if (next.previous_revision >= begin) continue;
    kept_bytes += segments_[i].end;
    if (kept_bytes > keep.bytes || next.previous_time_ms < now_ms - keep.time_ms) {
      return next.previous_revision;
    }
  }
  return 0;
}

std::vector<LogSegment> FileLog::SegmentsFrom(uint64_t from) const {
  MutexLock lock(mu_);
  return entrepot::SegmentsFrom(segments_, from);
}

Result<std::unique_ptr<SegmentReader>> FileLog::OpenSegment(uint64_t segment) const {
  return SegmentReader::Open(files_, folder_, segment);
}

Status FileLog::ReadSegment(const LogSegment& segment, uint64_t from,
                            const RecordVisitor& visit) const {
  Result<std::unique_ptr<SegmentReader>> opened = OpenSegment(segment.segment);
  if (!opened.ok()) return opened.status();
  SegmentReader& reader = **opened;
  reader.SetLimit(segment.end);
  for (;;) {
    const Result<bool> next = reader.Next();
    if (!next.ok()) return next.status();
    if (!*next) break;
    const Record& record = reader.record();
    if (record.revision < from || IsOwnOfLog(record.type)) continue;
    Status status = visit(record);
    if (!status.ok()) return status;
  }
  if (reader.end() != segment.end || reader.checksum() != segment.checksum) {
    return DamageStatus(
        reader.name(), reader.end(),
        fmt::format("the record behind revision {} is not whole", reader.revision()));
  }
  return Status();
}

Status FileLog::Replay(uint64_t from, const RecordVisitor& visit) const {
  for (const LogSegment& segment : SegmentsFrom(from)) {
    Status status = ReadSegment(segment, from, visit);
    if (!status.ok()) return status;
  }
  return Status();
}

Result<std::unique_ptr<LogReader>> FileLog::Read(uint64_t after) {
  const uint64_t first = oldest();
  if (after < first) return FileLogReader::TrimmedStatus(first);
  return std::unique_ptr<LogReader>(std::make_unique<FileLogReader>(*this, after));
}

}  // namespace entrepot
