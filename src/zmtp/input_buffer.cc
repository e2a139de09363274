#include "zmtp/input_buffer.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "base/status.h"
#include "zmtp/limits.h"

namespace entrepot::zmtp {
namespace {

char* NewPages(size_t bytes) {
  void* const pages =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(pages != MAP_FAILED);
  return static_cast<char*>(pages);
}

}  // namespace

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

std::span<char> InputBuffer::Room(size_t needed, Source source) {
  const size_t present = end_ - begin_;
  CHECK(needed > present);
  const size_t capacity = HeldAfterRoom(needed);
  if (begin_ != 0) {
    std::memmove(memory_, memory_ + begin_, present);
    begin_ = 0;
    end_ = present;
  }
  if (capacity != capacity_) Grow(capacity, capacity > kHeapBytesMax ? Source::kPages : source);
  return {memory_ + end_, std::min(capacity_, needed) - end_};
}

void InputBuffer::Grow(size_t capacity, Source source) {
  if (source_ == Source::kPages) {
    // Into a place of its own: a thread sanitizer that knows mmap() and not mremap() would take
    // what another thread had there before for a race.
    void* const moved =
        mremap(memory_, capacity_, capacity, MREMAP_MAYMOVE | MREMAP_FIXED, NewPages(capacity));
    CHECK(moved != MAP_FAILED);
    memory_ = static_cast<char*>(moved);
  } else if (source == Source::kPages) {
    char* const pages = NewPages(capacity);
    if (end_ != 0) std::memcpy(pages, memory_, end_);
    std::free(memory_);
    memory_ = pages;
    source_ = Source::kPages;
  } else {
    memory_ = static_cast<char*>(std::realloc(memory_, capacity));
    CHECK(memory_ != nullptr);
  }
  capacity_ = capacity;
}

void InputBuffer::Free() {
  if (source_ == Source::kPages) {
    CHECK(munmap(memory_, capacity_) == 0);
  } else {
    std::free(memory_);
  }
  memory_ = nullptr;
  begin_ = end_ = capacity_ = 0;
  source_ = Source::kHeap;
}

}  // namespace entrepot::zmtp
