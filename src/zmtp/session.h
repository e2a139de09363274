// What one peer has said so far: the protocol of a connection without its socket.
//
// Bytes go in, in any portions; messages, answers of the protocol itself (READY, ERROR, PONG) and
// subscriptions come out. It keeps no bytes: what it could not take yet is offered again, with more
// behind it. A frame that announces too much is refused by its header.
//
// Thread safety: none; belongs to the io thread of its connection.
//
// Invariants:
//  1. No message before a whole greeting and a READY of an accepted socket type.
//  2. After a refusal nothing more is taken.
//
//    peer := greeting READY item*
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "zmtp/command.h"
#include "zmtp/events.h"
#include "zmtp/frame.h"
#include "zmtp/limits.h"
#include "zmtp/message.h"

namespace entrepot::zmtp {

// Where the subscriptions of a peer go; called by Session::Take() only.
class SubscriptionSink {
 public:
  virtual ~SubscriptionSink() = default;
  // kNone, or why the peer is to be closed.
  virtual Event OnSubscribe(std::string_view prefix) = 0;
  // A subscription that does not exist is ignored.
  virtual void OnCancel(std::string_view prefix) = 0;
};

class Session {
 public:
  enum class Phase : uint8_t { kGreeting, kHandshake, kTraffic, kRefused };

  // `handle` is written into every message. `counters` is to outlive the session.
  Session(EndpointKind kind, ConnectionHandle handle, const ZmtpLimits& limits, Counters& counters);

  struct Taken {
    size_t bytes = 0;     // From the front; they are done with.
    size_t needed = 0;    // Bytes, counted behind those taken, without which nothing more
                          // can be taken. 0 when `sliced` or refused.
    bool sliced = false;  // The slice is used up; more may be there already.
    Event refused = Event::kNone;
  };

  // Takes whole items from the front of `bytes`, at most a slice of them: appends messages (views
  // into `bytes`) to `messages` and what the protocol answers to `answers`. `bytes` is writable
  // because frames of a message are moved together over a command between them.
  Taken Take(std::span<char> bytes, SubscriptionSink& subscriptions, std::vector<Message>* messages,
             std::string* answers);

  Phase phase() const { return phase_; }
  EndpointKind kind() const { return kind_; }
  // Silence after which the peer asked to be closed; 0: none.
  int64_t ttl_micros() const { return ttl_micros_; }

 private:
  void Refuse(Event reason, Taken* taken);
  // One for each phase; each sets the next phase when its own is done.
  void TakeGreeting(std::span<const char> bytes, std::string* answers, Taken* taken);
  void TakeHandshake(std::span<const char> bytes, std::string* answers, Taken* taken);
  void TakeTraffic(std::span<char> bytes, SubscriptionSink& subscriptions,
                   std::vector<Message>* messages, std::string* answers, Taken* taken);
  // kNone, or why the peer is to be closed.
  Event TakeReady(std::string_view payload, std::string* answers);
  Event TakeCommand(std::string_view payload, SubscriptionSink& subscriptions,
                    std::string* answers);
  // ZMTP 3.0 subscribes with a message: 1 or 0, then the prefix.
  Event TakeFeedMessage(std::string_view body, SubscriptionSink& subscriptions);

  // Constant after construction.
  const ConnectionHandle handle_;
  const ZmtpLimits& limits_;
  Counters& counters_;
  const ItemLimits item_limits_;
  const EndpointKind kind_;

  Phase phase_ = Phase::kGreeting;
  int64_t ttl_micros_ = 0;
};

}  // namespace entrepot::zmtp
