#include "zmtp/connection.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/status.h"

namespace entrepot::zmtp {
namespace {

// What is read and dropped while draining; whoever sends more does not want to end in peace.
constexpr size_t kDiscardBytesMax = size_t{1} << 20;
// Of all unfinished input: above the first part, what grows is no longer on the heap, which may
// keep as much again; above the second, connections read less at a time, so that backlogs stay
// small; above the third, those that hold more than a slice are not read. So the heap's rest and
// pages of up to the third part are within the whole.
constexpr size_t PartForPages(size_t bytes_max) { return bytes_max / 8; }
constexpr size_t PartForSmallReads(size_t bytes_max) { return bytes_max / 4; }
constexpr size_t PartForStalling(size_t bytes_max) { return bytes_max / 4 * 3; }
constexpr size_t kSmallReadBytes = 4096;

}  // namespace

Connection::Connection(int socket, EndpointKind kind, ConnectionHandle handle, std::string address,
                       int64_t now_micros, Shared& shared, SubscriptionIndex& subscriptions)
    : socket_(socket),
      handle_(handle),
      address_(std::move(address)),
      accepted_micros_(now_micros),
      shared_(shared),
      subscription_index_(subscriptions),
      session_(kind, handle, shared.limits, shared.counters),
      subscriber_(this),
      last_traffic_micros_(now_micros) {}

Connection::~Connection() {
  subscription_index_.RemoveAll(&subscriber_);
  input_.Free();
  output_.Clear();
  Report();
  close(socket_);
}

Connection::Slice Connection::Read(std::span<char> arena, std::vector<Message>* messages,
                                   std::string* answers) {
  if (has_backlog_) return TakeBacklog(messages, answers);
  if (needed_ > shared_.limits.slice_bytes) return ReadLarge(messages, answers);
  return ReadArena(arena, messages, answers);
}

Connection::Slice Connection::TakeBacklog(std::vector<Message>* messages, std::string* answers) {
  const Session::Taken taken = session_.Take(input_.bytes(), *this, messages, answers);
  input_.Drop(taken.bytes);
  has_backlog_ = taken.sliced && !input_.empty();
  needed_ = std::max<size_t>(taken.needed, 1);
  return {.bytes = taken.bytes, .is_sliced = has_backlog_, .end = taken.refused};
}

Connection::Slice Connection::ReadLarge(std::vector<Message>* messages, std::string* answers) {
  if (!MayHold(input_.HeldAfterRoom(needed_))) return {.is_stalled = true};
  const Budget& budget = shared_.input_budget;
  const std::span<char> room = input_.Room(
      needed_, budget.total() > PartForPages(budget.bytes_max()) ? InputBuffer::Source::kPages
                                                                 : InputBuffer::Source::kHeap);
  size_t received = 0;
  const Event end = Receive(room.first(std::min(room.size(), kLargeReadBytes)), &received);
  input_.Filled(received);
  if (end != Event::kNone || input_.bytes().size() < needed_) {
    return {.bytes = received, .end = end};
  }
  Slice slice = TakeBacklog(messages, answers);
  slice.bytes = received;
  return slice;
}

Connection::Slice Connection::ReadArena(std::span<char> arena, std::vector<Message>* messages,
                                        std::string* answers) {
  const Budget& budget = shared_.input_budget;
  const bool is_short = budget.total() > PartForSmallReads(budget.bytes_max());
  const size_t kept = input_.bytes().size();
  const size_t read_bytes =
      is_short ? std::min(kSmallReadBytes, shared_.limits.slice_bytes) : shared_.limits.slice_bytes;
  CHECK(arena.size() >= kept + read_bytes);
  size_t received = 0;
  const Event end = Receive(arena.subspan(kept, read_bytes), &received);
  if (received == 0) return {.end = end};

  if (kept != 0) std::memcpy(arena.data(), input_.bytes().data(), kept);
  input_.Free();
  const std::span<char> bytes = arena.first(kept + received);
  const Session::Taken taken = session_.Take(bytes, *this, messages, answers);
  has_backlog_ = taken.sliced && taken.bytes < bytes.size();
  needed_ = std::max<size_t>(taken.needed, 1);
  if (taken.refused == Event::kNone) input_.Keep(bytes.subspan(taken.bytes));
  return {.arena_bytes = bytes.size(),
          .bytes = received,
          .is_sliced = has_backlog_,
          .end = taken.refused};
}

Event Connection::Receive(std::span<char> room, size_t* received) {
  ssize_t result;
  do {
    result = recv(socket_, room.data(), room.size(), MSG_DONTWAIT);
  } while (result < 0 && errno == EINTR);
  if (result > 0) {
    *received = static_cast<size_t>(result);
    has_received_ = true;
    return Event::kNone;
  }
  if (result < 0) {
    const bool is_empty = errno == EAGAIN || errno == EWOULDBLOCK;
    return is_empty ? Event::kNone : Event::kSocketFailed;
  }
  has_peer_finished_ = true;
  const bool is_between = is_ready() ? input_.empty() : !has_received_;
  return is_between ? Event::kPeerClosed : Event::kDiedInMessage;
}

bool Connection::MayHold(size_t bytes) const {
  const Budget& budget = shared_.input_budget;
  if (bytes <= input_.held_bytes()) return true;
  const size_t total = budget.total() + bytes - input_.held_bytes();
  return total <= PartForStalling(budget.bytes_max());
}

bool Connection::Discard(std::span<char> scratch) {
  size_t received = 0;
  const Event end = Receive(scratch, &received);
  discarded_bytes_ += received;
  return end != Event::kNone || discarded_bytes_ > kDiscardBytesMax;
}

void Connection::EndTurn() {
  if (input_.empty()) input_.Free();
  Report();
}

void Connection::Drain(int64_t until_micros) {
  state_ = State::kDraining;
  drain_until_micros_ = until_micros;
  subscription_index_.RemoveAll(&subscriber_);
}

void Connection::Close() {
  state_ = State::kClosed;
  subscription_index_.RemoveAll(&subscriber_);
  output_.Clear();
  Report();
}

void Connection::ShutdownOutput() {
  if (is_shut_down_) return;
  is_shut_down_ = true;
  // It fails only when the peer is gone already; the next read then says so.
  static_cast<void>(shutdown(socket_, SHUT_WR));
}

void Connection::Report() {
  const uint32_t io_thread = IoThreadOf(handle_);
  shared_.input_budget.Change(io_thread, reported_input_, held_input());
  reported_input_ = held_input();
  shared_.output_budget.Change(io_thread, reported_output_, output_.held_bytes());
  reported_output_ = output_.held_bytes();
}

int64_t Connection::DeadlineMicros() const {
  if (state_ == State::kDraining) return drain_until_micros_;
  if (!is_ready()) return accepted_micros_ + shared_.limits.handshake_ms * 1000;
  if (session_.ttl_micros() == 0) return Deadlines::kNever;
  return last_traffic_micros_ + session_.ttl_micros();
}

Event Connection::DeadlineReason() const {
  return is_ready() ? Event::kTtlExpired : Event::kHandshakeTimeout;
}

Event Connection::OnSubscribe(std::string_view prefix) {
  if (prefix.size() > shared_.limits.subscription_bytes) return Event::kSubscriptionTooLarge;
  if (subscriber_.subscriptions() >= shared_.limits.subscriptions) {
    return Event::kTooManySubscriptions;
  }
  subscription_index_.Add(&subscriber_, prefix);
  return Event::kNone;
}

void Connection::OnCancel(std::string_view prefix) {
  subscription_index_.Remove(&subscriber_, prefix);
}

}  // namespace entrepot::zmtp
