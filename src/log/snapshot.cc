#include "log/snapshot.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "base/coding.h"
#include "base/crc32c.h"
#include "base/random.h"
#include "log/format.h"

namespace entrepot {
namespace {

// Persistent: never change.
constexpr std::string_view kSnapshotMagic = "entrsnap";
constexpr std::string_view kTrailerMagic = "entr-end";
static_assert(kSnapshotMagic.size() == 8 && kTrailerMagic.size() == 8);

constexpr std::string_view kSnapshotSuffix = ".snapshot";
constexpr size_t kHeaderBytes = 48;
constexpr size_t kBlockHeaderBytes = 16;
constexpr size_t kTrailerBytes = 32;
constexpr size_t kChecksumOffset = 12;        // Of the header's frame.
constexpr size_t kBlockChecksumOffset = 4;    // Of a block's header.
constexpr size_t kTrailerChecksumOffset = 8;  // Of the trailer.
// A block is written when it has this much: one write of the disk, one unit of recovery's threads.
constexpr size_t kBlockBytes = size_t{1} << 20;

// The checksum of `bytes` without the four bytes at `hole`.
uint32_t ChecksumAround(uint32_t seed, std::string_view bytes, size_t hole) {
  return ExtendCrc32c(ExtendCrc32c(seed, bytes.substr(0, hole)),
                      bytes.substr(hole + sizeof(uint32_t)));
}

Result<std::string> ReadExactly(File& file, uint64_t offset, size_t bytes) {
  std::string content(bytes, '\0');
  const Result<size_t> read = file.ReadAt(offset, content);
  if (!read.ok()) return read.status();
  content.resize(*read);
  return content;
}

}  // namespace

std::string SnapshotName(uint64_t begin) { return Hex64(begin) + std::string(kSnapshotSuffix); }

std::optional<uint64_t> SnapshotOfName(std::string_view name) {
  return NumberOfName(name, kSnapshotSuffix);
}

// --- SnapshotWriter ---------------------------------------------------------------------------

SnapshotWriter::SnapshotWriter(FileSystem& files, std::string folder, const SnapshotInfo& info,
                               std::string temporary, std::unique_ptr<File> file, uint32_t seed)
    : files_(files),
      folder_(std::move(folder)),
      temporary_(std::move(temporary)),
      info_(info),
      file_(std::move(file)),
      seed_(seed),
      offset_(kHeaderBytes),
      block_(kBlockHeaderBytes, '\0') {}

Result<std::unique_ptr<SnapshotWriter>> SnapshotWriter::Create(FileSystem& files,
                                                               const std::string& folder,
                                                               uint64_t history, uint64_t begin,
                                                               int64_t time_ms) {
  SnapshotInfo info;
  info.name = SnapshotName(begin);
  info.history = history;
  info.begin = begin;
  info.time_ms = time_ms;
  std::string header = log_internal::BeginFrame(kSnapshotMagic);
  header.resize(kHeaderBytes, '\0');
  StoreLittle<uint64_t>(header.data() + 16, history);
  StoreLittle<uint64_t>(header.data() + 24, begin);
  StoreLittle<uint64_t>(header.data() + 32, static_cast<uint64_t>(time_ms));
  log_internal::SealFrame(header);

  const std::string temporary = info.name + std::string(kTemporarySuffix);
  const Result<std::vector<std::string>> names = files.List(folder);
  if (!names.ok()) return names.status();
  if (std::find(names->begin(), names->end(), temporary) != names->end()) {
    // One of the same revision was begun before and not finished.
    Status status = files.Unlink(folder + "/" + temporary);
    if (!status.ok()) return status;
  }
  Result<std::unique_ptr<File>> file = files.Open(folder + "/" + temporary, OpenMode::kCreate);
  if (!file.ok()) return file.status();
  Status status = (*file)->WriteAt(0, header);
  if (!status.ok()) return status;
  const uint32_t seed = LoadLittle<uint32_t>(header.data() + kChecksumOffset);
  return std::unique_ptr<SnapshotWriter>(
      new SnapshotWriter(files, folder, info, temporary, std::move(*file), seed));
}

Status SnapshotWriter::Add(std::string_view item) {
  CHECK(item.size() <= kSnapshotItemBytesMax);
  if (block_items_ > 0 && block_.size() + sizeof(uint32_t) + item.size() > kBlockBytes) {
    Status status = WriteBlock();
    if (!status.ok()) return status;
  }
  char length[sizeof(uint32_t)];
  StoreLittle<uint32_t>(length, static_cast<uint32_t>(item.size()));
  block_.append(length, sizeof length);
  block_.append(item);
  ++block_items_;
  ++info_.items;
  return Status();
}

Status SnapshotWriter::WriteBlock() {
  StoreLittle<uint32_t>(block_.data(), static_cast<uint32_t>(block_.size() - kBlockHeaderBytes));
  StoreLittle<uint32_t>(block_.data() + 8, blocks_);
  StoreLittle<uint32_t>(block_.data() + 12, block_items_);
  StoreLittle<uint32_t>(block_.data() + kBlockChecksumOffset,
                        ChecksumAround(seed_, block_, kBlockChecksumOffset));
  Status status = file_->WriteAt(offset_, block_);
  if (!status.ok()) return status;
  offset_ += block_.size();
  ++blocks_;
  block_items_ = 0;
  block_.assign(kBlockHeaderBytes, '\0');
  return Status();
}

Status SnapshotWriter::Finish(uint64_t end) {
  CHECK(end >= info_.begin);
  if (block_items_ > 0) {
    Status status = WriteBlock();
    if (!status.ok()) return status;
  }
  info_.end = end;
  std::string trailer(kTrailerMagic);
  trailer.resize(kTrailerBytes, '\0');
  StoreLittle<uint32_t>(trailer.data() + 12, blocks_);
  StoreLittle<uint64_t>(trailer.data() + 16, info_.items);
  StoreLittle<uint64_t>(trailer.data() + 24, end);
  StoreLittle<uint32_t>(trailer.data() + kTrailerChecksumOffset,
                        ChecksumAround(seed_, trailer, kTrailerChecksumOffset));
  Status status = file_->WriteAt(offset_, trailer);
  if (status.ok()) status = file_->SyncAll();
  if (!status.ok()) return status;
  file_.reset();

  Result<std::unique_ptr<SnapshotReader>> reader =
      SnapshotReader::Open(files_, folder_, temporary_);
  if (!reader.ok()) return reader.status();
  if ((*reader)->info().items != info_.items) {
    return DamageStatus(temporary_, 0, "it does not read back as it was written");
  }
  return (*reader)->ReadAll([](std::string_view) { return Status(); });
}

Status SnapshotWriter::Abandon() {
  file_.reset();
  return files_.Unlink(folder_ + "/" + temporary_);
}

Result<SnapshotInfo> SnapshotWriter::Publish() {
  CHECK(file_ == nullptr);  // Finish() was called.
  Status status = files_.Rename(folder_ + "/" + temporary_, folder_ + "/" + info_.name);
  if (status.ok()) status = files_.SyncFolder(folder_);
  if (!status.ok()) return status;
  return info_;
}

// --- SnapshotReader ---------------------------------------------------------------------------

SnapshotReader::SnapshotReader(std::unique_ptr<File> file, SnapshotInfo info, uint32_t seed)
    : file_(std::move(file)), info_(std::move(info)), seed_(seed) {}

Result<std::unique_ptr<SnapshotReader>> SnapshotReader::Open(FileSystem& files,
                                                             const std::string& folder,
                                                             const std::string& name) {
  Result<std::unique_ptr<File>> file = files.Open(folder + "/" + name, OpenMode::kRead);
  if (!file.ok()) return file.status();
  const Result<std::string> header = ReadExactly(**file, 0, kHeaderBytes);
  if (!header.ok()) return header.status();
  Status status = log_internal::CheckFrame(*header, kSnapshotMagic, kHeaderBytes, name);
  if (!status.ok()) return status;
  const Result<uint64_t> size = (*file)->Size();
  if (!size.ok()) return size.status();
  if (*size < kHeaderBytes + kTrailerBytes) return DamageStatus(name, *size, "the file is cut");
  const uint64_t trailer_offset = *size - kTrailerBytes;
  const Result<std::string> trailer = ReadExactly(**file, trailer_offset, kTrailerBytes);
  if (!trailer.ok()) return trailer.status();
  const uint32_t seed = LoadLittle<uint32_t>(header->data() + kChecksumOffset);
  if (trailer->size() != kTrailerBytes ||
      std::string_view(*trailer).substr(0, kTrailerMagic.size()) != kTrailerMagic ||
      LoadLittle<uint32_t>(trailer->data() + kTrailerChecksumOffset) !=
          ChecksumAround(seed, *trailer, kTrailerChecksumOffset)) {
    return DamageStatus(name, trailer_offset, "the trailer is not whole");
  }

  SnapshotInfo info;
  info.name = name;
  info.history = LoadLittle<uint64_t>(header->data() + 16);
  info.begin = LoadLittle<uint64_t>(header->data() + 24);
  info.time_ms = static_cast<int64_t>(LoadLittle<uint64_t>(header->data() + 32));
  info.items = LoadLittle<uint64_t>(trailer->data() + 16);
  info.end = LoadLittle<uint64_t>(trailer->data() + 24);
  std::unique_ptr<SnapshotReader> reader(new SnapshotReader(std::move(*file), info, seed));
  status = reader->FindBlocks(trailer_offset, LoadLittle<uint32_t>(trailer->data() + 12));
  if (!status.ok()) return status;
  return reader;
}

Status SnapshotReader::FindBlocks(uint64_t trailer_offset, uint32_t count) {
  uint64_t items = 0;
  uint64_t offset = kHeaderBytes;
  for (uint32_t index = 0; index < count; ++index) {
    const Result<std::string> header = ReadExactly(*file_, offset, kBlockHeaderBytes);
    if (!header.ok()) return header.status();
    if (header->size() < kBlockHeaderBytes) break;
    const Block block{offset, LoadLittle<uint32_t>(header->data())};
    if (LoadLittle<uint32_t>(header->data() + 8) != index) break;
    items += LoadLittle<uint32_t>(header->data() + 12);
    offset += kBlockHeaderBytes + block.bytes;
    if (offset > trailer_offset) break;
    blocks_.push_back(block);
  }
  if (blocks_.size() != count || offset != trailer_offset || items != info_.items) {
    return DamageStatus(info_.name, offset, "the blocks are not those that the trailer counts");
  }
  return Status();
}

Status SnapshotReader::ReadBlock(size_t index, const ItemVisitor& visit) const {
  const Block& block = blocks_[index];
  const Result<std::string> bytes =
      ReadExactly(*file_, block.offset, kBlockHeaderBytes + block.bytes);
  if (!bytes.ok()) return bytes.status();
  if (bytes->size() != kBlockHeaderBytes + block.bytes ||
      LoadLittle<uint32_t>(bytes->data() + kBlockChecksumOffset) !=
          ChecksumAround(seed_, *bytes, kBlockChecksumOffset)) {
    return DamageStatus(info_.name, block.offset, "a block is not whole");
  }
  std::string_view rest = std::string_view(*bytes).substr(kBlockHeaderBytes);
  while (!rest.empty()) {
    const size_t length =
        rest.size() < sizeof(uint32_t) ? SIZE_MAX : LoadLittle<uint32_t>(rest.data());
    if (length > rest.size() - sizeof(uint32_t)) {
      return DamageStatus(info_.name, block.offset, "an item is longer than its block");
    }
    Status status = visit(rest.substr(sizeof(uint32_t), length));
    if (!status.ok()) return status;
    rest.remove_prefix(sizeof(uint32_t) + length);
  }
  return Status();
}

Status SnapshotReader::ReadAll(const ItemVisitor& visit) const {
  for (size_t index = 0; index < blocks_.size(); ++index) {
    Status status = ReadBlock(index, visit);
    if (!status.ok()) return status;
  }
  return Status();
}

Status RemoveSnapshotsBefore(FileSystem& files, const std::string& folder, uint64_t begin) {
  const Result<std::vector<std::string>> names = files.List(folder);
  if (!names.ok()) return names.status();
  for (const std::string& name : *names) {
    const std::optional<uint64_t> older = SnapshotOfName(name);
    if (!older || *older >= begin) continue;
    Status status = files.Unlink(folder + "/" + name);
    if (!status.ok()) return status;
  }
  return files.SyncFolder(folder);
}

}  // namespace entrepot
