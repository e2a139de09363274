#include "log/segment_reader.h"

#include <algorithm>

namespace entrepot {
namespace {

// One read of the file: large enough to keep a disk busy, small against a segment, and the bound of
// what one of the feed's readers holds.
constexpr size_t kReadBytes = size_t{256} << 10;

}  // namespace

SegmentReader::SegmentReader(std::string name, std::unique_ptr<File> file, uint64_t file_bytes,
                             const SegmentHeader& header, uint32_t seed)
    : name_(std::move(name)),
      file_(std::move(file)),
      file_bytes_(file_bytes),
      header_(header),
      seed_(seed),
      limit_(file_bytes),
      buffer_offset_(kSegmentHeaderBytes),
      checksum_(seed),
      revision_(header.previous_revision),
      time_ms_(header.previous_time_ms),
      ceiling_(header.ceiling) {}

Result<std::unique_ptr<SegmentReader>> SegmentReader::Open(FileSystem& files,
                                                           const std::string& folder,
                                                           uint64_t segment) {
  const std::string name = SegmentName(segment);
  Result<std::unique_ptr<File>> file = files.Open(folder + "/" + name, OpenMode::kRead);
  if (!file.ok()) return file.status();
  const Result<uint64_t> file_bytes = (*file)->Size();
  if (!file_bytes.ok()) return file_bytes.status();
  std::string bytes(kSegmentHeaderBytes, '\0');
  const Result<size_t> read = (*file)->ReadAt(0, bytes);
  if (!read.ok()) return read.status();
  bytes.resize(*read);
  const Result<SegmentHeader> header = DecodeSegmentHeader(bytes, name);
  if (!header.ok()) return header.status();
  if (header->segment != segment) return DamageStatus(name, 0, "the header is of another segment");
  return std::unique_ptr<SegmentReader>(
      new SegmentReader(name, std::move(*file), *file_bytes, *header, SegmentSeed(bytes)));
}

Result<bool> SegmentReader::Fill(size_t bytes) {
  const size_t used = static_cast<size_t>(end_ - buffer_offset_);
  if (buffer_.size() >= used + bytes) return true;
  buffer_.erase(0, std::min(used, buffer_.size()));
  buffer_offset_ = end_;
  if (limit_ < end_ || limit_ - end_ < bytes) return false;
  const size_t had = buffer_.size();
  const uint64_t wanted = std::min<uint64_t>(std::max(bytes, kReadBytes), limit_ - end_);
  if (wanted > had) {
    buffer_.resize(static_cast<size_t>(wanted));
    const Result<size_t> read =
        file_->ReadAt(buffer_offset_ + had, {buffer_.data() + had, buffer_.size() - had});
    buffer_.resize(had + (read.ok() ? *read : 0));
    if (!read.ok()) return read.status();
  }
  return buffer_.size() >= bytes;
}

Result<bool> SegmentReader::Next() {
  Result<bool> filled = Fill(kRecordHeaderBytes);
  if (!filled.ok() || !*filled) return filled;
  const char* at = buffer_.data() + (end_ - buffer_offset_);
  const size_t bytes = RecordBytes(LoadLittle<uint32_t>(at));
  filled = Fill(bytes);
  if (!filled.ok() || !*filled) return filled;
  at = buffer_.data() + (end_ - buffer_offset_);
  const std::string_view whole(at, bytes);
  const uint32_t checksum = RecordChecksum(checksum_, whole);
  const Record record = LoadRecord(whole);
  if (LoadLittle<uint32_t>(at + 4) != checksum || record.type == RecordType{}) return false;
  record_ = record;
  record_offset_ = end_;
  end_ += bytes;
  checksum_ = checksum;
  revision_ = std::max(revision_, record.revision);
  time_ms_ = std::max(time_ms_, record.time_ms);
  if (record.type == RecordType::kCeiling && record.payload.size() == sizeof(uint64_t)) {
    ceiling_ = std::max(ceiling_, LoadLittle<uint64_t>(record.payload.data()));
  }
  if (const std::optional<GroupHeader> group = LoadGroup(whole, record_offset_, seed_)) {
    durable_end_ = group->durable_end;
  }
  return true;
}

Result<SegmentReader::Tail> SegmentReader::JudgeTail() {
  Tail tail;
  std::string chunk;
  // Chunks overlap, so that a group on their border is whole in one of them.
  for (uint64_t at = end_; at < limit_; at += kReadBytes) {
    chunk.resize(static_cast<size_t>(std::min<uint64_t>(kReadBytes + kGroupBytes, limit_ - at)));
    const Result<size_t> read = file_->ReadAt(at, chunk);
    if (!read.ok()) return read.status();
    chunk.resize(*read);
    const size_t used = chunk.find_last_not_of('\0');
    if (used != std::string::npos) {
      tail.torn_bytes = at + used + 1 - end_;
      for (size_t i = 0; i < kReadBytes && i <= used; i += 8) {
        const std::optional<GroupHeader> group =
            LoadGroup(std::string_view(chunk).substr(i), at + i, seed_);
        if (group && group->durable_end > end_) tail.damaged = true;
      }
    }
    if (chunk.size() <= kReadBytes) break;
  }
  return tail;
}

}  // namespace entrepot
