#include "store/entry.h"

#include <cstdlib>
#include <new>

#include "base/msgpack.h"

namespace entrepot {

namespace {

void* Allocate(size_t bytes) {
  void* const memory = std::malloc(bytes);
  CHECK(memory != nullptr);
  return memory;
}

}  // namespace

Entry* Entry::Make(std::string_view key, bool key_is_utf8, size_t value_size, bool with_block,
                   int64_t expires_at_ms) {
  CHECK(!key.empty() && key.size() <= kKeyBytesMax && value_size <= kValueBytesCeiling);
  const size_t expiry_bytes = expires_at_ms != 0 ? 8 : 0;
  const size_t stored_bytes = with_block ? sizeof(ValueBlock*) : value_size;
  size_t bytes = kHeaderBytes + expiry_bytes + key.size() + stored_bytes;
  if (bytes < sizeof(Entry)) bytes = sizeof(Entry);
  const uint64_t head = (key_is_utf8 ? 0x400 : 0) | (key.size() - 1);
  const uint32_t tail = static_cast<uint32_t>(value_size) | (expiry_bytes != 0 ? kExpiring : 0) |
                        (with_block ? kBlock : 0);
  auto* const entry = new (Allocate(bytes)) Entry(head, tail);
  if (expiry_bytes != 0) StoreLittle(entry->body(), static_cast<uint64_t>(expires_at_ms));
  std::memcpy(entry->body() + expiry_bytes, key.data(), key.size());
  return entry;
}

Entry* Entry::New(std::string_view key, std::string_view value, int64_t expires_at_ms) {
  const bool with_block = value.size() >= kBlockBytesMin;
  Entry* const entry = Make(key, IsUtf8(key), value.size(), with_block, expires_at_ms);
  char* const at = entry->body() + entry->expiry_bytes() + key.size();
  if (with_block) {
    StoreLittle(at, reinterpret_cast<uint64_t>(ValueBlock::New(value)));
  } else {
    std::memcpy(at, value.data(), value.size());
  }
  return entry;
}

Entry* Entry::CopyWithExpiry(const Entry& from, int64_t expires_at_ms) {
  ValueBlock* const block = from.block();
  Entry* const entry =
      Make(from.key(), from.key_is_utf8(), from.value_size(), block != nullptr, expires_at_ms);
  char* const at = entry->body() + entry->expiry_bytes() + entry->key_size();
  if (block != nullptr) {
    block->Ref();
    StoreLittle(at, reinterpret_cast<uint64_t>(block));
  } else {
    std::memcpy(at, from.value().data(), from.value_size());
  }
  return entry;
}

void Entry::Delete(Entry* entry) {
  if (ValueBlock* const block = entry->block(); block != nullptr) block->Unref();
  std::free(entry);
}

size_t Entry::allocated_bytes() const {
  if (block() != nullptr) {
    return AllocatedBytes(kHeaderBytes + expiry_bytes() + key_size() + sizeof(ValueBlock*)) +
           AllocatedBytes(sizeof(ValueBlock) + value_size());
  }
  return AllocatedBytes(kHeaderBytes + expiry_bytes() + key_size() + value_size());
}

}  // namespace entrepot
