#include "entrepot/value.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "entrepot/msgpack.h"
#include "wire_reader.h"

namespace entrepot {
namespace {

using std::string_literals::operator""s;

TEST(ValueTest, EncodesEachTypeAsMsgpackDoes) {
  EXPECT_EQ(Value().encoded(), "\xc0"s);
  EXPECT_EQ(Value(true).encoded(), "\xc3"s);
  EXPECT_EQ(Value(7).encoded(), "\x07"s);
  EXPECT_EQ(Value(-1).encoded(), "\xff"s);
  EXPECT_EQ(Value(uint64_t{1} << 63).encoded(), "\xcf\x80\0\0\0\0\0\0\0"s);
  EXPECT_EQ(Value(1.5).encoded(), "\xcb\x3f\xf8\0\0\0\0\0\0"s);
  EXPECT_EQ(Value("ab").encoded(), "\xa2"s + "ab");
  EXPECT_EQ(Value::Bytes("ab").encoded(), "\xc4\x02"s + "ab");
}

TEST(ValueTest, GivesBackWhatWasPutIn) {
  EXPECT_EQ(*Value("text").AsString(), "text");
  EXPECT_EQ(*Value::Bytes("\0\xff"s).AsString(), "\0\xff"s);
  EXPECT_EQ(*Value(std::numeric_limits<int64_t>::min()).AsInt(),
            std::numeric_limits<int64_t>::min());
  EXPECT_EQ(*Value(std::numeric_limits<uint64_t>::max()).AsUint(),
            std::numeric_limits<uint64_t>::max());
  EXPECT_EQ(*Value(-2.25).AsDouble(), -2.25);
  EXPECT_EQ(*Value(3).AsDouble(), 3.0);
  EXPECT_FALSE(*Value(false).AsBool());
}

TEST(ValueTest, NeverConvertsSilently) {
  EXPECT_EQ(Value("1").AsInt().status().code(), StatusCode::kWrongType);
  EXPECT_EQ(Value(1).AsString().status().code(), StatusCode::kWrongType);
  EXPECT_EQ(Value(-1).AsUint().status().code(), StatusCode::kWrongType);
  EXPECT_EQ(Value(uint64_t{1} << 63).AsInt().status().code(), StatusCode::kWrongType);
  EXPECT_EQ(Value(1.0).AsInt().status().code(), StatusCode::kWrongType);
  EXPECT_EQ(Value(1).AsBool().status().code(), StatusCode::kWrongType);
  EXPECT_EQ(Value().AsDouble().status().code(), StatusCode::kWrongType);
}

TEST(ValueTest, ReadsIntegersOfEveryWidth) {
  const std::vector<std::pair<std::string, int64_t>> encodings = {
      {"\xcc\x05"s, 5},
      {"\xcd\0\x05"s, 5},
      {"\xce\0\0\0\x05"s, 5},
      {"\xcf\0\0\0\0\0\0\0\x05"s, 5},
      {"\xd0\xfb"s, -5},
      {"\xd1\xff\xfb"s, -5},
      {"\xd2\xff\xff\xff\xfb"s, -5},
      {"\xd3\xff\xff\xff\xff\xff\xff\xff\xfb"s, -5}};
  for (const auto& [encoded, number] : encodings) {
    EXPECT_EQ(*Value::FromEncoded(encoded)->AsInt(), number);
  }
}

TEST(ValueTest, KeepsAnUnusualEncodingByteForByte) {
  const std::string five_in_nine_bytes = "\xcf\0\0\0\0\0\0\0\x05"s;
  EXPECT_EQ(Value::FromEncoded(five_in_nine_bytes)->encoded(), five_in_nine_bytes);
  EXPECT_EQ(Value::FromEncoded("\xd6\xff\0\0\0\x01"s)->type(), Value::Type::kExt);
}

TEST(ValueTest, RefusesWhatIsNotOneValue) {
  for (const std::string& broken : {""s, "\xc1"s, "\xa5"s + "ab", "\x01\x02"s, "\x92\x01"s}) {
    EXPECT_EQ(Value::FromEncoded(broken).status().code(), StatusCode::kMalformed);
  }
}

TEST(ValueTest, TellsTextFromBytes) {
  EXPECT_EQ(Value::TextOrBytes("na\xc3\xafve").type(), Value::Type::kString);
  EXPECT_EQ(Value::TextOrBytes("\xff").type(), Value::Type::kBytes);
  const std::vector<std::string> not_utf8 = {
      "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf5", "\xc3", "\x80"};
  for (const std::string& bytes : not_utf8) EXPECT_FALSE(IsUtf8(bytes));
  EXPECT_TRUE(IsUtf8("\xf4\x8f\xbf\xbf"));
  EXPECT_TRUE(IsUtf8("\xed\x9f\xbf"));
}

TEST(ValueTest, ConvertsContainersByMsgpack) {
  const std::map<std::string, std::vector<int>> original = {{"a", {1, 2}}, {"b", {}}};
  const Value value = ToValue(original);
  EXPECT_EQ(value.type(), Value::Type::kMap);
  EXPECT_EQ((*FromValue<std::map<std::string, std::vector<int>>>(value)), original);
  EXPECT_EQ(FromValue<std::vector<int>>(value).status().code(), StatusCode::kWrongType);
}

TEST(WireReaderTest, StaysFailedAfterTheFirstFailure) {
  WireReader reader("\x01\xa1x");
  EXPECT_FALSE(reader.ReadString());
  EXPECT_TRUE(reader.failed());
  EXPECT_FALSE(reader.ReadUint());
}

TEST(WireReaderTest, NeverReadsBehindTheEnd) {
  const std::string whole =
      ToValue(std::map<std::string, std::string>{{"key", std::string(300, 'x')}, {"b", "c"}})
          .encoded();
  for (size_t size = 0; size < whole.size(); ++size) {
    WireReader reader(std::string_view(whole).substr(0, size));
    EXPECT_FALSE(reader.ReadValue()) << size;
  }
  WireReader reader(whole);
  EXPECT_EQ(reader.ReadValue()->size(), whole.size());
  EXPECT_TRUE(reader.AtEnd());
}

}  // namespace
}  // namespace entrepot
