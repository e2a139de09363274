// One connection: its socket, its session, what it keeps between turns, and why it is not read.
//
// It reads a slice and writes once when its io thread says so; it decides nothing about other
// connections.
//
// Thread safety: none; belongs to its io thread.
//
// Invariants:
//  1. Bytes of `input_` are either the beginning of one item (then more is to be read) or a backlog
//     of whole items (then they are taken before anything is read).
//  2. What it holds is reported to the budgets after every change (Report()).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "zmtp/budget.h"
#include "zmtp/deadlines.h"
#include "zmtp/events.h"
#include "zmtp/input_buffer.h"
#include "zmtp/limits.h"
#include "zmtp/output_queue.h"
#include "zmtp/session.h"
#include "zmtp/subscriptions.h"

namespace entrepot::zmtp {

// What the connections of all threads share. Outlives them.
struct Shared {
  explicit Shared(const ZmtpLimits& all_limits)
      : limits(all_limits),
        input_budget(all_limits.input_bytes_in_all),
        output_budget(all_limits.output_bytes_in_all) {}

  const ZmtpLimits limits;
  Counters counters;
  Budget input_budget;
  Budget output_budget;
};

class Connection final : public SubscriptionSink {
 public:
  enum class State : uint8_t {
    kOpen,
    kDraining,  // Only its last output is still written; then the peer is to close its half.
    kClosed,    // Nothing more; it goes at the end of the turn.
  };

  // Takes `socket`, which is non-blocking.
  Connection(int socket, EndpointKind kind, ConnectionHandle handle, std::string address,
             int64_t now_micros, Shared& shared, SubscriptionIndex& subscriptions);
  ~Connection() override;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  struct Slice {
    size_t arena_bytes = 0;   // Used from the front of the arena, until the turn is executed.
    size_t bytes = 0;         // Received, or taken from a backlog.
    bool is_sliced = false;   // More is there already.
    bool is_stalled = false;  // It may not take memory for more input now.
    Event end = Event::kNone;
  };
  // Reads once, or takes from the backlog. `arena` has at least two slices of room. What the
  // protocol answers goes to `answers`.
  Slice Read(std::span<char> arena, std::vector<Message>* messages, std::string* answers);
  // Reads and drops what comes while it drains. True at the end of the stream.
  bool Discard(std::span<char> scratch);
  // Frees input that was handed over in this turn.
  void EndTurn();

  // Starts to drain, or closes. Subscriptions are dropped; when closed, output too. Input stays:
  // the handler may look at it.
  void Drain(int64_t until_micros);
  void Close();
  // Tells the peer that nothing more will come, once.
  void ShutdownOutput();

  // Brings the budgets up to date.
  void Report();

  // When something is to be done without traffic: kNever, or the handshake's end, the peer's own
  // time to live, the end of draining.
  int64_t DeadlineMicros() const;
  Event DeadlineReason() const;

  // SubscriptionSink.
  Event OnSubscribe(std::string_view prefix) override;
  void OnCancel(std::string_view prefix) override;

  int socket() const { return socket_; }
  ConnectionHandle handle() const { return handle_; }
  EndpointKind kind() const { return session_.kind(); }
  State state() const { return state_; }
  const std::string& address() const { return address_; }
  Event end_reason() const { return end_reason_; }
  void set_end_reason(Event reason) { end_reason_ = reason; }
  bool is_ready() const { return session_.phase() == Session::Phase::kTraffic; }
  bool has_backlog() const { return has_backlog_; }
  bool has_peer_finished() const { return has_peer_finished_; }
  // Memory of unfinished input and of subscriptions.
  size_t held_input() const { return input_.held_bytes() + subscriber_.held_bytes(); }
  OutputQueue& output() { return output_; }
  const OutputQueue& output() const { return output_; }
  void set_last_traffic(int64_t now_micros) { last_traffic_micros_ = now_micros; }

  // Whether it is to be read now.
  bool WantsRead() const {
    return state_ == State::kOpen && !is_paused && !is_output_full && !is_stalled;
  }

  // Marks of the io thread.
  bool is_queued = false;       // In the queue of connections to read.
  bool is_dirty = false;        // In the list of connections to write.
  bool is_opened = false;       // The user was told of it.
  bool is_touched = false;      // It took part in this turn.
  bool is_paused = false;       // Not read: the user said so.
  bool is_output_full = false;  // Not read: it does not take its output.
  bool is_stalled = false;      // Not read: unfinished input in all is near its bound.
  bool is_waiting = false;      // It was stalled and has not been read since.
  bool wants_write = false;     // Its socket was full.
  uint32_t interest = 0;        // As epoll knows it.
  int64_t scheduled_micros = Deadlines::kNever;

 private:
  Slice TakeBacklog(std::vector<Message>* messages, std::string* answers);
  Slice ReadLarge(std::vector<Message>* messages, std::string* answers);
  Slice ReadArena(std::span<char> arena, std::vector<Message>* messages, std::string* answers);
  // One read; kNone, or why there was nothing.
  Event Receive(std::span<char> room, size_t* received);
  bool MayHold(size_t bytes) const;

  // Constant after construction.
  const int socket_;
  const ConnectionHandle handle_;
  const std::string address_;
  const int64_t accepted_micros_;
  Shared& shared_;
  SubscriptionIndex& subscription_index_;

  Session session_;
  InputBuffer input_;
  size_t needed_ = 1;  // Bytes at the front of the input before anything can be taken.
  OutputQueue output_;
  Subscriber subscriber_;
  int64_t last_traffic_micros_;
  int64_t drain_until_micros_ = 0;
  size_t discarded_bytes_ = 0;
  size_t reported_input_ = 0;
  size_t reported_output_ = 0;
  State state_ = State::kOpen;
  Event end_reason_ = Event::kNone;
  bool has_backlog_ = false;
  bool has_received_ = false;
  bool has_peer_finished_ = false;
  bool is_shut_down_ = false;
};

}  // namespace entrepot::zmtp
