#include "base/hash.h"

#include <set>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace entrepot {
namespace {

// Taken from CPython 3.11, whose hash(bytes) is SipHash-1-3, under the secrets that it derives from
// PYTHONHASHSEED=0 and PYTHONHASHSEED=7.
constexpr HashSecret kSecretOfSeed0 = {0, 0};
constexpr HashSecret kSecretOfSeed7 = {0x12c874a1806f0e3d, 0x470a89d2f9d2784f};

std::string BytesFromZero(size_t count) {
  std::string bytes;
  for (size_t i = 0; i < count; ++i) bytes += static_cast<char>(i);
  return bytes;
}

TEST(HashTest, AgreesWithCPython) {
  EXPECT_EQ(HashKey("a", kSecretOfSeed0), 0x407448d2b89b1813u);
  EXPECT_EQ(HashKey("entrepot", kSecretOfSeed0), 0x813c41517af776a5u);
  EXPECT_EQ(HashKey("sensors/1/temperature", kSecretOfSeed0), 0x1fa9fbbca4c2aaa5u);
  EXPECT_EQ(HashKey(BytesFromZero(63), kSecretOfSeed0), 0x385d3e39e5f37359u);
  EXPECT_EQ(HashKey("a", kSecretOfSeed7), 0x58fddb5aae8c3c14u);
  EXPECT_EQ(HashKey("entrepot", kSecretOfSeed7), 0xa34f8e2a8708f698u);
  EXPECT_EQ(HashKey("sensors/1/temperature", kSecretOfSeed7), 0xbe62ecaf34274c0fu);
  EXPECT_EQ(HashKey(BytesFromZero(63), kSecretOfSeed7), 0xb1eaa0579bb21aa3u);
}

TEST(HashTest, BytesOf0x80AndMoreAreNotSignExtended) {
  // The bytes behind the last whole word are put together one by one.
  EXPECT_EQ(HashKey("\xff\xfe\x80", kSecretOfSeed0), 0x90e84bf79cb28341u);
}

TEST(HashTest, LengthCountsAmongZeros) {
  std::set<uint64_t> hashes;
  for (size_t length = 0; length < 64; ++length) {
    hashes.insert(HashKey(std::string(length, '\0'), kSecretOfSeed7));
  }
  EXPECT_EQ(hashes.size(), 64u);
}

TEST(HashTest, DoesNotDependOnAlignment) {
  const std::string padded = "--------" + BytesFromZero(40);
  for (size_t offset = 0; offset < 8; ++offset) {
    const std::string copy = padded.substr(8 - offset, offset) + BytesFromZero(40);
    EXPECT_EQ(HashKey(std::string_view(copy).substr(offset), kSecretOfSeed7),
              HashKey(BytesFromZero(40), kSecretOfSeed7));
  }
}

}  // namespace
}  // namespace entrepot
