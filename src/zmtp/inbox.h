// What other threads want of an io thread: a queue that wakes it.
//
// Everything is appended under one short lock and taken out as a whole by the io thread once a
// turn; the thread is woken by its eventfd only when the queue was empty, so a busy thread costs
// its senders no system call.
//
// Thread safety: all calls may come from any thread, Take() from the io thread only.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/mutex.h"
#include "zmtp/command.h"
#include "zmtp/message.h"
#include "zmtp/shared_bytes.h"

namespace entrepot::zmtp {

// A connection that the acceptor deals out.
struct NewConnection {
  int socket;
  EndpointKind kind;
  std::string address;
};

// Bytes of a message on the wire, copied into Inbox::Batch::bytes.
struct SendBytes {
  ConnectionHandle connection;
  size_t begin;
  size_t size;
};

// A part of a message on the wire that is not copied.
struct SendPiece {
  ConnectionHandle connection;
  Piece piece;
};

struct ConnectionOrder {
  enum class Kind : uint8_t { kPauseReading, kResumeReading, kClose };
  ConnectionHandle connection;
  Kind kind;
};

// A message to all subscribers of the first `topic_bytes` behind its first header.
struct Publication {
  SharedBytesRef message;  // On the wire.
  size_t topic_begin;
  size_t topic_bytes;
};

// Asks the thread to close its connection that holds most input (or output): because reading is
// stalled, or if the bound in all is still exceeded.
struct LookAtMemory {
  bool is_input;
  bool is_stalled;
};

class Inbox {
 public:
  using Order =
      std::variant<NewConnection, SendBytes, SendPiece, ConnectionOrder, Publication, LookAtMemory>;
  struct Batch {
    std::vector<Order> orders;
    std::string bytes;
    size_t publish_bytes = 0;
    bool empty() const { return orders.empty(); }
    // Drops the orders; releases the pieces that nobody took.
    void Clear();
  };

  Inbox();
  ~Inbox();
  Inbox(const Inbox&) = delete;
  Inbox& operator=(const Inbox&) = delete;

  // Readable when the queue is not empty; for an edge-triggered epoll, so that it is never read.
  int wake_descriptor() const { return wake_; }

  void Post(Order order) EXCLUDES(mu_);
  // Posts a message as consecutive orders.
  void PostMessage(ConnectionHandle connection, std::string_view head, std::span<const Piece> body)
      EXCLUDES(mu_);
  // False, and nothing is posted, when `bytes_max` are published and not taken out yet.
  bool PostPublication(const Publication& publication, size_t bytes_max) EXCLUDES(mu_);
  // How much that is.
  size_t publish_bytes() EXCLUDES(mu_);
  void Wake();

  // Swaps what was posted with `batch`, which is empty.
  void Take(Batch* batch) EXCLUDES(mu_);

 private:
  void AppendBytesLocked(ConnectionHandle connection, std::string_view bytes) REQUIRES(mu_);

  const int wake_;
  std::atomic<bool> has_orders_{false};  // So that an idle Take() costs no lock.
  Mutex mu_;
  Batch posted_ GUARDED_BY(mu_);
};

}  // namespace entrepot::zmtp
