#include "zmtp/input_buffer.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "base/status.h"
#include "zmtp/limits.h"

namespace entrepot::zmtp {

void InputBuffer::Keep(std::span<const char> bytes) {
  CHECK(empty());
  Free();
  if (bytes.empty()) return;
  memory_ = static_cast<char*>(std::malloc(bytes.size()));
  CHECK(memory_ != nullptr);
  std::memcpy(memory_, bytes.data(), bytes.size());
  capacity_ = end_ = bytes.size();
}

size_t InputBuffer::HeldAfterRoom(size_t needed) const {
  const size_t present = end_ - begin_;
  const size_t grown = std::max(capacity_, std::max(2 * present, kLargeReadBytes));
  return capacity_ > present ? capacity_ : std::min(needed, grown);
}

std::span<char> InputBuffer::Room(size_t needed) {
  const size_t present = end_ - begin_;
  CHECK(needed > present);
  const size_t capacity = HeldAfterRoom(needed);
  if (begin_ != 0) {
    std::memmove(memory_, memory_ + begin_, present);
    begin_ = 0;
    end_ = present;
  }
  if (capacity != capacity_) {
    memory_ = static_cast<char*>(std::realloc(memory_, capacity));
    CHECK(memory_ != nullptr);
    capacity_ = capacity;
  }
  return {memory_ + end_, std::min(capacity_, needed) - end_};
}

void InputBuffer::Free() {
  std::free(memory_);
  memory_ = nullptr;
  begin_ = end_ = capacity_ = 0;
}

}  // namespace entrepot::zmtp
