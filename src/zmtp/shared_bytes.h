// Bytes that several queues hold at once: a published message on its way to many subscribers.
//
// Thread safety: a reference belongs to one thread; references to the same bytes may belong to
// several.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "zmtp/message.h"

namespace entrepot::zmtp {

class SharedBytesRef {
 public:
  explicit SharedBytesRef(std::string bytes) : block_(new Block{1, std::move(bytes)}) {}
  SharedBytesRef(const SharedBytesRef& other) : block_(other.block_) { Retain(block_); }
  SharedBytesRef(SharedBytesRef&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  SharedBytesRef& operator=(SharedBytesRef other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~SharedBytesRef() {
    if (block_ != nullptr) Release(block_);
  }

  std::string_view bytes() const { return block_->bytes; }

  // One more reference as a piece for a queue.
  Piece ToPiece() const {
    Retain(block_);
    return {block_->bytes, block_, Release};
  }

 private:
  struct Block {
    std::atomic<uint32_t> references;
    const std::string bytes;
  };
  static void Retain(Block* block) { block->references.fetch_add(1, std::memory_order_relaxed); }
  static void Release(void* owner) {
    Block* const block = static_cast<Block*>(owner);
    if (block->references.fetch_sub(1, std::memory_order_acq_rel) == 1) delete block;
  }

  Block* block_;
};

}  // namespace entrepot::zmtp
