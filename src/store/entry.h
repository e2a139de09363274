// An entry: a key, its value, its version and the time at which it expires, in one allocation.
//
// It does not change once it can be found, except for its pins; a change makes a new entry in its
// place. There is no reference count for readers: they read below the lock of its stripe or of a
// partition that holds it, or within an epoch (store/epoch.h).
//
// A value of kBlockBytesMin and more stands in a ValueBlock of its own, which is counted, so that
// it can be sent after the entry is gone.
//
// Thread safety: set_version() and Pin() come before the entry is shared; Unpin() from any thread.
//
//    entry   := head:u64 tail:u32 [expires_at:u64] key value      -- in memory only
//    head    := version:53 utf8:1 key length - 1:10
//    tail    := value length:25 expiring:1 block:1 pins:2 unused:3
//    value   := byte[value length] | ValueBlock*
#pragma once

#include <atomic>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "base/coding.h"
#include "base/limits.h"
#include "base/status.h"
#include "base/value_block.h"

namespace entrepot {

// The memory that jemalloc takes for an allocation of `bytes`: its size classes are multiples of 16
// up to 128, then four to each doubling (jemalloc(3), "IMPLEMENTATION NOTES").
constexpr size_t AllocatedBytes(size_t bytes) {
  if (bytes <= 8) return 8;
  if (bytes <= 128) return (bytes + 15) & ~size_t{15};
  const size_t step = std::bit_floor(bytes - 1) / 4;
  return (bytes + step - 1) & ~(step - 1);
}

class Entry {
 public:
  // An entry of version 0. `key` has 1 to kKeyBytesMax bytes, `value` at most kValueBytesCeiling;
  // `expires_at_ms` 0 means never.
  static Entry* New(std::string_view key, std::string_view value, int64_t expires_at_ms);
  // The same, sharing the block of `entry` if it has one: for a change that keeps the value.
  static Entry* CopyWithExpiry(const Entry& entry, int64_t expires_at_ms);
  // Frees what New() took.
  static void Delete(Entry* entry);

  uint64_t version() const { return head_ >> 11; }
  void set_version(uint64_t version) { head_ = (head_ & 0x7ff) | version << 11; }
  bool key_is_utf8() const { return (head_ & 0x400) != 0; }
  std::string_view key() const { return {body() + expiry_bytes(), key_size()}; }
  size_t key_size() const { return (head_ & 0x3ff) + 1; }
  // The msgpack encoding, as it was received.
  std::string_view value() const {
    const uint32_t tail = Tail();
    const char* at = body() + expiry_bytes() + key_size();
    if ((tail & kBlock) != 0) return LoadBlock(at)->bytes();
    return {at, tail & kValueLength};
  }
  size_t value_size() const { return Tail() & kValueLength; }
  // Null where the value stands in the entry itself.
  ValueBlock* block() const {
    if ((Tail() & kBlock) == 0) return nullptr;
    return LoadBlock(body() + expiry_bytes() + key_size());
  }
  // Milliseconds since 1970; 0: never.
  int64_t expires_at_ms() const {
    return (Tail() & kExpiring) != 0 ? static_cast<int64_t>(LoadLittle<uint64_t>(body())) : 0;
  }
  // Whether it cannot be read any more at `now_ms`.
  bool ExpiredAt(int64_t now_ms) const {
    return (Tail() & kExpiring) != 0 &&
           static_cast<int64_t>(LoadLittle<uint64_t>(body())) <= now_ms;
  }

  // Pins count the ordered indexes that still have to forget an entry which the store has replaced.
  // At most 3.
  void Pin() { tail_.fetch_add(kOnePin, std::memory_order_relaxed); }
  // True for who takes the last one away: it retires the entry.
  bool Unpin() {
    const uint32_t before = tail_.fetch_sub(kOnePin, std::memory_order_acq_rel);
    DCHECK((before & kPins) != 0);
    return (before & kPins) == kOnePin;
  }
  bool pinned() const { return (Tail() & kPins) != 0; }

  // Memory taken, as the allocator counts it (see AllocatedBytes() below), a block included.
  size_t allocated_bytes() const;

 private:
  static constexpr uint32_t kValueLength = (1u << 25) - 1;
  static constexpr uint32_t kExpiring = 1u << 25;
  static constexpr uint32_t kBlock = 1u << 26;
  static constexpr uint32_t kOnePin = 1u << 27;
  static constexpr uint32_t kPins = 3u << 27;
  static_assert(kValueLength == kValueBytesCeiling);

  Entry(uint64_t head, uint32_t tail) : head_(head), tail_(tail) {}
  static Entry* Make(std::string_view key, bool key_is_utf8, size_t value_size, bool with_block,
                     int64_t expires_at_ms);
  static ValueBlock* LoadBlock(const char* at) {
    return reinterpret_cast<ValueBlock*>(LoadLittle<uint64_t>(at));
  }

  uint32_t Tail() const { return tail_.load(std::memory_order_relaxed); }
  size_t expiry_bytes() const { return (Tail() & kExpiring) != 0 ? 8 : 0; }
  const char* body() const { return reinterpret_cast<const char*>(this) + kHeaderBytes; }
  char* body() { return reinterpret_cast<char*>(this) + kHeaderBytes; }

  // The object ends in padding, where the body begins.
  static constexpr size_t kHeaderBytes = 12;

  uint64_t head_;
  std::atomic<uint32_t> tail_;
};

}  // namespace entrepot
