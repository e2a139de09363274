// MessagePack, one token at a time: a reader that never throws, never allocates and never reads
// past its input, and functions that append.
//
// Not a document model: nobody here needs one. msgpack-c's takes four allocations and 75 ns a
// request, and asks for memory by what a header claims. Format: the MessagePack specification
// (github.com/msgpack/msgpack, spec.md).
//
// Thread safety: none needed; values.
//
//   MsgpackReader reader(bytes);
//   Token token;
//   if (!reader.Next(&token) || token.type != Token::kArray) return …;
#pragma once

#include <cstdint>
#include <string_view>

#include "base/byte_buffer.h"
#include "base/coding.h"

namespace entrepot {

// One item's head, and its content where that is flat.
struct Token {
  enum Type : uint8_t {
    kNil,
    kFalse,
    kTrue,
    kUnsigned,   // `number`; any integer that is not negative, however it was encoded.
    kNegative,   // `number`, as two's complement.
    kFloat,      // `real`; float 32 is widened, which is exact.
    kString,     // `bytes`
    kBinary,     // `bytes`
    kArray,      // `count` items follow.
    kMap,        // `count` pairs follow.
    kExtension,  // `bytes`, without the type.
  };

  Type type;
  uint32_t count;
  union {
    uint64_t number;
    double real;
  };
  std::string_view bytes;

  bool IsInteger() const { return type == kUnsigned || type == kNegative; }
  bool IsText() const { return type == kString || type == kBinary; }
};

class MsgpackReader {
 public:
  explicit MsgpackReader(std::string_view bytes)
      : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  const char* at() const { return at_; }
  bool AtEnd() const { return at_ == end_; }
  size_t remaining() const { return static_cast<size_t>(end_ - at_); }

  // Reads one head, and the content of a str, bin or ext. False, and the reader stays, when the
  // input ends inside of it, is the byte 0xc1, or claims more items than bytes are left.
  bool Next(Token* token) {
    // The heads that most requests consist of, without a call.
    if (at_ != end_) {
      const uint8_t head = static_cast<uint8_t>(*at_);
      if (head < 0x80) {
        token->type = Token::kUnsigned;
        token->number = head;
        ++at_;
        return true;
      }
      if (const size_t bytes = head & 0x1f; head >= 0xa0 && head < 0xc0 && bytes < remaining()) {
        token->type = Token::kString;
        token->bytes = {at_ + 1, bytes};
        at_ += 1 + bytes;
        return true;
      }
      if (const uint32_t count = head & 0x0f; head >= 0x90 && head < 0xa0 && count < remaining()) {
        token->type = Token::kArray;
        token->count = count;
        ++at_;
        return true;
      }
    }
    return NextOfAny(token);
  }

  enum class Skipped { kWhole, kBroken, kNestedTooDeep };
  // Passes one item with all that is inside. `nesting` bounds arrays and maps within one another.
  Skipped Skip(size_t nesting);

 private:
  // Next(), whatever the head.
  bool NextOfAny(Token* token);

  const char* at_;
  const char* end_;
};

// --- Appending --------------------------------------------------------------------------------

void PackUnsigned(ByteBuffer* out, uint64_t value);
void PackSigned(ByteBuffer* out, int64_t value);
void PackFloat(ByteBuffer* out, double value);
void PackArray(ByteBuffer* out, uint32_t count);
void PackMap(ByteBuffer* out, uint32_t count);
void PackStringHead(ByteBuffer* out, uint32_t bytes);
void PackBinaryHead(ByteBuffer* out, uint32_t bytes);
void PackBinary(ByteBuffer* out, std::string_view bytes);
inline void PackByte(ByteBuffer* out, uint8_t byte) {
  *out->Room(1) = static_cast<char>(byte);
  out->Advance(1);
}
// Inline, so that it is two stores for what is known when compiled.
inline void PackString(ByteBuffer* out, std::string_view bytes) {
  bytes.size() < 32 ? PackByte(out, static_cast<uint8_t>(0xa0 | bytes.size()))
                    : PackStringHead(out, static_cast<uint32_t>(bytes.size()));
  out->Append(bytes);
}
inline void PackNil(ByteBuffer* out) { PackByte(out, 0xc0); }
inline void PackBool(ByteBuffer* out, bool value) { PackByte(out, value ? 0xc3 : 0xc2); }

// Bytes that PackStringHead() (or PackBinaryHead()) takes for content of `bytes`.
constexpr size_t StringHeadBytes(size_t bytes) {
  return bytes < 32 ? 1 : bytes < 256 ? 2 : bytes < 65536 ? 3 : 5;
}
constexpr size_t BinaryHeadBytes(size_t bytes) { return bytes < 256 ? 2 : bytes < 65536 ? 3 : 5; }

// Whether the bytes are UTF-8 (RFC 3629).
bool IsUtf8(std::string_view bytes);

}  // namespace entrepot
