// Watches: all watches of a client, over whatever connection it has at the time.
//
// It sends what each WatchState asks for, hands what it was told to its WatchQueue, notices
// silence, and begins again when a connection is no use any more. Like the Exchange, which drives
// it, it is a state machine without a clock and without a thread.
//
// Thread safety: none; it belongs to the client's exchange thread.
//
// Invariants:
//  1. A watch lives on one connection at a time, the current one of its Host.
//  2. At most one request of a watch is on its way.
//  3. Every watch that was accepted and is wanted no more is unwatched, or its connection has gone.

#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string_view>
#include <utility>

#include "client_clock.h"
#include "entrepot/status.h"
#include "entrepot/wire_request.h"
#include "event_wire.h"
#include "reply.h"
#include "watch_queue.h"
#include "watch_state.h"

namespace entrepot {

// Names a watch in this process; given out by whoever makes it, never twice.
using WatchNumber = uint64_t;

// What is to be watched, and by whom.
struct WatchStart {
  WatchNumber number = 0;
  WatchState state;
  std::shared_ptr<WatchQueue> queue;
  // Of each request.
  milliseconds timeout{0};
  int retries = 0;
  // Called once: the watch has begun, or why not.
  std::function<void(const Status&)> begun;
};

class Watches {
 public:
  // What they need of the exchange.
  class Host {
   public:
    // `connection` is the one over which the reply came.
    using Answered = std::function<void(const Reply& reply, uint64_t connection, TimePoint now)>;

    virtual void Ask(WireRequest request, milliseconds timeout, int retries, Answered answered) = 0;
    // Sends a notification, if the connection is still the current one.
    virtual void Notify(uint64_t connection, const WireRequest& notification) = 0;
    // Puts the connection aside, if it is the current one.
    virtual void Renew(uint64_t connection) = 0;
    virtual uint64_t current_connection() const = 0;

   protected:
    ~Host() = default;
  };

  explicit Watches(Host* host) : host_(*host) {}

  void Start(WatchStart start);
  // The reader has taken events.
  void Taken(WatchNumber number, uint64_t count);
  void Close(WatchNumber number);
  // Ends all of them.
  void CloseAll(const Status& status);

  void Take(uint64_t connection, WatchMessage message, TimePoint now);
  // It has ended, or was put aside.
  void ConnectionGone(uint64_t connection);

  // Lets time act, and asks for what is due.
  void Turn(TimePoint now);
  // When that is due next.
  TimePoint NextTurn() const;

 private:
  struct Watcher {
    WatchStart start;
    uint64_t connection = 0;  // Where it lives; 0: nowhere.
    uint64_t id = 0;          // The server's number.
    TimePoint heard{};
    milliseconds backoff{0};
    TimePoint alarm{};  // When time acts on it next; max() while a request is on its way.
  };

  void Ask(Watcher* watcher);
  void Answered(WatchNumber number, const Reply& reply, uint64_t connection, TimePoint now);
  void AskFailed(Watcher* watcher, const Status& error, TimePoint now);
  // It lives nowhere any more; it asks again at `ask_at`.
  void Leave(Watcher* watcher, TimePoint ask_at);
  void CutOff(Watcher* watcher);
  void GrantCredit(Watcher* watcher);
  void SetAlarm(Watcher* watcher, TimePoint alarm);
  void Unwatch(uint64_t connection, uint64_t id);
  // It is over; `error` is for its reader.
  void End(Watcher* watcher, const Status& error);
  void Forget(Watcher* watcher);
  Watcher* Find(WatchNumber number);

  Host& host_;
  std::map<WatchNumber, Watcher> watchers_;
  std::map<std::pair<uint64_t, uint64_t>, Watcher*> living_;  // By connection and id.
  std::set<std::pair<TimePoint, WatchNumber>> alarms_;        // One a watcher.
};

}  // namespace entrepot
