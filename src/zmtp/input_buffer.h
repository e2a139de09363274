// Received bytes that one connection keeps from turn to turn: the beginning of a message, or whole
// messages for which its slice of the turn had no room.
//
// Most connections keep nothing: they are read into the io thread's arena, and all of it is taken.
// Memory is taken for bytes that are there, and at most as much again, never for what a header
// announces.
//
// Thread safety: none; belongs to one io thread.
#pragma once

#include <cstddef>
#include <span>

namespace entrepot::zmtp {

class InputBuffer {
 public:
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
  // needed - bytes().size(). Moves bytes().
  std::span<char> Room(size_t needed);
  // What Room() would make of held_bytes().
  size_t HeldAfterRoom(size_t needed) const;
  // `count` bytes were read into Room().
  void Filled(size_t count) { end_ += count; }
  // `count` bytes from the front are done with; their memory stays as it is until Free() or Room().
  void Drop(size_t count) { begin_ += count; }
  void Free();

 private:
  char* memory_ = nullptr;
  size_t begin_ = 0;
  size_t end_ = 0;
  size_t capacity_ = 0;
};

}  // namespace entrepot::zmtp
