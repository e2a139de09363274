#include "protocol/encoder.h"

namespace entrepot {

void Reply::Append(Reply other) {
  for (Piece& piece : other.pieces_) {
    pieces_.push_back({bytes_.size() + piece.offset, std::move(piece.block)});
  }
  block_bytes_ += other.block_bytes_;
  bytes_.Append(other.bytes_.view());
}

void Reply::CopyTo(char* to) const {
  size_t copied = 0;
  const auto copy = [&](std::string_view bytes) {
    if (!bytes.empty()) std::memcpy(to, bytes.data(), bytes.size());
    to += bytes.size();
  };
  for (const Piece& piece : pieces_) {
    copy(bytes_.view().substr(copied, piece.offset - copied));
    copied = piece.offset;
    copy(piece.block.bytes());
  }
  copy(bytes_.view().substr(copied));
}

void PackError(ByteBuffer* out, uint32_t msgid, const Status& status, int64_t retry_after_ms) {
  PackByte(out, 0x94);
  PackByte(out, 1);
  PackUnsigned(out, msgid);
  PackMap(out, retry_after_ms > 0 ? 4 : 3);
  PackName(out, "code");
  PackString(out, CodeName(status.code()));
  PackName(out, "message");
  PackString(out, status.message());
  PackName(out, "retry");
  PackString(out, MayRetryLater(status.code()) ? "later" : "never");
  if (retry_after_ms > 0) {
    PackName(out, "retry_after_ms");
    PackUnsigned(out, static_cast<uint64_t>(retry_after_ms));
  }
  PackNil(out);
}

}  // namespace entrepot
