// A record of the log: the outcome of one write or transaction, with its revision and time.
//
// The log does not know what a payload means (see store/change.h). Records are built in the commit
// queue with a checksum of zero; the log that stores them fills it in, chained with the record
// before, just before they are written.
//
// Thread safety: none needed; functions over bytes.
//
//    record    := length:u32 checksum:u32 revision:u64 term:u64 time_type:u64
//                 payload:byte[length] zero:byte[0..7]        -- little-endian, 8-byte aligned
//    time_type := milliseconds since 1970 (UTC) << 16 | type
//    checksum  := crc32c of the record without its checksum, zeros included, begun with the
//                 checksum of the record before
#pragma once

#include <cstdint>
#include <string_view>

#include "base/coding.h"
#include "base/crc32c.h"

namespace entrepot {

// Persistent: never renumber.
enum class RecordType : uint16_t {
  kChange = 1,   // One change or transaction: takes the revision in the header.
  kOutcome = 2,  // Only an outcome of a safe retry: takes no revision; the header has the last one.
  kSession = 3,  // A session of safe retries begins: likewise.
  kIndex = 4,    // An ordered index is used from now on: likewise. The payload is its order (u8).
  kGroup = 16,   // The log's own: opens a group, names what was durable when it was written.
  kCeiling = 17,  // The log's own: no revision above this one is given before a higher ceiling.
  kSkip = 18,     // The log's own: revisions that will never be given, after an unclean stop. The
                  // header has the last of them, the payload the first (u64).
};
static_assert(static_cast<int>(RecordType::kChange) == 1);
static_assert(static_cast<int>(RecordType::kOutcome) == 2);
static_assert(static_cast<int>(RecordType::kSession) == 3);
static_assert(static_cast<int>(RecordType::kIndex) == 4);
static_assert(static_cast<int>(RecordType::kGroup) == 16);
static_assert(static_cast<int>(RecordType::kCeiling) == 17);
static_assert(static_cast<int>(RecordType::kSkip) == 18);

// Whether a record tells readers of the log nothing: kSkip does.
constexpr bool IsOwnOfLog(RecordType type) {
  return type == RecordType::kGroup || type == RecordType::kCeiling;
}

struct Record {
  uint64_t revision;
  uint64_t term;
  int64_t time_ms;
  RecordType type;
  std::string_view payload;
};

inline constexpr size_t kRecordHeaderBytes = 32;

// Bytes of a record whose payload has `payload_bytes`.
constexpr size_t RecordBytes(size_t payload_bytes) {
  return (kRecordHeaderBytes + payload_bytes + 7) & ~size_t{7};
}

// Writes the header at `to`; the payload is to follow at to + kRecordHeaderBytes, then zeros up to
// RecordBytes().
inline void StoreRecordHeader(char* to, uint32_t payload_bytes, uint64_t revision, uint64_t term,
                              int64_t time_ms, RecordType type) {
  StoreLittle<uint32_t>(to, payload_bytes);
  StoreLittle<uint32_t>(to + 4, 0);
  StoreLittle<uint64_t>(to + 8, revision);
  StoreLittle<uint64_t>(to + 16, term);
  StoreLittle<uint64_t>(to + 24,
                        static_cast<uint64_t>(time_ms) << 16 | static_cast<uint16_t>(type));
}

// The record at the front of `bytes`, which hold whole, checked records.
inline Record LoadRecord(std::string_view bytes) {
  const uint64_t time_type = LoadLittle<uint64_t>(bytes.data() + 24);
  return {.revision = LoadLittle<uint64_t>(bytes.data() + 8),
          .term = LoadLittle<uint64_t>(bytes.data() + 16),
          .time_ms = static_cast<int64_t>(time_type >> 16),
          .type = static_cast<RecordType>(time_type & 0xffff),
          .payload = bytes.substr(kRecordHeaderBytes, LoadLittle<uint32_t>(bytes.data()))};
}

// The checksum of the whole record `bytes`, behind a record whose checksum is `previous`.
inline uint32_t RecordChecksum(uint32_t previous, std::string_view bytes) {
  return ExtendCrc32c(ExtendCrc32c(previous, bytes.substr(0, 4)), bytes.substr(8));
}

}  // namespace entrepot
