#include "log/record.h"

#include <gtest/gtest.h>

#include <string>

namespace entrepot {
namespace {

std::string Whole(std::string_view payload, int64_t time_ms, RecordType type) {
  std::string bytes(RecordBytes(payload.size()), '\0');
  StoreRecordHeader(bytes.data(), static_cast<uint32_t>(payload.size()), /*revision=*/7,
                    /*term=*/3, time_ms, type);
  payload.copy(bytes.data() + kRecordHeaderBytes, payload.size());
  return bytes;
}

TEST(RecordTest, IsReadBackAsItWasStored) {
  const std::string bytes = Whole("payload", 1'700'000'000'000, RecordType::kSession);
  const Record record = LoadRecord(bytes);
  EXPECT_EQ(record.revision, 7u);
  EXPECT_EQ(record.term, 3u);
  EXPECT_EQ(record.time_ms, 1'700'000'000'000);
  EXPECT_EQ(record.type, RecordType::kSession);
  EXPECT_EQ(record.payload, "payload");
}

TEST(RecordTest, TakesAMultipleOfEightBytes) {
  EXPECT_EQ(RecordBytes(0), 32u);
  EXPECT_EQ(RecordBytes(1), 40u);
  EXPECT_EQ(RecordBytes(8), 40u);
  EXPECT_EQ(RecordBytes(9), 48u);
}

TEST(RecordTest, TheChecksumCoversEveryByteButItselfAndTheRecordBefore) {
  const std::string bytes = Whole("payload", 5, RecordType::kChange);
  const uint32_t checksum = RecordChecksum(1, bytes);
  EXPECT_NE(RecordChecksum(2, bytes), checksum);
  for (size_t at = 0; at < bytes.size(); ++at) {
    std::string flipped = bytes;
    flipped[at] = static_cast<char>(flipped[at] ^ 1);
    EXPECT_EQ(RecordChecksum(1, flipped) == checksum, at >= 4 && at < 8) << "byte " << at;
  }
}

}  // namespace
}  // namespace entrepot
