// Changes: what has changed since a token, fetched page by page as it is needed.
//
//    entrepot::Changes changes = client.Changes(token, "user:");
//    for (const entrepot::Event& event : changes) Use(event);
//    if (!changes.status().ok()) ...  // It ended early.
//    token = changes.token();         // For the next time.
//
// It ends where there is nothing more; with `wait_ms`, when nothing has come for so long. An error
// ends it and stands in status(): it does not heal, as a Watch does.
//
// Lifetime: it may outlive the Client object that made it, but gets `closed` after its Close().
// Thread safety: none.

#pragma once

#include <cstddef>
#include <functional>
#include <iterator>
#include <utility>
#include <vector>

#include "entrepot/event.h"
#include "entrepot/result.h"

namespace entrepot {

class Changes {
 public:
  using FetchPage = std::function<Result<ChangesPage>(const Token& since)>;

  // `waits`: a page without an event is one for which the server has waited.
  Changes(Token since, bool waits, FetchPage fetch)
      : fetch_(std::move(fetch)), waits_(waits), token_(since) {
    page_ = {.events = {}, .token = std::move(since), .more = true};
  }

  class Iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = Event;
    using difference_type = std::ptrdiff_t;
    using pointer = Event*;
    using reference = Event&;

    Iterator() = default;
    explicit Iterator(Changes* changes) : changes_(changes) {}

    // The event stays until the next step.
    Event& operator*() const { return changes_->page_.events[changes_->position_]; }
    Event* operator->() const { return &**this; }
    Iterator& operator++() {
      ++changes_->position_;
      if (!changes_->HasEvent()) changes_ = nullptr;
      return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(const Iterator& a, const Iterator& b) {
      return a.changes_ == b.changes_;
    }

   private:
    Changes* changes_ = nullptr;
  };

  // Goes on where it is.
  Iterator begin() { return HasEvent() ? Iterator(this) : Iterator(); }
  Iterator end() { return Iterator(); }

  // Everything up to it has been handed out: the end of the last page whose events all were.
  const Token& token() const { return token_; }

  // Ok unless an error has ended it.
  const Status& status() const { return status_; }

 private:
  // Whether there is an event at the position, after fetching the next pages if need be.
  bool HasEvent();

  FetchPage fetch_;
  bool waits_;
  ChangesPage page_;
  size_t position_ = 0;
  Token token_;
  Status status_;
};

}  // namespace entrepot
