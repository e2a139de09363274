// Subscription: what is published below a key prefix, by the server's PUB endpoint.
//
//    entrepot::Result<entrepot::Subscription> prices = client.Subscribe("price:");
//    if (!prices.ok()) return prices.status();
//    for (const entrepot::Event& event : *prices) Use(event);
//
// It costs the server least, has no snapshot, and PUB may lose messages. A change whose
// `previous_version` is not the one told last of its key, a new connection, and heartbeats missed
// for 3 seconds show a gap: what is missing is fetched by `changes` and told before what follows.
// Where it cannot be fetched any more an event::Resync says so: read again what matters. It cannot
// see the loss of a key's last change while heartbeats come. Who must not miss anything uses a
// Watch. docs/CLIENTS.md, section 9, is the contract.
//
// The socket is read by the thread that calls Next(): no thread of its own.
//
// Lifetime: it may outlive the Client object that made it, but gets `closed` when it needs the
// client after its Close(), and in a forked child. Its destructor is Close().
// Thread safety: Close() from any thread; all else from one thread at a time.

#pragma once

#include <chrono>
#include <cstddef>
#include <iterator>
#include <memory>
#include <optional>
#include <string>

#include "entrepot/event.h"
#include "entrepot/result.h"
#include "entrepot/types.h"

namespace entrepot {

struct SubscribeOptions {
  std::string feed = {};  // The PUB endpoint; empty for the one that the server names.
  CallOptions call = {};  // Of each call that is made for it. Its time is also that of the begin.
};

class Subscription {
 public:
  ~Subscription();
  Subscription(Subscription&&) noexcept;
  Subscription& operator=(Subscription&&) noexcept;

  // The next event, however long it takes: a change, or a Resync. `closed` after Close(); any other
  // error has ended the subscription, and comes again.
  Result<Event> Next();
  // The same, but `timeout` when none has come for so long: then the subscription goes on. Fetching
  // what is missing may take as long as a call besides.
  Result<Event> Next(std::chrono::milliseconds patience);

  // Ok unless an error has ended it.
  const Status& status() const { return status_; }

  // Ends it, and a Next() that waits. May be called twice.
  void Close();

  class Iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = Event;
    using difference_type = std::ptrdiff_t;
    using pointer = const Event*;
    using reference = const Event&;

    Iterator() = default;
    explicit Iterator(Subscription* subscription) : subscription_(subscription) { Step(); }

    // The event stays until the next step.
    const Event& operator*() const { return subscription_->current_; }
    const Event* operator->() const { return &subscription_->current_; }
    Iterator& operator++() { return Step(), *this; }
    void operator++(int) { Step(); }
    friend bool operator==(const Iterator& a, const Iterator& b) {
      return a.subscription_ == b.subscription_;
    }

   private:
    void Step();

    Subscription* subscription_ = nullptr;
  };

  // Goes on where it is; ends with it.
  Iterator begin() { return Iterator(this); }
  Iterator end() { return Iterator(); }

 private:
  friend class Client;
  class Reader;

  explicit Subscription(std::unique_ptr<Reader> reader);

  Result<Event> Take(std::optional<std::chrono::steady_clock::time_point> until);

  std::unique_ptr<Reader> reader_;
  Event current_;
  Status status_;
};

}  // namespace entrepot
