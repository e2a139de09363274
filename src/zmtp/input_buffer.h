// Received bytes that one connection keeps from turn to turn: the beginning of a message, or whole
// messages for which its slice of the turn had no room.
//
// Most connections keep nothing: they are read into the io thread's arena, and all of it is taken.
// Memory is taken for bytes that are there, and at most as much again, never for what a header
// announces.
//
// A buffer that grows on the heap leaves its old block to the allocator, which keeps that for some
// seconds: many that grow make the process up to twice as large as what they hold. So large
// buffers, and all of them while much is held, are pages from the system: these move when a buffer
// grows, so that nothing is there twice, and go back at once. They are not the rule because a page
// that the system has to clear costs more than receiving into it.
//
// Thread safety: none; belongs to one io thread.
//
// Invariant: the memory of a buffer is at most held_bytes(), rounded up to a page, and what it has
// left to the allocator, if it is on the heap, at most as much again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace entrepot::zmtp {

// Buffers larger than this are pages. The allocator gives pages for blocks of this size, too, and
// copies them when they grow.
inline constexpr size_t kHeapBytesMax = size_t{8} << 20;

class InputBuffer {
 public:
  // Where memory comes from when a buffer of at most kHeapBytesMax grows.
  enum class Source : uint8_t { kHeap, kPages };

  InputBuffer() = default;
  ~InputBuffer() { Free(); }
  InputBuffer(const InputBuffer&) = delete;
  InputBuffer& operator=(const InputBuffer&) = delete;

  std::span<char> bytes() { return {memory_ + begin_, end_ - begin_}; }
  bool empty() const { return begin_ == end_; }
  // Memory held, for the Budget.
  size_t held_bytes() const { return capacity_; }

  // Keeps a copy of `bytes`; requires empty().
  void Keep(std::span<const char> bytes);
  // Room for reading behind bytes() when `needed` bytes are wanted in all; at least 1 byte, at most
  // needed - bytes().size(). Moves bytes(). What is in pages stays in pages.
  std::span<char> Room(size_t needed, Source source);
  // What Room() would make of held_bytes().
  size_t HeldAfterRoom(size_t needed) const;
  // `count` bytes were read into Room().
  void Filled(size_t count) { end_ += count; }
  // `count` bytes from the front are done with; their memory stays as it is until Free() or Room().
  void Drop(size_t count) { begin_ += count; }
  void Free();

 private:
  void Grow(size_t capacity, Source source);

  char* memory_ = nullptr;
  size_t begin_ = 0;
  size_t end_ = 0;
  size_t capacity_ = 0;
  Source source_ = Source::kHeap;
};

}  // namespace entrepot::zmtp
