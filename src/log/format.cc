#include "log/format.h"

#include <charconv>

#include <fmt/format.h>

#include "base/crc32c.h"
#include "base/random.h"

namespace entrepot {
namespace {

// Persistent: never change.
constexpr std::string_view kIdentityMagic = "entrepot";
constexpr std::string_view kBackupMagic = "entrback";
constexpr std::string_view kSegmentMagic = "entr-log";
constexpr std::string_view kStoppedMagic = "entrstop";
static_assert(kIdentityMagic.size() == 8 && kBackupMagic.size() == 8 && kSegmentMagic.size() == 8 &&
              kStoppedMagic.size() == 8);

constexpr size_t kVersionOffset = 8;
constexpr size_t kChecksumOffset = 12;
constexpr size_t kFrameBytes = 16;
constexpr std::string_view kSegmentSuffix = ".log";

template <typename T>
void AppendLittle(std::string& to, T value) {
  char bytes[sizeof(T)];
  StoreLittle<T>(bytes, value);
  to.append(bytes, sizeof(T));
}

// Takes integers off the front of bytes that are known to be long enough.
class Cursor {
 public:
  explicit Cursor(std::string_view bytes) : at_(bytes.data()) {}
  template <typename T>
  T Take() {
    const T value = LoadLittle<T>(at_);
    at_ += sizeof(T);
    return value;
  }
  uint64_t U64() { return Take<uint64_t>(); }
  uint32_t U32() { return Take<uint32_t>(); }

