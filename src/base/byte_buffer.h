// A growing run of bytes that does not clear what it is about to overwrite, and can give its memory
// away (a transport sends it without a copy).
//
// Not a std::string: its resize() writes zeros first, and its memory cannot be taken.
//
// Thread safety: none.
#pragma once

#include <cstdlib>
#include <cstring>
#include <string_view>
#include <utility>

#include "base/status.h"

namespace entrepot {

class ByteBuffer {
 public:
  ByteBuffer() = default;
  ByteBuffer(ByteBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)),
        capacity_(std::exchange(other.capacity_, 0)) {}
  ByteBuffer& operator=(ByteBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
    return *this;
  }
  ~ByteBuffer() { std::free(data_); }

  const char* data() const { return data_; }
  char* data() { return data_; }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  std::string_view view() const { return {data_, size_}; }

  // Room for `bytes` more; what is returned stays valid until the next call that grows.
  char* Room(size_t bytes) {
    if (__builtin_expect(capacity_ - size_ < bytes, 0)) Grow(bytes);
    return data_ + size_;
  }
  // Of the room asked for, `bytes` were written.
  void Advance(size_t bytes) { size_ += bytes; }

  void Append(const void* from, size_t bytes) {
    if (bytes == 0) return;
    std::memcpy(Room(bytes), from, bytes);
    size_ += bytes;
  }
  void Append(std::string_view bytes) { Append(bytes.data(), bytes.size()); }

  // Forgets what stands behind `size`, which is at most size().
  void Truncate(size_t size) { size_ = size; }
  void Clear() { size_ = 0; }

  // The memory, to be freed by std::free(); the buffer is empty afterwards.
  char* Release() {
    size_ = capacity_ = 0;
    return std::exchange(data_, nullptr);
  }

 private:
  void Grow(size_t bytes) {
    size_t capacity = capacity_ < 128 ? 256 : capacity_ * 2;
    if (capacity < size_ + bytes) capacity = size_ + bytes;
    data_ = static_cast<char*>(std::realloc(data_, capacity));
    CHECK(data_ != nullptr);
    capacity_ = capacity;
  }

  char* data_ = nullptr;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

}  // namespace entrepot
