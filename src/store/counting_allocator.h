// An allocator that counts the bytes its containers hold, for the store's account of memory.
//
// It counts what containers ask for: nodes and arrays of the indexes, whose sizes the allocator
// hardly rounds. Entries ask the allocator itself (Entry::AllocatedBytes).
//
// Thread safety: as std::allocator; the count may be read from any thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <type_traits>

namespace entrepot {

template <typename T>
class CountingAllocator {
 public:
  using value_type = T;
  using propagate_on_container_swap = std::true_type;
  using propagate_on_container_move_assignment = std::true_type;

  // `bytes` outlives every container with this allocator.
  explicit CountingAllocator(std::atomic<size_t>* bytes) : bytes_(bytes) {}
  template <typename Other>
  CountingAllocator(const CountingAllocator<Other>& other)  // NOLINT: allocators convert.
      : bytes_(other.bytes()) {}

  T* allocate(size_t count) {
    bytes_->fetch_add(count * sizeof(T), std::memory_order_relaxed);
    return std::allocator<T>().allocate(count);
  }
  void deallocate(T* memory, size_t count) {
    bytes_->fetch_sub(count * sizeof(T), std::memory_order_relaxed);
    std::allocator<T>().deallocate(memory, count);
  }

  std::atomic<size_t>* bytes() const { return bytes_; }
  template <typename Other>
  bool operator==(const CountingAllocator<Other>& other) const {
    return bytes_ == other.bytes();
  }

 private:
  std::atomic<size_t>* bytes_;
};

}  // namespace entrepot
