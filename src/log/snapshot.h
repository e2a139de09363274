// Snapshots: the whole store in one file, written while it changes, so that recovery need not read
// the log from its beginning.
//
// A snapshot does not know what its items mean (see store/change.h). It is no picture of one
// instant: items were read between revision `begin` (R) and revision `end` (E), so it stands for a
// state only together with the log's records from R to E, applied where they are newer. A picture
// of an instant would need a fork or a copy of what changes meanwhile.
//
// Thread safety: a SnapshotWriter belongs to one thread. SnapshotReader::ReadBlock() may be called
// by several threads at once.
//
//    snapshot := header block* trailer         -- 16 hex digits of its begin, ".snapshot"
//    header   := frame history:u64 begin:u64 time_ms:u64 zero:u64                    -- 48 bytes
//    block    := bytes:u32 checksum:u32 index:u32 items:u32 item*
//    item     := length:u32 byte[length]
//    trailer  := magic:byte[8] checksum:u32 blocks:u32 items:u64 end:u64             -- 32 bytes
//    checksum := crc32c of the rest of the block or trailer, begun with the header's checksum
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/status.h"

namespace entrepot {

// An item may not be longer: a value with its key, or a session with all its outcomes.
inline constexpr size_t kSnapshotItemBytesMax = size_t{1} << 30;

struct SnapshotInfo {
  std::string name;  // Of the file in its folder.
  uint64_t history = 0;
  uint64_t begin = 0;   // R: nothing older than this revision's state is in it.
  uint64_t end = 0;     // E: nothing newer is in it.
  int64_t time_ms = 0;  // Of the log, when it was begun.
  uint64_t items = 0;
};

// "0000000000000001.snapshot" and back; nullopt for any other name.
std::string SnapshotName(uint64_t begin);
std::optional<uint64_t> SnapshotOfName(std::string_view name);

class SnapshotWriter {
 public:
  // Begins a snapshot of revision `begin` (R) under a temporary name.
  static Result<std::unique_ptr<SnapshotWriter>> Create(FileSystem& files,
                                                        const std::string& folder, uint64_t history,
                                                        uint64_t begin, int64_t time_ms);
  // Leaves the temporary file, if it was not published, to the next start or the next snapshot.
  ~SnapshotWriter() = default;

  // Adds an item, of at most kSnapshotItemBytesMax. Errors: those of the file; after one only the
  // destructor may be called, and the same holds for the functions below.
  Status Add(std::string_view item);

  // Ends the snapshot with `end` (E), syncs it, and reads it back and checks it.
  Status Finish(uint64_t end);

  // Gives it its name. To be called after Finish(), and only when the log is on disk up to E.
  Result<SnapshotInfo> Publish();

  // Removes the temporary file of a snapshot that is not to be published.
  Status Abandon();

  // Bytes written so far.
  uint64_t bytes() const { return offset_ + block_.size(); }

 private:
  SnapshotWriter(FileSystem& files, std::string folder, const SnapshotInfo& info,
                 std::string temporary, std::unique_ptr<File> file, uint32_t seed);
  Status WriteBlock();

  FileSystem& files_;
  const std::string folder_;
  const std::string temporary_;  // The name of the file before it is published.
  SnapshotInfo info_;
  std::unique_ptr<File> file_;
  const uint32_t seed_;
  uint64_t offset_ = 0;
  uint32_t blocks_ = 0;
  uint32_t block_items_ = 0;
  std::string block_;  // The items of the block that is being filled, behind room for its header.
};

// Is handed items one by one; they are valid during the call. An error ends the reading.
using ItemVisitor = std::function<Status(std::string_view item)>;

class SnapshotReader {
 public:
  // Opens `folder`/`name` and checks header, trailer and the blocks' lengths. Errors: those of the
  // files, kInternal for damage, kInvalidArgument for a newer format.
  static Result<std::unique_ptr<SnapshotReader>> Open(FileSystem& files, const std::string& folder,
                                                      const std::string& name);

  const SnapshotInfo& info() const { return info_; }
  size_t blocks() const { return blocks_.size(); }
  // Checks one block and hands on its items. Damage of other blocks does not matter.
  Status ReadBlock(size_t index, const ItemVisitor& visit) const;
  // All blocks, one after the other.
  Status ReadAll(const ItemVisitor& visit) const;

 private:
  struct Block {
    uint64_t offset;
    uint32_t bytes;  // Of the items.
  };
  SnapshotReader(std::unique_ptr<File> file, SnapshotInfo info, uint32_t seed);
  Status FindBlocks(uint64_t trailer_offset, uint32_t count);

  const std::unique_ptr<File> file_;
  SnapshotInfo info_;
  const uint32_t seed_;
  std::vector<Block> blocks_;
};

// Removes the snapshots of `folder` that are older than the one of `begin`, oldest first.
Status RemoveSnapshotsBefore(FileSystem& files, const std::string& folder, uint64_t begin);

}  // namespace entrepot
