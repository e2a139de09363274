#include "base/msgpack.h"

#include <bit>
#include <limits>

namespace entrepot {

namespace {

// Deeper nesting than this is never asked for; the stack of Skip().
constexpr size_t kNestingCeiling = 64;

template <typename T>
void PackHeadAnd(ByteBuffer* out, uint8_t head, T value) {
  char* to = out->Room(1 + sizeof(T));
  *to = static_cast<char>(head);
  StoreBig<T>(to + 1, value);
  out->Advance(1 + sizeof(T));
}

}  // namespace

bool MsgpackReader::NextOfAny(Token* token) {
  if (at_ == end_) return false;
  const char* at = at_ + 1;
  const size_t left = static_cast<size_t>(end_ - at);
  const uint8_t head = static_cast<uint8_t>(*at_);

  // Reads the big-endian integer T behind the head; false when the input ends before.
  uint64_t field = 0;
  const auto read = [&]<typename T>(T) {
    if (left < sizeof(T)) return false;
    field = LoadBig<T>(at);
    at += sizeof(T);
    return true;
  };
  const auto integer = [&](bool negative) {
    token->type = negative ? Token::kNegative : Token::kUnsigned;
    token->number = field;
    at_ = at;
    return true;
  };
  const auto content = [&](Token::Type type, size_t bytes) {
    if (static_cast<size_t>(end_ - at) < bytes) return false;
    token->type = type;
    token->bytes = {at, bytes};
    at_ = at + bytes;
    return true;
  };
  const auto extension = [&](size_t bytes) {
    if (at == end_) return false;
    ++at;  // The type.
    return content(Token::kExtension, bytes);
  };
  const auto items = [&](Token::Type type, uint64_t count) {
    // Every item takes a byte at least, so a count beyond what is left is a lie.
    const uint64_t least = type == Token::kMap ? count * 2 : count;
    if (least > static_cast<uint64_t>(end_ - at)) return false;
    token->type = type;
    token->count = static_cast<uint32_t>(count);
    at_ = at;
    return true;
  };
  const auto flat = [&](Token::Type type) {
    token->type = type;
    at_ = at;
    return true;
  };

  if (head < 0x80) return field = head, integer(false);
  if (head < 0x90) return items(Token::kMap, head & 0x0f);
  if (head < 0xa0) return items(Token::kArray, head & 0x0f);
  if (head < 0xc0) return content(Token::kString, head & 0x1f);
  if (head >= 0xe0) return field = static_cast<uint64_t>(static_cast<int8_t>(head)), integer(true);
  const auto sign_extended = [&](int bits) {
    field = static_cast<uint64_t>(static_cast<int64_t>(field << (64 - bits)) >> (64 - bits));
    return integer(static_cast<int64_t>(field) < 0);
  };
  switch (head) {
    case 0xc0:
      return flat(Token::kNil);
    case 0xc2:
      return flat(Token::kFalse);
    case 0xc3:
      return flat(Token::kTrue);
    case 0xc4:
      return read(uint8_t{}) && content(Token::kBinary, field);
    case 0xc5:
      return read(uint16_t{}) && content(Token::kBinary, field);
    case 0xc6:
      return read(uint32_t{}) && content(Token::kBinary, field);
    case 0xc7:
      return read(uint8_t{}) && extension(field);
    case 0xc8:
      return read(uint16_t{}) && extension(field);
    case 0xc9:
      return read(uint32_t{}) && extension(field);
    case 0xca:
      if (!read(uint32_t{})) return false;
      token->real = std::bit_cast<float>(static_cast<uint32_t>(field));
      return flat(Token::kFloat);
    case 0xcb:
      if (!read(uint64_t{})) return false;
      token->real = std::bit_cast<double>(field);
      return flat(Token::kFloat);
    case 0xcc:
      return read(uint8_t{}) && integer(false);
    case 0xcd:
      return read(uint16_t{}) && integer(false);
    case 0xce:
      return read(uint32_t{}) && integer(false);
    case 0xcf:
      return read(uint64_t{}) && integer(false);
    case 0xd0:
      return read(uint8_t{}) && sign_extended(8);
    case 0xd1:
      return read(uint16_t{}) && sign_extended(16);
    case 0xd2:
      return read(uint32_t{}) && sign_extended(32);
    case 0xd3:
      return read(uint64_t{}) && sign_extended(64);
    case 0xd4:
      return extension(1);
    case 0xd5:
      return extension(2);
    case 0xd6:
      return extension(4);
    case 0xd7:
      return extension(8);
    case 0xd8:
      return extension(16);
    case 0xd9:
      return read(uint8_t{}) && content(Token::kString, field);
    case 0xda:
      return read(uint16_t{}) && content(Token::kString, field);
    case 0xdb:
      return read(uint32_t{}) && content(Token::kString, field);
    case 0xdc:
      return read(uint16_t{}) && items(Token::kArray, field);
    case 0xdd:
      return read(uint32_t{}) && items(Token::kArray, field);
    case 0xde:
      return read(uint16_t{}) && items(Token::kMap, field);
    case 0xdf:
      return read(uint32_t{}) && items(Token::kMap, field);
    default:
      return false;  // 0xc1
  }
}

MsgpackReader::Skipped MsgpackReader::Skip(size_t nesting) {
  uint64_t open[kNestingCeiling];  // Items still to come in each array or map around.
  size_t depth = 0;
  if (nesting > kNestingCeiling) nesting = kNestingCeiling;
  for (;;) {
    Token token;
    if (!Next(&token)) return Skipped::kBroken;
    if (token.type == Token::kArray || token.type == Token::kMap) {
      if (depth == nesting) return Skipped::kNestedTooDeep;
      open[depth++] = token.type == Token::kMap ? uint64_t{token.count} * 2 : token.count;
    }
    while (depth > 0 && open[depth - 1] == 0) --depth;
    if (depth == 0) return Skipped::kWhole;
    --open[depth - 1];
  }
}

void PackUnsigned(ByteBuffer* out, uint64_t value) {
  if (value < 0x80) return PackByte(out, static_cast<uint8_t>(value));
  if (value <= 0xff) return PackHeadAnd<uint8_t>(out, 0xcc, static_cast<uint8_t>(value));
  if (value <= 0xffff) return PackHeadAnd<uint16_t>(out, 0xcd, static_cast<uint16_t>(value));
  if (value <= 0xffffffff) return PackHeadAnd<uint32_t>(out, 0xce, static_cast<uint32_t>(value));
  PackHeadAnd<uint64_t>(out, 0xcf, value);
}

void PackSigned(ByteBuffer* out, int64_t value) {
  if (value >= 0) return PackUnsigned(out, static_cast<uint64_t>(value));
  if (value >= -32) return PackByte(out, static_cast<uint8_t>(value));
  if (value >= std::numeric_limits<int8_t>::min()) {
    return PackHeadAnd<uint8_t>(out, 0xd0, static_cast<uint8_t>(value));
  }
  if (value >= std::numeric_limits<int16_t>::min()) {
    return PackHeadAnd<uint16_t>(out, 0xd1, static_cast<uint16_t>(value));
  }
  if (value >= std::numeric_limits<int32_t>::min()) {
    return PackHeadAnd<uint32_t>(out, 0xd2, static_cast<uint32_t>(value));
  }
  PackHeadAnd<uint64_t>(out, 0xd3, static_cast<uint64_t>(value));
}

void PackFloat(ByteBuffer* out, double value) {
  PackHeadAnd<uint64_t>(out, 0xcb, std::bit_cast<uint64_t>(value));
}

void PackArray(ByteBuffer* out, uint32_t count) {
  if (count < 16) return PackByte(out, static_cast<uint8_t>(0x90 | count));
  if (count <= 0xffff) return PackHeadAnd<uint16_t>(out, 0xdc, static_cast<uint16_t>(count));
  PackHeadAnd<uint32_t>(out, 0xdd, count);
}

void PackMap(ByteBuffer* out, uint32_t count) {
  if (count < 16) return PackByte(out, static_cast<uint8_t>(0x80 | count));
  if (count <= 0xffff) return PackHeadAnd<uint16_t>(out, 0xde, static_cast<uint16_t>(count));
  PackHeadAnd<uint32_t>(out, 0xdf, count);
}

void PackStringHead(ByteBuffer* out, uint32_t bytes) {
  if (bytes < 32) return PackByte(out, static_cast<uint8_t>(0xa0 | bytes));
  if (bytes <= 0xff) return PackHeadAnd<uint8_t>(out, 0xd9, static_cast<uint8_t>(bytes));
  if (bytes <= 0xffff) return PackHeadAnd<uint16_t>(out, 0xda, static_cast<uint16_t>(bytes));
  PackHeadAnd<uint32_t>(out, 0xdb, bytes);
}

void PackBinaryHead(ByteBuffer* out, uint32_t bytes) {
  if (bytes <= 0xff) return PackHeadAnd<uint8_t>(out, 0xc4, static_cast<uint8_t>(bytes));
  if (bytes <= 0xffff) return PackHeadAnd<uint16_t>(out, 0xc5, static_cast<uint16_t>(bytes));
  PackHeadAnd<uint32_t>(out, 0xc6, bytes);
}

void PackBinary(ByteBuffer* out, std::string_view bytes) {
  PackBinaryHead(out, static_cast<uint32_t>(bytes.size()));
  out->Append(bytes);
}

bool IsUtf8(std::string_view bytes) {
  const char* at = bytes.data();
  const char* const end = at + bytes.size();
  while (end - at >= 8 && (LoadLittle<uint64_t>(at) & 0x8080808080808080) == 0) at += 8;
  while (at != end) {
    const uint8_t head = static_cast<uint8_t>(*at++);
    if (head < 0x80) continue;
    // Length of the tail, and the range of its first byte (RFC 3629, section 4).
    int tail = 0;
    uint8_t low = 0x80, high = 0xbf;
    if (head >= 0xc2 && head <= 0xdf) {
      tail = 1;
    } else if (head >= 0xe0 && head <= 0xef) {
      tail = 2;
      if (head == 0xe0) low = 0xa0;
      if (head == 0xed) high = 0x9f;
    } else if (head >= 0xf0 && head <= 0xf4) {
      tail = 3;
      if (head == 0xf0) low = 0x90;
      if (head == 0xf4) high = 0x8f;
    } else {
      return false;
    }
    if (end - at < tail) return false;
    for (int i = 0; i < tail; ++i, low = 0x80, high = 0xbf) {
      const uint8_t byte = static_cast<uint8_t>(*at++);
      if (byte < low || byte > high) return false;
    }
  }
  return true;
}

}  // namespace entrepot
