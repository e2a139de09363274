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

void PackErrorMap(ByteBuffer* out, const Status& status, int64_t retry_after_ms,
                  std::optional<uint64_t> oldest) {
  const bool tells_oldest = oldest && status.code() == Code::kHistoryLost;
  PackMap(out, 3u + (retry_after_ms > 0 ? 1 : 0) + (tells_oldest ? 1 : 0));
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
  if (tells_oldest) {
    PackName(out, "oldest");
    PackUnsigned(out, *oldest);
  }
}

void PackError(ByteBuffer* out, uint32_t msgid, const Status& status, int64_t retry_after_ms,
               std::optional<uint64_t> oldest) {
  PackByte(out, 0x94);
  PackByte(out, 1);
  PackUnsigned(out, msgid);
  PackErrorMap(out, status, retry_after_ms, oldest);
  PackNil(out);
}

}  // namespace entrepot
