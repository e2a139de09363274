#include "server/cursor.h"

#include <memory>

#include <gtest/gtest.h>

#include "base/limits.h"
#include "base/msgpack.h"

namespace entrepot {
namespace {

using EntryPointer = std::unique_ptr<Entry, void (*)(Entry*)>;

class CursorTest : public testing::Test {
 protected:
  static EntryPointer EntryOf(const std::string& key, const std::string& text) {
    ByteBuffer value;
    PackString(&value, text);
    return {Entry::New(key, value.view(), 0), Entry::Delete};
  }
  // The content of the bin that stands in a response.
  static std::string CursorBehind(const Entry& entry, std::string_view call, IndexOrder order) {
    ByteBuffer out;
    Cursor::Pack(&out, call, order, entry);
    MsgpackReader reader(out.view());
    Token token;
    EXPECT_TRUE(reader.Next(&token) && token.type == Token::kBinary && reader.AtEnd());
    return std::string(token.bytes);
  }
};

TEST_F(CursorTest, NamesThePlaceOfTheEntry) {
  const EntryPointer entry = EntryOf("key", "value");
  const std::string cursor = CursorBehind(*entry, "find+", IndexOrder::kByValue);
  const auto place = Cursor::Read(cursor, "find+", IndexOrder::kByValue);
  ASSERT_TRUE(place);
  EXPECT_EQ(CompareValues(place->value, OrderedValue::OfText("value")), 0);
  EXPECT_EQ(place->key, "key");
}

TEST_F(CursorTest, BelongsToItsCall) {
  const EntryPointer entry = EntryOf("key", "value");
  const std::string cursor = CursorBehind(*entry, "find+1:a", IndexOrder::kByValue);
  EXPECT_FALSE(Cursor::Read(cursor, "find-1:a", IndexOrder::kByValue));
  EXPECT_FALSE(Cursor::Read(cursor, "find+1:b", IndexOrder::kByValue));
  EXPECT_FALSE(Cursor::Read(cursor, "find+1:", IndexOrder::kByValue));
}

TEST_F(CursorTest, AnyAlteredBitIsFound) {
  const EntryPointer entry = EntryOf("key", "value");
  for (const IndexOrder order : {IndexOrder::kByValue, IndexOrder::kByKey}) {
    const std::string cursor = CursorBehind(*entry, "call", order);
    for (size_t bit = 0; bit < cursor.size() * 8; ++bit) {
      std::string altered = cursor;
      altered[bit / 8] = static_cast<char>(altered[bit / 8] ^ (1 << bit % 8));
      EXPECT_FALSE(Cursor::Read(altered, "call", order)) << "bit " << bit;
    }
    for (size_t length = 0; length < cursor.size(); ++length) {
      EXPECT_FALSE(Cursor::Read(cursor.substr(0, length), "call", order));
    }
    EXPECT_FALSE(Cursor::Read(cursor + '\0', "call", order));
  }
}

TEST_F(CursorTest, LongestKeyAndValueFitIntoTheBound) {
  const EntryPointer entry =
      EntryOf(std::string(kKeyBytesMax, 'k'), std::string(10 * kIndexedBytes, 'v'));
  const std::string cursor = CursorBehind(*entry, "call", IndexOrder::kByValue);
  EXPECT_LE(cursor.size(), kCursorBytesMax);
  const auto place = Cursor::Read(cursor, "call", IndexOrder::kByValue);
  ASSERT_TRUE(place);
  EXPECT_EQ(place->value.text, std::string(kIndexedBytes, 'v'));
}

}  // namespace
}  // namespace entrepot
