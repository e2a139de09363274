// Exchange: what is to be sent, what is on its way, and what becomes of it.
//
// Bodies wait here in the order of their submission, are sent on the Link while it is ready, and
// end exactly once: with their replies, or with one error for all that is still open. Here are the
// rules of docs/CLIENTS.md: the deadline, an attempt's time, the new connection with the same bytes
// again, `once` and its session, what is sent again by itself.
//
// It is a state machine without a clock and without a thread: ExchangeThread drives it.
//
// Watches live on the same connection; what they do on it is in watches.h.
//
// Thread safety: none.
//
// Invariants:
//  1. No body outlives its deadline by more than one turn.
//  2. A write without `once` is sent once.
//  3. At most kBodiesInFlightMax bodies are on their way.

#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>
#include <zmq.hpp>

#include "body.h"
#include "client_clock.h"
#include "link.h"
#include "once_session.h"
#include "watches.h"

namespace entrepot {

class Exchange : private Watches::Host {
 public:
  struct Settings {
    std::string endpoint;
    milliseconds connect_wait{500};
  };

  Exchange(zmq::context_t& context, Settings settings);

  void Submit(std::unique_ptr<Body> body);
  Watches& watches() { return watches_; }

  // One turn: takes what has arrived, lets time act, sends what can be sent.
  void Turn(TimePoint now);

  // When the next turn is due even if nothing arrives.
  TimePoint NextTurn() const;

  void AddPollItems(std::vector<zmq_pollitem_t>* items) { link_.AddPollItems(items); }

  // Ends all bodies and watches as `closed`, and the connections.
  void Close();

 private:
  void Add(std::unique_ptr<Body> body);

  // What has arrived.
  void TakeMessage(const Link::Arrival& arrival, TimePoint now);
  void TakeReplies(const Link::Arrival& arrival, TimePoint now);
  Body* FindByMsgid(uint32_t msgid);
  void TakeUnpairedError(const Status& error);
  void Settle(Body* body, TimePoint now);
  bool RenewExpiredSession(Body* body);
  bool RepeatRefusedTail(Body* body, TimePoint now);
  void ConnectionEnded(uint64_t number);

  // What time does.
  void Alarm(Body* body, TimePoint now);
  void AttemptTimedOut(Body* body);
  void FailRefused(TimePoint now);
  TimePoint RefusedUntil(const Body& body) const;
  Status DeadlineStatus(const Body& body) const;

  // What is sent.
  void SendWaiting(TimePoint now);
  void Encode(Body* body);
  void RequestSession(const Body& first_write);
  void SessionAnswered(const Reply& reply);

  // What watches need.
  void Ask(WireRequest request, milliseconds timeout, int retries,
           Watches::Host::Answered answered) override;
  void Notify(uint64_t connection, const WireRequest& notification) override;
  void Renew(uint64_t connection) override;
  uint64_t current_connection() const override { return link_.current(); }

  void Wait(Body* body);
  void SetAlarm(Body* body);
  void End(Body* body);
  void Fail(Body* body, const Status& status);

  const Settings settings_;
  Link link_;
  OnceSession session_;
  bool session_requested_ = false;
  Watches watches_{this};
  TimePoint now_{};                    // Of the present turn.
  uint64_t answering_connection_ = 0;  // Over which the replies came that are being taken.

  std::map<uint64_t, std::unique_ptr<Body>> bodies_;  // By sequence.
  std::set<uint64_t> waiting_;                        // Sequences, in the order of sending.
  std::set<uint64_t> in_flight_;
  std::map<uint32_t, Body*> by_first_msgid_;
  std::set<std::pair<TimePoint, uint64_t>> alarms_;  // One a body.
  uint64_t last_sequence_ = 0;
  uint32_t next_msgid_ = 1;
};

}  // namespace entrepot
