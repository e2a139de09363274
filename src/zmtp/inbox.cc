#include "zmtp/inbox.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/status.h"

namespace entrepot::zmtp {
namespace {

// A queue that once was longer than this gives its memory back.
constexpr size_t kBytesKept = size_t{1} << 20;
constexpr size_t kOrdersKept = 16384;

}  // namespace

void Inbox::Batch::Clear() {
  for (Order& order : orders) {
    if (const auto* send = std::get_if<SendPiece>(&order); send && send->piece.release) {
      send->piece.release(send->piece.owner);
    }
    if (const auto* connection = std::get_if<NewConnection>(&order); connection) {
      if (connection->socket >= 0) close(connection->socket);
    }
  }
  orders.clear();
  bytes.clear();
  publish_bytes = 0;
  if (orders.capacity() > kOrdersKept) std::vector<Order>().swap(orders);
  if (bytes.capacity() > kBytesKept) std::string().swap(bytes);
}

Inbox::Inbox() : wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) { CHECK(wake_ >= 0); }

Inbox::~Inbox() {
  MutexLock lock(mu_);
  posted_.Clear();
  close(wake_);
}

void Inbox::Wake() {
  // The edge wakes; the count never matters. It is full only when wakes are pending already.
  const uint64_t one = 1;
  const ssize_t written = write(wake_, &one, sizeof(one));
  CHECK(written == sizeof(one) || errno == EAGAIN);
}

void Inbox::Post(Order order) {
  bool was_empty;
  {
    MutexLock lock(mu_);
    was_empty = posted_.empty();
    posted_.orders.push_back(std::move(order));
    has_orders_.store(true, std::memory_order_release);
  }
  if (was_empty) Wake();
}

void Inbox::AppendBytesLocked(ConnectionHandle connection, std::string_view bytes) {
  if (bytes.empty()) return;
  const size_t begin = posted_.bytes.size();
  posted_.bytes.append(bytes);
  if (!posted_.orders.empty()) {
    // Bytes of one connection in a row are one order.
    auto* last = std::get_if<SendBytes>(&posted_.orders.back());
    if (last != nullptr && last->connection == connection) {
      last->size += bytes.size();
      return;
    }
  }
  posted_.orders.push_back(SendBytes{connection, begin, bytes.size()});
}

void Inbox::PostMessage(ConnectionHandle connection, std::string_view head,
                        std::span<const Piece> body) {
  bool was_empty;
  {
    MutexLock lock(mu_);
    was_empty = posted_.empty();
    AppendBytesLocked(connection, head);
    for (const Piece& piece : body) {
      if (piece.release == nullptr) {
        AppendBytesLocked(connection, piece.bytes);
      } else {
        posted_.orders.push_back(SendPiece{connection, piece});
      }
    }
    has_orders_.store(true, std::memory_order_release);
  }
  if (was_empty) Wake();
}

bool Inbox::PostPublication(const Publication& publication, size_t bytes_max) {
  bool was_empty;
  {
    MutexLock lock(mu_);
    if (posted_.publish_bytes >= bytes_max) return false;
    was_empty = posted_.empty();
    posted_.publish_bytes += publication.message.bytes().size();
    posted_.orders.push_back(publication);
    has_orders_.store(true, std::memory_order_release);
  }
  if (was_empty) Wake();
  return true;
}

size_t Inbox::publish_bytes() {
  MutexLock lock(mu_);
  return posted_.publish_bytes;
}

void Inbox::Take(Batch* batch) {
  CHECK(batch->empty());
  if (!has_orders_.load(std::memory_order_acquire)) return;
  MutexLock lock(mu_);
  std::swap(posted_, *batch);
  has_orders_.store(false, std::memory_order_relaxed);
}

}  // namespace entrepot::zmtp
