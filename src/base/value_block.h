// A large value's bytes, counted, so that a reply can send them after the entry is gone and without
// a copy.
//
// Thread safety: any thread; the bytes do not change.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string_view>
#include <utility>

#include "base/status.h"

namespace entrepot {

class ValueBlock {
 public:
  // With a count of one, which is the caller's.
  static ValueBlock* New(std::string_view bytes) {
    void* const memory = std::malloc(sizeof(ValueBlock) + bytes.size());
    CHECK(memory != nullptr);
    auto* const block = new (memory) ValueBlock(static_cast<uint32_t>(bytes.size()));
    std::memcpy(static_cast<void*>(block + 1), bytes.data(), bytes.size());
    return block;
  }

  std::string_view bytes() const { return {reinterpret_cast<const char*>(this + 1), size_}; }
  void Ref() { references_.fetch_add(1, std::memory_order_relaxed); }
  void Unref() {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) std::free(this);
  }

 private:
  explicit ValueBlock(uint32_t size) : size_(size) {}

  std::atomic<uint32_t> references_{1};
  const uint32_t size_;
};

// Holds one count of a ValueBlock, or nothing.
class BlockRef {
 public:
  BlockRef() = default;
  explicit BlockRef(ValueBlock* block) : block_(block) { block_->Ref(); }
  BlockRef(BlockRef&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  BlockRef& operator=(BlockRef&& other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~BlockRef() {
    if (block_ != nullptr) block_->Unref();
  }

  ValueBlock* get() const { return block_; }
  std::string_view bytes() const { return block_->bytes(); }

 private:
  ValueBlock* block_ = nullptr;
};

}  // namespace entrepot
