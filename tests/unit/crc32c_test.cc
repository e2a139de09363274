#include "base/crc32c.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace entrepot {
namespace {

TEST(Crc32cTest, GivesThePublishedValues) {
  EXPECT_EQ(ExtendCrc32c(0, ""), 0u);
  EXPECT_EQ(ExtendCrc32c(0, "123456789"), 0xe3069283u);
  // RFC 3720, appendix B.4.
  EXPECT_EQ(ExtendCrc32c(0, std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(ExtendCrc32c(0, std::string(32, '\xff')), 0x62a8ab43u);
  std::string ascending;
  for (char byte = 0; byte < 32; ++byte) ascending.push_back(byte);
  EXPECT_EQ(ExtendCrc32c(0, ascending), 0x46dd794eu);
}

TEST(Crc32cTest, TheTableAgreesWithTheHardwareAtEveryLengthAndAlignment) {
  std::mt19937_64 random(1);
  std::string bytes(300, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  for (size_t begin = 0; begin < 9; ++begin) {
    for (size_t length = 0; begin + length <= bytes.size(); ++length) {
      const std::string_view part = std::string_view(bytes).substr(begin, length);
      const uint32_t crc = static_cast<uint32_t>(random());
      ASSERT_EQ(base_internal::ExtendCrc32cByTable(crc, part), ExtendCrc32c(crc, part));
    }
  }
}

TEST(Crc32cTest, PartsGiveTheSameAsTheWhole) {
  const std::string whole = "The log is the database; the store is what the log says.";
  for (size_t cut = 0; cut <= whole.size(); ++cut) {
    const uint32_t head = ExtendCrc32c(0, std::string_view(whole).substr(0, cut));
    EXPECT_EQ(ExtendCrc32c(head, std::string_view(whole).substr(cut)), ExtendCrc32c(0, whole));
  }
}

}  // namespace
}  // namespace entrepot
