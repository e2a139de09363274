// Writes responses: the head of each, and errors; the fields of a result are written by who has
// them, with the functions of base/msgpack.h.
//
// A Reply is the body of one message under construction. Large values stand in it by reference, so
// that a transport that can gather need not copy them.
//
// Thread safety: none; a Reply belongs to who answers one body.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/byte_buffer.h"
#include "base/msgpack.h"
#include "base/status.h"
#include "base/value_block.h"
#include "protocol/message.h"

namespace entrepot {

class Reply {
 public:
  // A block that stands in front of the byte `offset` of bytes().
  struct Piece {
    size_t offset;
    BlockRef block;
  };

  ByteBuffer& bytes() { return bytes_; }
  const ByteBuffer& bytes() const { return bytes_; }
  const std::vector<Piece>& pieces() const { return pieces_; }
  bool empty() const { return bytes_.empty(); }
  // All of it, blocks included.
  size_t size() const { return bytes_.size() + block_bytes_; }

  void AppendBlock(BlockRef block) {
    block_bytes_ += block.bytes().size();
    pieces_.push_back({bytes_.size(), std::move(block)});
  }

  // Moves all of `other` behind what is here.
  void Append(Reply other);

  // A place to come back to, when what was written behind it is not to be sent.
  struct Mark {
    size_t bytes = 0;
    size_t pieces = 0;
    size_t block_bytes = 0;
  };
  Mark Here() const { return {bytes_.size(), pieces_.size(), block_bytes_}; }
  void Clear() { GoBack({}); }
  void GoBack(Mark mark) {
    bytes_.Truncate(mark.bytes);
    pieces_.resize(mark.pieces);
    block_bytes_ = mark.block_bytes;
  }

  // Copies all of it to `to`, which has room for size() bytes.
  void CopyTo(char* to) const;

 private:
  ByteBuffer bytes_;
  std::vector<Piece> pieces_;
  size_t block_bytes_ = 0;
};

// [1, msgid, nil, … : a result is to follow, one msgpack item.
inline void PackResultHead(ByteBuffer* out, uint32_t msgid) {
  PackByte(out, 0x94);
  PackByte(out, 1);
  PackUnsigned(out, msgid);
  PackNil(out);
}

// A name of a map, shorter than 32 bytes and known when compiled: one store each.
template <size_t N>
inline void PackName(ByteBuffer* out, const char (&name)[N]) {
  static_assert(N - 1 < 32);
  char* const to = out->Room(N);
  *to = static_cast<char>(0xa0 | (N - 1));
  std::memcpy(to + 1, name, N - 1);
  out->Advance(N);
}

// A key as it is handed back: str where its bytes are UTF-8, else bin.
inline void PackKey(ByteBuffer* out, std::string_view key, bool is_utf8) {
  is_utf8 ? PackString(out, key) : PackBinary(out, key);
}

// An error as a map. `retry_after_ms` 0: not told. `oldest`: told with kHistoryLost.
void PackErrorMap(ByteBuffer* out, const Status& status, int64_t retry_after_ms,
                  std::optional<uint64_t> oldest);
// A whole response that is an error. `retry_after_ms` 0: not told.
void PackError(ByteBuffer* out, uint32_t msgid, const Status& status, int64_t retry_after_ms = 0,
               std::optional<uint64_t> oldest = std::nullopt);

}  // namespace entrepot
