// Walk: all entries that a find or a scan leads to, fetched page by page as they are needed.
//
//    entrepot::Walk users = client.Scan("user:");
//    for (const entrepot::Entry& entry : users) Use(entry);
//    if (!users.status().ok()) ...  // The walk ended early.
//
// Over a whole walk an entry that did not change meanwhile comes exactly once. An error ends the
// walk and stands in status(). A walk goes one way, once: begin() continues where it is.
//
// Lifetime: a walk may outlive the Client object that made it, but gets `closed` after its Close().
// Thread safety: none.

#pragma once

#include <cstddef>
#include <functional>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "entrepot/result.h"
#include "entrepot/types.h"

namespace entrepot {

class Walk {
 public:
  using FetchPage = std::function<Result<Page>(const std::string& cursor)>;

  explicit Walk(FetchPage fetch) : fetch_(std::move(fetch)) {}

  class Iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = Entry;
    using difference_type = std::ptrdiff_t;
    using pointer = Entry*;
    using reference = Entry&;

    Iterator() = default;
    explicit Iterator(Walk* walk) : walk_(walk) {}

    // The entry stays until the next step.
    Entry& operator*() const { return walk_->page_.items[walk_->position_]; }
    Entry* operator->() const { return &**this; }
    Iterator& operator++() {
      ++walk_->position_;
      if (!walk_->HasEntry()) walk_ = nullptr;
      return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(const Iterator& a, const Iterator& b) { return a.walk_ == b.walk_; }

   private:
    Walk* walk_ = nullptr;
  };

  Iterator begin() { return HasEntry() ? Iterator(this) : Iterator(); }
  Iterator end() { return Iterator(); }

  // Ok unless an error has ended the walk.
  const Status& status() const { return status_; }

  // What is left of the walk, or the error that ended it.
  Result<std::vector<Entry>> ToVector();

 private:
  // Whether there is an entry at the position, after fetching the next pages if need be.
  bool HasEntry();

  FetchPage fetch_;
  Page page_;
  size_t position_ = 0;
  bool started_ = false;
  Status status_;
};

}  // namespace entrepot
