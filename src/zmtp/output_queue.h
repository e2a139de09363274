// What waits to be written to one connection: a list of pieces, each borrowed or owned.
//
// Answers of a turn are laid into the io thread's arena and borrowed from there; usually one write
// takes them all and nothing is allocated. What a full socket leaves is copied out of the arena by
// Settle() and owned until it goes out. Large values are owned by whoever made them, see Piece.
//
// Thread safety: none; belongs to one io thread.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "zmtp/message.h"

namespace entrepot::zmtp {

class OutputQueue {
 public:
  OutputQueue() = default;
  ~OutputQueue() { Clear(); }
  OutputQueue(const OutputQueue&) = delete;
  OutputQueue& operator=(const OutputQueue&) = delete;

  // `bytes` stay valid until the next Settle(). Bytes that follow the last ones in memory extend
  // them.
  void Borrow(std::string_view bytes);
  // Takes the piece, which has a release function, and calls that when it is written or dropped.
  void Own(const Piece& piece);
  // Copies `bytes` behind what waits already.
  void Copy(std::string_view bytes);

  enum class Outcome {
    kAllWritten,
    kBlocked,  // The socket is full, or this write took its share: some bytes wait.
    kFailed,   // The connection is gone.
  };
  // One write; adds the bytes that went out to `*written`.
  Outcome WriteTo(int socket, size_t* written);

  // Copies what is borrowed, so that the arena may be used again.
  void Settle();
  // Drops everything.
  void Clear();

  bool empty() const { return first_ == parts_.size(); }
  // Bytes not yet written.
  size_t waiting_bytes() const { return waiting_bytes_; }
  // Of these, bytes of owned memory.
  size_t held_bytes() const { return held_bytes_; }

 private:
  struct Part {
    const char* data;
    size_t size;
    void* owner;
    void (*release)(void* owner);  // Null: borrowed.
  };
  void DropWritten(size_t bytes);
  void Append(const Part& part);

  std::vector<Part> parts_;  // Those before first_ are gone.
  size_t first_ = 0;
  size_t waiting_bytes_ = 0;
  size_t held_bytes_ = 0;
  // Room behind the last part, when that is a block made by Copy().
  size_t last_room_ = 0;
};

}  // namespace entrepot::zmtp