 private:
  const char* at_;
};

uint32_t FrameChecksum(std::string_view bytes) {
  return ExtendCrc32c(ExtendCrc32c(0, bytes.substr(0, kChecksumOffset)), bytes.substr(kFrameBytes));
}

// Of a group's payload, what comes before own_checksum.
constexpr size_t kOwnChecksumOffset = 32;

uint32_t OwnChecksum(std::string_view record, uint32_t seed) {
  const std::string_view payload = record.substr(kRecordHeaderBytes);
  const uint32_t length = ExtendCrc32c(seed, record.substr(0, 4));
  const uint32_t header = ExtendCrc32c(length, record.substr(8, kRecordHeaderBytes - 8));
  return ExtendCrc32c(header, payload.substr(0, kOwnChecksumOffset));
}

}  // namespace

namespace log_internal {

std::string BeginFrame(std::string_view magic) {
  std::string bytes(magic);
  AppendLittle<uint32_t>(bytes, kFormatVersion);
  AppendLittle<uint32_t>(bytes, 0);
  return bytes;
}

void SealFrame(std::string& bytes) {
  StoreLittle<uint32_t>(bytes.data() + kChecksumOffset, FrameChecksum(bytes));
}

Status CheckFrame(std::string_view bytes, std::string_view magic, size_t length,
                  std::string_view name) {
  if (bytes.size() < kFrameBytes) return DamageStatus(name, bytes.size(), "the header is cut");
  const bool whole = LoadLittle<uint32_t>(bytes.data() + kChecksumOffset) == FrameChecksum(bytes);
  if (!whole || bytes.substr(0, magic.size()) != magic) {
    return DamageStatus(name, 0, "the header does not match its checksum");
  }
  const uint32_t version = LoadLittle<uint32_t>(bytes.data() + kVersionOffset);
  if (version > kFormatVersion) {
    return Status(Code::kInvalidArgument,
                  fmt::format("{} is of format version {}; this server reads up to {}", name,
                              version, kFormatVersion));
  }
  if (bytes.size() != length) return DamageStatus(name, bytes.size(), "the length is wrong");
  return Status();
}

}  // namespace log_internal

using log_internal::BeginFrame;
using log_internal::CheckFrame;
using log_internal::SealFrame;

namespace {

std::string EncodeWhose(const Identity& identity, std::string_view magic) {
  std::string bytes = BeginFrame(magic);
  AppendLittle<uint64_t>(bytes, identity.history);
  AppendLittle<uint64_t>(bytes, identity.node);
  SealFrame(bytes);
  CHECK(bytes.size() == kIdentityBytes);
  return bytes;
}

Result<Identity> DecodeWhose(std::string_view bytes, std::string_view magic,
                             std::string_view name) {
  const Status status = CheckFrame(bytes, magic, kIdentityBytes, name);
  if (!status.ok()) return status;
  Cursor cursor(bytes.substr(kFrameBytes));
  Identity identity;
  identity.history = cursor.U64();
  identity.node = cursor.U64();
  return identity;
}

}  // namespace

std::string EncodeIdentity(const Identity& identity) {
  return EncodeWhose(identity, kIdentityMagic);
}

Result<Identity> DecodeIdentity(std::string_view bytes, std::string_view name) {
  return DecodeWhose(bytes, kIdentityMagic, name);
}

std::string EncodeBackupMark(const Identity& identity) {
  return EncodeWhose(identity, kBackupMagic);
}

Result<Identity> DecodeBackupMark(std::string_view bytes, std::string_view name) {
  return DecodeWhose(bytes, kBackupMagic, name);
}

std::string EncodeSegmentHeader(const SegmentHeader& header) {
  std::string bytes = BeginFrame(kSegmentMagic);
  for (uint64_t field :
       {header.history, header.segment, header.salt, header.bytes, header.previous_end,
        header.previous_revision, static_cast<uint64_t>(header.previous_time_ms), header.ceiling}) {
    AppendLittle<uint64_t>(bytes, field);
  }
  AppendLittle<uint32_t>(bytes, header.previous_checksum);
  AppendLittle<uint32_t>(bytes, 0);
  SealFrame(bytes);
  CHECK(bytes.size() == kSegmentHeaderBytes);
  return bytes;
}

Result<SegmentHeader> DecodeSegmentHeader(std::string_view bytes, std::string_view name) {
  const Status status = CheckFrame(bytes, kSegmentMagic, kSegmentHeaderBytes, name);
  if (!status.ok()) return status;
  Cursor cursor(bytes.substr(kFrameBytes));
  SegmentHeader header;
  header.history = cursor.U64();
  header.segment = cursor.U64();
  header.salt = cursor.U64();
  header.bytes = cursor.U64();
  header.previous_end = cursor.U64();
  header.previous_revision = cursor.U64();
  header.previous_time_ms = static_cast<int64_t>(cursor.U64());
  header.ceiling = cursor.U64();
  header.previous_checksum = cursor.U32();
  return header;
}

std::string EncodeStopped(const Stopped& stopped) {
  std::string bytes = BeginFrame(kStoppedMagic);
  for (uint64_t field : {stopped.history, stopped.segment, stopped.end, stopped.revision}) {
    AppendLittle<uint64_t>(bytes, field);
  }
  AppendLittle<uint32_t>(bytes, stopped.checksum);
  AppendLittle<uint32_t>(bytes, 0);
  SealFrame(bytes);
  CHECK(bytes.size() == kStoppedBytes);
  return bytes;
}

Result<Stopped> DecodeStopped(std::string_view bytes, std::string_view name) {
  const Status status = CheckFrame(bytes, kStoppedMagic, kStoppedBytes, name);
  if (!status.ok()) return status;
  Cursor cursor(bytes.substr(kFrameBytes));
  Stopped stopped;
  stopped.history = cursor.U64();
  stopped.segment = cursor.U64();
  stopped.end = cursor.U64();
  stopped.revision = cursor.U64();
  stopped.checksum = cursor.U32();
  return stopped;
}

uint32_t SegmentSeed(std::string_view header_bytes) {
  return LoadLittle<uint32_t>(header_bytes.data() + kChecksumOffset);
}

uint32_t StoreGroup(char* to, const GroupHeader& group, uint32_t seed, uint64_t revision,
                    int64_t time_ms) {
  StoreRecordHeader(to, kGroupPayloadBytes, revision, /*term=*/0, time_ms, RecordType::kGroup);
  char* payload = to + kRecordHeaderBytes;
  StoreLittle<uint64_t>(payload, group.durable_revision);
  StoreLittle<uint64_t>(payload + 8, group.durable_end);
  StoreLittle<uint64_t>(payload + 16, group.offset);
  StoreLittle<uint32_t>(payload + 24, group.bytes);
  StoreLittle<uint32_t>(payload + 28, group.previous_checksum);
  StoreLittle<uint32_t>(payload + kOwnChecksumOffset, OwnChecksum({to, kGroupBytes}, seed));
  StoreLittle<uint32_t>(payload + kOwnChecksumOffset + 4, 0);
  const uint32_t checksum = RecordChecksum(group.previous_checksum, {to, kGroupBytes});
  StoreLittle<uint32_t>(to + 4, checksum);
  return checksum;
}

std::optional<GroupHeader> LoadGroup(std::string_view bytes, uint64_t offset, uint32_t seed) {
  if (bytes.size() < kGroupBytes) return std::nullopt;
  const char* payload = bytes.data() + kRecordHeaderBytes;
  // The cheap tests first: this is asked at every eighth byte behind a bad record.
  if (LoadLittle<uint32_t>(bytes.data()) != kGroupPayloadBytes ||
      LoadLittle<uint64_t>(payload + 16) != offset) {
    return std::nullopt;
  }
  const std::string_view record = bytes.substr(0, kGroupBytes);
  GroupHeader group;
  group.durable_revision = LoadLittle<uint64_t>(payload);
  group.durable_end = LoadLittle<uint64_t>(payload + 8);
  group.offset = offset;
  group.bytes = LoadLittle<uint32_t>(payload + 24);
  group.previous_checksum = LoadLittle<uint32_t>(payload + 28);
  if (LoadRecord(record).type != RecordType::kGroup ||
      LoadLittle<uint32_t>(payload + kOwnChecksumOffset) != OwnChecksum(record, seed) ||
      LoadLittle<uint32_t>(record.data() + 4) != RecordChecksum(group.previous_checksum, record)) {
    return std::nullopt;
  }
  return group;
}

std::optional<uint64_t> NumberOfName(std::string_view name, std::string_view suffix) {
  constexpr size_t kDigits = 16;
  if (name.size() != kDigits + suffix.size() || !name.ends_with(suffix)) return std::nullopt;
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + kDigits, number, 16);
  // from_chars takes upper-case digits as well; Hex64 never writes them.
  if (error != std::errc() || end != name.data() + kDigits ||
      Hex64(number) != name.substr(0, kDigits)) {
    return std::nullopt;
  }
  return number;
}

std::string SegmentName(uint64_t segment) { return Hex64(segment) + std::string(kSegmentSuffix); }

std::optional<uint64_t> SegmentOfName(std::string_view name) {
  return NumberOfName(name, kSegmentSuffix);
}

Status DamageStatus(std::string_view name, uint64_t offset, std::string_view what) {
  return Status(Code::kInternal, fmt::format("damage in {} at byte {}: {}", name, offset, what));
}

}  // namespace entrepot
