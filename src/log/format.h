// The data folder's files: names, headers and fixed-size records, as bytes and back. docs/FORMAT.md
// shows them with an example.
//
// Not here: records (record.h) and snapshots (snapshot.h), whose files own their grammar.
//
// Thread safety: functions over values.
//
//    folder   := identity lock [stopped] segment+ snapshot* temporary*
//    backup   := mark [lock] stopped segment+ [snapshot]
//    segment  := header group* zero*           -- 16 hex digits of its number, ".log"; from 1 on
//    group    := record(kGroup) record*
//
//    frame    := magic:byte[8] version:u32 checksum:u32     -- crc32c of all else of the frame's
//    file
//                                                              or header
//    identity := frame history:u64 node:u64                                          -- 32 bytes
//    mark     := frame history:u64 node:u64                           -- 32 bytes, another magic
//    header   := frame history:u64 segment:u64 salt:u64 bytes:u64 previous_end:u64
//                previous_revision:u64 previous_time_ms:u64 ceiling:u64
//                previous_checksum:u32 zero:u32                                       -- 88 bytes
//    stopped  := frame history:u64 segment:u64 end:u64 revision:u64 checksum:u32 zero:u32
//    payload of kGroup   := durable_revision:u64 durable_end:u64 offset:u64 bytes:u32
//                           previous_checksum:u32 own_checksum:u32 zero:u32           -- 40 bytes
//    payload of kCeiling := ceiling:u64
//    payload of kSkip    := first:u64
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "log/record.h"

namespace entrepot {

// Persistent: raised with every change that an older server cannot read.
inline constexpr uint32_t kFormatVersion = 1;

inline constexpr std::string_view kIdentityName = "identity";
// Of a backup, which has it instead of an identity; see backup.h.
inline constexpr std::string_view kBackupName = "backup";
inline constexpr std::string_view kLockName = "lock";
inline constexpr std::string_view kStoppedName = "stopped";
// A file that is not finished; every start removes it.
inline constexpr std::string_view kTemporarySuffix = ".tmp";

inline constexpr size_t kIdentityBytes = 32;
inline constexpr size_t kSegmentHeaderBytes = 88;
inline constexpr size_t kStoppedBytes = 56;
inline constexpr size_t kGroupPayloadBytes = 40;
inline constexpr size_t kGroupBytes = RecordBytes(kGroupPayloadBytes);

// Whose folder it is; written once.
struct Identity {
  uint64_t history = 0;  // Names the sequence of revisions, see docs/PROTOCOL.md.
  uint64_t node = 0;     // Names the server that the folder was made by.
};

// The front of a segment. What it says of the segment before holds for ever: that one was on disk
// up to there when this header was written.
struct SegmentHeader {
  uint64_t history = 0;
  uint64_t segment = 0;  // Its number; 1 is the first of a history.
  uint64_t salt = 0;     // Random: no value that a client stores can look like a group of the log.
  uint64_t bytes = 0;    // How long the file was made; a shorter one that is still in use was cut.
  uint64_t previous_end = 0;       // Where the records of the segment before end; 0 for the first.
  uint64_t previous_revision = 0;  // The last revision before this segment.
  int64_t previous_time_ms = 0;    // Likewise, the newest time.
  uint64_t ceiling = 0;            // As the newest kCeiling record before said.
  uint32_t previous_checksum = 0;  // Of the last record of the segment before.
};

// Where a clean stop left the log.
struct Stopped {
  uint64_t history = 0;
  uint64_t segment = 0;
  uint64_t end = 0;
  uint64_t revision = 0;
  uint32_t checksum = 0;  // Of the last record.
};

// What a group says of itself and of what was on disk before it was written.
struct GroupHeader {
  uint64_t durable_revision = 0;
  uint64_t durable_end = 0;  // This segment was on disk up to here.
  uint64_t offset = 0;       // Of the group itself in the segment.
  uint32_t bytes = 0;        // Of the records that follow in the group.
  uint32_t previous_checksum = 0;
};

std::string EncodeIdentity(const Identity& identity);
// The mark of a backup says whose it is.
std::string EncodeBackupMark(const Identity& identity);
std::string EncodeSegmentHeader(const SegmentHeader& header);
std::string EncodeStopped(const Stopped& stopped);

// The inverse. `name` is the file's, for the message. Errors: kInternal for damage,
// kInvalidArgument for what is no file of Entrepôt's or is of a newer format version.
Result<Identity> DecodeIdentity(std::string_view bytes, std::string_view name);
Result<Identity> DecodeBackupMark(std::string_view bytes, std::string_view name);
Result<SegmentHeader> DecodeSegmentHeader(std::string_view bytes, std::string_view name);
Result<Stopped> DecodeStopped(std::string_view bytes, std::string_view name);

// The checksum that the chain of a segment begins with: that of its header, and so it covers the
// segment's number.
uint32_t SegmentSeed(std::string_view header_bytes);

// Writes a whole kGroup record of kGroupBytes at `to` and returns its checksum. The record can be
// checked by itself, without the one before: `own_checksum` begins with the segment's seed, and
// previous_checksum stands in it.
uint32_t StoreGroup(char* to, const GroupHeader& group, uint32_t seed, uint64_t revision,
                    int64_t time_ms);

// The group record at the front of `bytes`, if there is a whole one that says it is at `offset`.
std::optional<GroupHeader> LoadGroup(std::string_view bytes, uint64_t offset, uint32_t seed);

// "0000000000000001.log" and back; nullopt for any other name.
std::string SegmentName(uint64_t segment);
std::optional<uint64_t> SegmentOfName(std::string_view name);

// The number in front of `suffix` if `name` is 16 lower-case hexadecimal digits and the suffix.
std::optional<uint64_t> NumberOfName(std::string_view name, std::string_view suffix);

// Damage is what no crash and no power cut leaves behind: files were changed from outside, or the
// disk lost what it had promised. It refuses the start; `repair` deals with it.
Status DamageStatus(std::string_view name, uint64_t offset, std::string_view what);

namespace log_internal {

// `frame` and the zeroed room for its checksum; to be completed by SealFrame().
std::string BeginFrame(std::string_view magic);
void SealFrame(std::string& bytes);
// Whether magic, length, checksum and version are right, in this order.
Status CheckFrame(std::string_view bytes, std::string_view magic, size_t length,
                  std::string_view name);

}  // namespace log_internal
}  // namespace entrepot
