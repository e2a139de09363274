#include "server/cursor.h"

#include "base/hash.h"
#include "base/limits.h"
#include "base/msgpack.h"

namespace entrepot {

namespace {

// Persistent: never change, or cursors end at a restart with a newer version.
constexpr HashSecret kCursorSecret = {0x656e747265706f74, 0x637572736f722031};

uint64_t HashOf(std::string_view call, std::string_view place) {
  std::string all(call);
  all += place;
  return HashKey(all, kCursorSecret) ^ call.size();
}

}  // namespace

void Cursor::Pack(ByteBuffer* out, std::string_view call, IndexOrder order, const Entry& entry) {
  ByteBuffer place;
  Token token;
  if (order == IndexOrder::kByKey) {
    PackNil(&place);
  } else if (MsgpackReader(entry.value()).Next(&token) && token.IsText()) {
    PackBinary(&place, token.bytes.substr(0, kIndexedBytes));
  } else {
    place.Append(entry.value());
  }
  PackBinary(&place, entry.key());
  PackBinaryHead(out, static_cast<uint32_t>(sizeof(uint64_t) + place.size()));
  StoreLittle(out->Room(sizeof(uint64_t)), HashOf(call, place.view()));
  out->Advance(sizeof(uint64_t));
  out->Append(place.view());
}

std::optional<IndexPlace> Cursor::Read(std::string_view bytes, std::string_view call,
                                       IndexOrder order) {
  if (bytes.size() < sizeof(uint64_t) || bytes.size() > kCursorBytesMax) return std::nullopt;
  const std::string_view place = bytes.substr(sizeof(uint64_t));
  if (LoadLittle<uint64_t>(bytes.data()) != HashOf(call, place)) return std::nullopt;
  MsgpackReader reader(place);
  const char* const begin = reader.at();
  if (reader.Skip(0) != MsgpackReader::Skipped::kWhole) return std::nullopt;
  const std::string_view value(begin, static_cast<size_t>(reader.at() - begin));
  Token key;
  if (!reader.Next(&key) || !key.IsText() || !reader.AtEnd()) return std::nullopt;
  if (order == IndexOrder::kByKey) return IndexPlace{OrderedValue::OfText(key.bytes), {}};
  const std::optional<OrderedValue> read = ReadOrderedValue(value);
  if (!read) return std::nullopt;
  return IndexPlace{*read, key.bytes};
}

}  // namespace entrepot
