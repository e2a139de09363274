// Watch: what changes below a key prefix, as an endless sequence of events without a gap.
//
//    entrepot::Result<entrepot::Watch> watch = client.Watch("config:");
//    if (!watch.ok()) return watch.status();
//    for (const entrepot::Event& event : *watch) Use(event);
//    Use(watch->status());  // Why it ended; ok after Close().
//
// A watch heals itself: after silence, a lost connection or a restart of the server it goes on
// where it was. Where the server does not have that any more, an event::Resync says so and a whole
// snapshot follows. It ends only when it is closed, or by an error that trying again cannot change.
// docs/CLIENTS.md, section 9, is the contract.
//
// At most about WatchOptions::credit events wait in the client for their reader; the server holds
// back the others, at no cost to other calls.
//
// Lifetime: a watch may outlive the Client object that made it, but gets `closed` after its Close()
// and in a forked child. Its destructor is Close().
// Thread safety: Close() from any thread; all else from one thread at a time.

#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>

#include "entrepot/event.h"
#include "entrepot/result.h"
#include "entrepot/types.h"

namespace entrepot {

class WatchQueue;

struct WatchOptions {
  std::optional<Query> query = {};  // Only values that match; others are told as event::Left.
  std::optional<Token> since = {};  // Every change behind it, in place of a snapshot.
  bool snapshot = true;             // Without it and without `since`: every change from now on.
  bool values = true;               // False: events have no values.
  uint64_t credit = 1024;           // Events that may wait for their reader; at least 1.
  CallOptions call = {};            // Of the call that begins the watch, and of each that heals it.
};

class Watch {
 public:
  explicit Watch(std::shared_ptr<WatchQueue> queue);
  ~Watch();
  Watch(Watch&&) noexcept;
  Watch& operator=(Watch&& other) noexcept;

  // The next event, however long it takes. `closed` after Close(); any other error has ended the
  // watch, and comes again.
  Result<Event> Next();
  // The same, but `timeout` when none has come for so long: then the watch goes on.
  Result<Event> Next(std::chrono::milliseconds patience);

  // What `since` takes to go on behind the last event that Next() gave. Nothing before the first
  // Synced of a snapshot, and in a forked child. It moves on where nothing changes, too.
  std::optional<Token> token() const;

  // Whether the server has been heard within 3 seconds and everything was told and taken.
  bool is_live() const;

  // Ok unless an error has ended the watch.
  const Status& status() const { return status_; }

  // Ends the watch, and a Next() that waits. May be called twice.
  void Close();

  class Iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = Event;
    using difference_type = std::ptrdiff_t;
    using pointer = const Event*;
    using reference = const Event&;

    Iterator() = default;
    explicit Iterator(Watch* watch) : watch_(watch) { Step(); }

    // The event stays until the next step.
    const Event& operator*() const { return watch_->current_; }
    const Event* operator->() const { return &watch_->current_; }
    Iterator& operator++() { return Step(), *this; }
    void operator++(int) { Step(); }
    friend bool operator==(const Iterator& a, const Iterator& b) { return a.watch_ == b.watch_; }

   private:
    void Step();

    Watch* watch_ = nullptr;
  };

  // Goes on where the watch is; ends with it.
  Iterator begin() { return Iterator(this); }
  Iterator end() { return Iterator(); }

 private:
  Result<Event> Take(std::optional<std::chrono::steady_clock::time_point> until);

  std::shared_ptr<WatchQueue> queue_;  // Synchronises itself.

  // Owned by the reading thread.
  Event current_;
  Status status_;
};

}  // namespace entrepot
