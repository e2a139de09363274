// Bytes on their way out: appended at the end, written from the front.
//
// Not a std::string: Extend() hands out room without filling it with zeros first.
//
// Thread safety: none.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>

#include "base/status.h"

namespace entrepot::bench {

class Buffer {
 public:
  bool empty() const { return size_ == 0; }
  size_t size() const { return size_; }
  char* data() { return bytes_.get(); }
  std::string_view view() const { return {bytes_.get(), size_}; }
  void Clear() { size_ = 0; }

  // Room for `bytes` more behind the end, valid until the next call; Commit() tells what was used.
  char* Reserve(size_t bytes) {
    if (size_ + bytes > capacity_) Grow(size_ + bytes);
    return bytes_.get() + size_;
  }
  void Commit(const char* end) { size_ = static_cast<size_t>(end - bytes_.get()); }

  void Append(std::string_view text) {
    std::memcpy(Reserve(text.size()), text.data(), text.size());
    size_ += text.size();
  }

  void RemovePrefix(size_t bytes) {
    DCHECK(bytes <= size_);
    size_ -= bytes;
    std::memmove(bytes_.get(), bytes_.get() + bytes, size_);
  }

 private:
  static constexpr size_t kCapacityMin = 4096;

  struct Free {
    void operator()(char* bytes) const { std::free(bytes); }
  };

  void Grow(size_t needed) {
    size_t capacity = capacity_ == 0 ? kCapacityMin : capacity_;
    while (capacity < needed) capacity *= 2;
    char* const bytes = static_cast<char*>(std::realloc(bytes_.release(), capacity));
    CHECK(bytes != nullptr);
    bytes_.reset(bytes);
    capacity_ = capacity;
  }

  std::unique_ptr<char, Free> bytes_;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

}  // namespace entrepot::bench
