// The reader and the appending functions, held against msgpack-c.
#include "base/msgpack.h"

#include <array>
#include <cmath>
#include <limits>
#include <msgpack.hpp>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "unit/sample_values.h"

namespace entrepot {
namespace {

using Skipped = MsgpackReader::Skipped;
using Packer = msgpack::packer<msgpack::sbuffer>;

// Writes random documents with msgpack-c.
class Documents {
 public:
  explicit Documents(uint64_t seed) : random_(seed) {}

  std::string Next() {
    msgpack::sbuffer buffer;
    Packer packer(buffer);
    Item(&packer, 4);
    return {buffer.data(), buffer.size()};
  }
  uint64_t Below(uint64_t bound) { return random_() % bound; }

 private:
  // Lengths around which the form of the head changes.
  uint32_t Length() {
    constexpr std::array<uint32_t, 12> kLengths = {0, 1, 2, 4, 8, 15, 16, 31, 32, 255, 256, 65'536};
    // The long ones are rare, and only texts may have them.
    return kLengths[Below(8 + Below(5))];
  }

  void Item(Packer* packer, int depth) {
    switch (Below(depth > 0 ? 13 : 11)) {
      case 0:
        packer->pack_nil();
        return;
      case 1:
        packer->pack(Below(2) == 1);
        return;
      case 2:
        packer->pack_uint64(random_() >> Below(64));
        return;
      case 3:
        packer->pack_int64(-static_cast<int64_t>(random_() >> 1 >> Below(63)));
        return;
      case 4:
        packer->pack_fix_int32(static_cast<int32_t>(random_()));
        return;
      case 5:
        packer->pack_float(static_cast<float>(random_()) / 3);
        return;
      case 6:
        packer->pack_double(static_cast<double>(random_()) / 3);
        return;
      case 7:
      case 8: {
        const std::string text(Length(), 's');
        packer->pack_str(static_cast<uint32_t>(text.size()));
        packer->pack_str_body(text.data(), static_cast<uint32_t>(text.size()));
        return;
      }
      case 9: {
        const std::string bytes(Length(), '\xc1');
        packer->pack_bin(static_cast<uint32_t>(bytes.size()));
        packer->pack_bin_body(bytes.data(), static_cast<uint32_t>(bytes.size()));
        return;
      }
      case 10: {
        const std::string bytes(Length(), 'e');
        packer->pack_ext(bytes.size(), static_cast<int8_t>(random_()));
        packer->pack_ext_body(bytes.data(), static_cast<uint32_t>(bytes.size()));
        return;
      }
      case 11: {
        const uint32_t count = static_cast<uint32_t>(Below(depth == 4 ? 40 : 5));
        packer->pack_array(count);
        for (uint32_t i = 0; i < count; ++i) Item(packer, depth - 1);
        return;
      }
      default: {
        const uint32_t count = static_cast<uint32_t>(Below(depth == 4 ? 20 : 4));
        packer->pack_map(count);
        for (uint32_t i = 0; i < 2 * count; ++i) Item(packer, depth - 1);
        return;
      }
    }
  }

  std::mt19937_64 random_;
};

// Reads one item from `reader` and expects it to be what msgpack-c has read.
void ExpectItem(const msgpack::object& expected, MsgpackReader* reader) {
  Token token;
  ASSERT_TRUE(reader->Next(&token));
  switch (expected.type) {
    case msgpack::type::NIL:
      EXPECT_EQ(token.type, Token::kNil);
      return;
    case msgpack::type::BOOLEAN:
      EXPECT_EQ(token.type, expected.via.boolean ? Token::kTrue : Token::kFalse);
      return;
    case msgpack::type::POSITIVE_INTEGER:
      ASSERT_EQ(token.type, Token::kUnsigned);
      EXPECT_EQ(token.number, expected.via.u64);
      return;
    case msgpack::type::NEGATIVE_INTEGER:
      ASSERT_EQ(token.type, Token::kNegative);
      EXPECT_EQ(static_cast<int64_t>(token.number), expected.via.i64);
      return;
    case msgpack::type::FLOAT32:
    case msgpack::type::FLOAT64:
      ASSERT_EQ(token.type, Token::kFloat);
      EXPECT_EQ(token.real, expected.via.f64);
      return;
    case msgpack::type::STR:
      ASSERT_EQ(token.type, Token::kString);
      EXPECT_EQ(token.bytes, std::string_view(expected.via.str.ptr, expected.via.str.size));
      return;
    case msgpack::type::BIN:
      ASSERT_EQ(token.type, Token::kBinary);
      EXPECT_EQ(token.bytes, std::string_view(expected.via.bin.ptr, expected.via.bin.size));
      return;
    case msgpack::type::EXT:
      ASSERT_EQ(token.type, Token::kExtension);
      EXPECT_EQ(token.bytes, std::string_view(expected.via.ext.data(), expected.via.ext.size));
      return;
    case msgpack::type::ARRAY:
      ASSERT_EQ(token.type, Token::kArray);
      ASSERT_EQ(token.count, expected.via.array.size);
      for (uint32_t i = 0; i < token.count; ++i) ExpectItem(expected.via.array.ptr[i], reader);
      return;
    case msgpack::type::MAP:
      ASSERT_EQ(token.type, Token::kMap);
      ASSERT_EQ(token.count, expected.via.map.size);
      for (uint32_t i = 0; i < token.count; ++i) {
        ExpectItem(expected.via.map.ptr[i].key, reader);
        ExpectItem(expected.via.map.ptr[i].val, reader);
      }
      return;
  }
}

TEST(MsgpackReaderTest, ReadsRandomDocumentsAsMsgpackCDoes) {
  Documents documents(TestSeed());
  for (int i = 0; i < 20'000 && !testing::Test::HasFailure(); ++i) {
    const std::string document = documents.Next();
    const msgpack::object_handle expected = msgpack::unpack(document.data(), document.size());
    MsgpackReader reader(document);
    ExpectItem(expected.get(), &reader);
    EXPECT_TRUE(reader.AtEnd());
    MsgpackReader skipping(document);
    EXPECT_EQ(skipping.Skip(32), Skipped::kWhole);
    EXPECT_TRUE(skipping.AtEnd());
  }
}

TEST(MsgpackReaderTest, EveryTruncationOfADocumentIsBroken) {
  Documents documents(TestSeed());
  for (int i = 0; i < 300; ++i) {
    const std::string document = documents.Next();
    if (document.size() > 2000) continue;
    for (size_t size = 0; size < document.size(); ++size) {
      // A copy of just that size, so that AddressSanitizer sees a read beyond it.
      const std::vector<char> copy(document.begin(), document.begin() + static_cast<long>(size));
      MsgpackReader reader({copy.data(), copy.size()});
      ASSERT_EQ(reader.Skip(32), Skipped::kBroken);
    }
  }
}

TEST(MsgpackReaderTest, ArbitraryBytesAreWholeExactlyWhenTheyAreForMsgpackC) {
  Documents documents(TestSeed());
  int whole = 0;
  for (int i = 0; i < 200'000; ++i) {
    std::string bytes(1 + documents.Below(12), '\0');
    for (char& byte : bytes) byte = static_cast<char>(documents.Below(256));
    msgpack::null_visitor visitor;
    size_t expected_size = 0;
    bool expected_whole = false;
    try {
      expected_whole = msgpack::parse(bytes.data(), bytes.size(), expected_size, visitor);
    } catch (const msgpack::unpack_error&) {
      expected_whole = false;
    }
    MsgpackReader reader(bytes);
    ASSERT_EQ(reader.Skip(32) == Skipped::kWhole, expected_whole);
    if (!expected_whole) continue;
    ++whole;
    ASSERT_EQ(bytes.size() - reader.remaining(), expected_size);
  }
  EXPECT_GT(whole, 1000);
}

TEST(MsgpackReaderTest, BrokenHeadLeavesTheReaderWhereItWas) {
  for (const std::string_view bytes :
       {std::string_view("\xc1"),
        std::string_view("\xa3"
                         "ab"),
        std::string_view("\xcd\x01"), std::string_view("\xc7\x05")}) {
    MsgpackReader reader(bytes);
    Token token;
    EXPECT_FALSE(reader.Next(&token));
    EXPECT_EQ(reader.at(), bytes.data());
  }
}

TEST(MsgpackReaderTest, CountsBeyondTheInputAreLies) {
  Token token;
  EXPECT_FALSE(MsgpackReader("\xdd\xff\xff\xff\xff").Next(&token));  // 4 G items
  EXPECT_FALSE(MsgpackReader("\xdf\xff\xff\xff\xff").Next(&token));  // 4 G pairs
  EXPECT_FALSE(MsgpackReader("\xc6\xff\xff\xff\xff").Next(&token));  // 4 GB
  EXPECT_FALSE(MsgpackReader("\x82\x01\x02\x03").Next(&token));      // Two pairs, three items.
  EXPECT_TRUE(MsgpackReader("\x82\x01\x02\x03\x04").Next(&token));
}

TEST(MsgpackReaderTest, NestingIsBounded) {
  const auto nested = [](size_t depth) { return std::string(depth, '\x91') + '\xc0'; };
  EXPECT_EQ(MsgpackReader("\xc0").Skip(0), Skipped::kWhole);
  EXPECT_EQ(MsgpackReader("\x90").Skip(0), Skipped::kNestedTooDeep);
  EXPECT_EQ(MsgpackReader("\x80").Skip(0), Skipped::kNestedTooDeep);
  EXPECT_EQ(MsgpackReader(nested(32)).Skip(32), Skipped::kWhole);
  EXPECT_EQ(MsgpackReader(nested(33)).Skip(32), Skipped::kNestedTooDeep);
  EXPECT_EQ(MsgpackReader(nested(100'000)).Skip(32), Skipped::kNestedTooDeep);
  // Neighbours do not add up.
  EXPECT_EQ(MsgpackReader("\x93\x90\x90\x90").Skip(2), Skipped::kWhole);
}

TEST(MsgpackReaderTest, IntegerThatIsNotNegativeIsUnsignedHoweverItWasEncoded) {
  for (const std::string_view five :
       {std::string_view("\x05"), std::string_view("\xcc\x05"), std::string_view("\xd0\x05"),
        std::string_view("\xd1\0\x05", 3), std::string_view("\xd3\0\0\0\0\0\0\0\x05", 9)}) {
    Token token;
    ASSERT_TRUE(MsgpackReader(five).Next(&token));
    EXPECT_EQ(token.type, Token::kUnsigned);
    EXPECT_EQ(token.number, 5u);
  }
}

// What is appended must be, byte for byte, what msgpack-c appends: the shortest form.
class MsgpackAppendTest : public testing::Test {
 protected:
  template <typename Ours, typename Theirs>
  void ExpectSame(Ours ours, Theirs theirs) {
    ByteBuffer out;
    ours(&out);
    msgpack::sbuffer buffer;
    Packer packer(buffer);
    theirs(&packer);
    EXPECT_EQ(out.view(), std::string_view(buffer.data(), buffer.size()));
  }
};

TEST_F(MsgpackAppendTest, IntegersTakeTheShortestForm) {
  for (int bit = 0; bit < 64; ++bit) {
    for (const int64_t near : {-33, -2, -1, 0, 1}) {
      const uint64_t number = (uint64_t{1} << bit) + static_cast<uint64_t>(near);
      const int64_t negative = static_cast<int64_t>(0 - number);
      ExpectSame([&](ByteBuffer* out) { PackUnsigned(out, number); },
                 [&](Packer* packer) { packer->pack_uint64(number); });
      ExpectSame([&](ByteBuffer* out) { PackSigned(out, negative); },
                 [&](Packer* packer) { packer->pack_int64(negative); });
    }
  }
}

TEST_F(MsgpackAppendTest, HeadsTakeTheShortestForm) {
  for (const uint32_t size : {0u, 1u, 15u, 16u, 31u, 32u, 255u, 256u, 65'535u, 65'536u}) {
    const std::string content(size, 'x');
    ExpectSame([&](ByteBuffer* out) { PackString(out, content); },
               [&](Packer* packer) {
                 packer->pack_str(size);
                 packer->pack_str_body(content.data(), size);
               });
    ExpectSame([&](ByteBuffer* out) { PackBinary(out, content); },
               [&](Packer* packer) {
                 packer->pack_bin(size);
                 packer->pack_bin_body(content.data(), size);
               });
    ExpectSame([&](ByteBuffer* out) { PackArray(out, size); },
               [&](Packer* packer) { packer->pack_array(size); });
    ExpectSame([&](ByteBuffer* out) { PackMap(out, size); },
               [&](Packer* packer) { packer->pack_map(size); });
    ByteBuffer string_head, binary_head;
    PackStringHead(&string_head, size);
    PackBinaryHead(&binary_head, size);
    EXPECT_EQ(string_head.size(), StringHeadBytes(size));
    EXPECT_EQ(binary_head.size(), BinaryHeadBytes(size));
  }
}

TEST_F(MsgpackAppendTest, FlatItems) {
  ExpectSame([](ByteBuffer* out) { PackNil(out); }, [](Packer* packer) { packer->pack_nil(); });
  ExpectSame([](ByteBuffer* out) { PackBool(out, true); },
             [](Packer* packer) { packer->pack_true(); });
  ExpectSame([](ByteBuffer* out) { PackBool(out, false); },
             [](Packer* packer) { packer->pack_false(); });
  for (const double real : {0.0, -0.0, 1.5, 1e300, std::numeric_limits<double>::infinity()}) {
    // msgpack-c turns doubles that are whole into integers unless it is told not to.
    ByteBuffer out;
    PackFloat(&out, real);
    MsgpackReader reader(out.view());
    Token token;
    ASSERT_TRUE(reader.Next(&token));
    EXPECT_EQ(out.size(), 9u);
    EXPECT_EQ(token.real, real);
    EXPECT_EQ(std::signbit(token.real), std::signbit(real));
  }
}

TEST(Utf8Test, AcceptsWhatRfc3629Does) {
  for (const char* const text : {"", "plain ascii, longer than one word", "\xc2\x80", "\xdf\xbf",
                                 "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbf",
                                 "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "12345678\xc3\xa9"}) {
    EXPECT_TRUE(IsUtf8(text)) << text;
  }
}

TEST(Utf8Test, RefusesWhatRfc3629Does) {
  for (const char* const text :
       {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2",
        "\xc2"
        "a",
        "\xe0\x9f\xbf", "\xed\xa0\x80", "\xe2\x82", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80", "\xff", "12345678\xff", "1234567\xe2\x82"}) {
    EXPECT_FALSE(IsUtf8(text)) << text;
  }
}

}  // namespace
}  // namespace entrepot
