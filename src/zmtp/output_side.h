// The output of one io thread: what is sent in a turn is laid into an arena, connection after
// connection, and goes out in one write for each when the turn ends.
//
// Thread safety: none; belongs to one io thread.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "zmtp/connection.h"
#include "zmtp/message.h"
#include "zmtp/shared_bytes.h"

namespace entrepot::zmtp {

// Calls every release function of the pieces.
void ReleasePieces(std::span<const Piece> pieces);

// Bytes of the pieces together.
size_t PiecesBytes(std::span<const Piece> pieces);

class OutputSide {
 public:
  // What a write may do to a connection, decided by the io thread.
  class Owner {
   public:
    virtual ~Owner() = default;
    // A write to `connection` came to an end.
    virtual void OnWritten(Connection& connection, OutputQueue::Outcome outcome) = 0;
  };

  OutputSide(Shared& shared, Owner& owner);

  // Appends one message: `envelope` as it is, then a frame with `body`.
  void AppendMessage(Connection& connection, std::string_view envelope,
                     std::span<const Piece> body);
  // Appends bytes that are frames already.
  void AppendBytes(Connection& connection, std::string_view bytes);
  void AppendPiece(Connection& connection, const Piece& piece);

  // Have this connection written when the turn ends, also without new bytes.
  void MarkDirty(Connection& connection);
  // Writes to every connection that has something, once.
  void Flush();
  bool has_dirty() const { return !dirty_.empty(); }

 private:
  // Room in the arena, or null when so many bytes are to be copied into the connection's own
  // memory: a full socket would force that in the end.
  char* Reserve(const Connection& connection, size_t bytes);

  Shared& shared_;
  Owner& owner_;
  const std::unique_ptr<char[]> arena_;
  size_t arena_used_ = 0;
  std::vector<Connection*> dirty_;
  std::vector<Connection*> writing_;  // Of Flush(), kept for its memory.
};

}  // namespace entrepot::zmtp
