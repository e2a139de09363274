#include "zmtp/output_side.h"

#include <cstring>

#include "zmtp/frame.h"
#include "zmtp/limits.h"

namespace entrepot::zmtp {
namespace {

char* Store(char* to, std::string_view bytes) {
  std::memcpy(to, bytes.data(), bytes.size());
  return to + bytes.size();
}

}  // namespace

void ReleasePieces(std::span<const Piece> pieces) {
  for (const Piece& piece : pieces) {
    if (piece.release != nullptr) piece.release(piece.owner);
  }
}

size_t PiecesBytes(std::span<const Piece> pieces) {
  size_t bytes = 0;
  for (const Piece& piece : pieces) bytes += piece.bytes.size();
  return bytes;
}

OutputSide::OutputSide(Shared& shared, Owner& owner)
    : shared_(shared), owner_(owner), arena_(new char[kOutputArenaBytes]) {}

char* OutputSide::Reserve(const Connection& connection, size_t bytes) {
  if (connection.wants_write || bytes > kOutputArenaBytes / 4) return nullptr;
  if (bytes > kOutputArenaBytes - arena_used_) Flush();
  // The write may have found the socket full.
  if (connection.wants_write) return nullptr;
  char* const room = arena_.get() + arena_used_;
  arena_used_ += bytes;
  return room;
}

void OutputSide::AppendMessage(Connection& connection, std::string_view envelope,
                               std::span<const Piece> body) {
  char header[kLongHeaderBytes];
  const std::string_view frame_header(
      header, static_cast<size_t>(StoreFrameHeader(header, 0, PiecesBytes(body)) - header));
  size_t copied = envelope.size() + frame_header.size();
  bool has_owned = false;
  for (const Piece& piece : body) {
    if (piece.release == nullptr) copied += piece.bytes.size();
    has_owned |= piece.release != nullptr;
  }

  char* room = has_owned ? nullptr : Reserve(connection, copied);
  if (room != nullptr) {
    // The usual case: one run of bytes.
    const std::string_view whole(room, copied);
    room = Store(Store(room, envelope), frame_header);
    for (const Piece& piece : body) room = Store(room, piece.bytes);
    connection.output().Borrow(whole);
  } else {
    AppendBytes(connection, envelope);
    AppendBytes(connection, frame_header);
    for (const Piece& piece : body) {
      if (piece.release == nullptr) {
        AppendBytes(connection, piece.bytes);
      } else {
        AppendPiece(connection, piece);
      }
    }
  }
  MarkDirty(connection);
}

void OutputSide::AppendBytes(Connection& connection, std::string_view bytes) {
  if (bytes.empty()) return;
  char* const room = Reserve(connection, bytes.size());
  if (room != nullptr) {
    Store(room, bytes);
    connection.output().Borrow({room, bytes.size()});
  } else {
    connection.output().Copy(bytes);
  }
  MarkDirty(connection);
}

void OutputSide::AppendPiece(Connection& connection, const Piece& piece) {
  connection.output().Own(piece);
  MarkDirty(connection);
}

void OutputSide::MarkDirty(Connection& connection) {
  if (connection.is_dirty) return;
  connection.is_dirty = true;
  dirty_.push_back(&connection);
}

void OutputSide::Flush() {
  writing_.swap(dirty_);
  uint64_t bytes_sent = 0;
  for (Connection* connection : writing_) {
    connection->is_dirty = false;
    if (connection->state() == Connection::State::kClosed) continue;
    size_t written = 0;
    const OutputQueue::Outcome outcome =
        connection->output().WriteTo(connection->socket(), &written);
    bytes_sent += written;
    if (outcome == OutputQueue::Outcome::kBlocked) connection->output().Settle();
    connection->Report();
    owner_.OnWritten(*connection, outcome);
  }
  writing_.clear();
  arena_used_ = 0;
  if (bytes_sent != 0) shared_.counters.Add(Event::kBytesSent, bytes_sent);
}

}  // namespace entrepot::zmtp
