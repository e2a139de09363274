// Which subscribers a topic goes to: the prefixes they asked for, in a sorted set.
//
// The prefixes of a topic are found by stepping backwards: the greatest prefix in the set that is
// not above the topic either matches or shares a shorter beginning with it, and the search goes on
// from there. A trie of bytes would take as many steps and forty times the memory for long
// prefixes.
//
// Thread safety: none; belongs to one io thread.
//
// Invariants:
//  1. Subscriptions are counted (RFC 37): twice "A" takes two cancels to undo.
//  2. A topic reaches a subscriber at most once, however many of its prefixes match.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace entrepot::zmtp {

class SubscriptionIndex;

// A member of its connection, which is found again through `connection`.
class Subscriber {
 public:
  explicit Subscriber(void* connection) : connection_(connection) {}
  Subscriber(const Subscriber&) = delete;
  Subscriber& operator=(const Subscriber&) = delete;

  void* connection() const { return connection_; }
  // Each one counted as often as it was asked for.
  size_t subscriptions() const { return subscriptions_; }
  // Memory of its prefixes, as if it shared none of them with others.
  size_t held_bytes() const { return held_bytes_; }

 private:
  friend class SubscriptionIndex;
  // Nodes of both maps, about.
  static constexpr size_t kPrefixOverheadBytes = 192;

  void* const connection_;
  size_t subscriptions_ = 0;
  size_t held_bytes_ = 0;
  // Times of each prefix; the keys are those of the index.
  std::map<std::string_view, size_t> prefixes_;
  uint64_t last_match_ = 0;
};

class SubscriptionIndex {
 public:
  SubscriptionIndex() = default;
  SubscriptionIndex(const SubscriptionIndex&) = delete;
  SubscriptionIndex& operator=(const SubscriptionIndex&) = delete;

  void Add(Subscriber* subscriber, std::string_view prefix);
  // Takes back one Add() of the same; does nothing when there is none.
  void Remove(Subscriber* subscriber, std::string_view prefix);
  // To be called before a subscriber with subscriptions goes.
  void RemoveAll(Subscriber* subscriber);

  // Calls `visit(Subscriber*)` for each subscriber of a prefix of `topic`. `visit` may not change
  // the index.
  template <typename Visit>
  void Match(std::string_view topic, Visit&& visit);

  bool empty() const { return subscribers_.empty(); }

 private:
  using Prefixes = std::map<std::string, std::vector<Subscriber*>, std::less<>>;
  void RemoveFrom(Prefixes::iterator prefix, Subscriber* subscriber);
  static size_t CommonPrefix(std::string_view a, std::string_view b);

  Prefixes subscribers_;
  uint64_t matches_ = 0;
};

template <typename Visit>
void SubscriptionIndex::Match(std::string_view topic, Visit&& visit) {
  ++matches_;
  std::string_view left = topic;  // Prefixes above `left` are done with.
  auto above = subscribers_.upper_bound(left);
  while (above != subscribers_.begin()) {
    const auto candidate = std::prev(above);
    const std::string& prefix = candidate->first;
    const size_t common = CommonPrefix(prefix, left);
    if (common < prefix.size()) {
      left = left.substr(0, common);
      above = subscribers_.upper_bound(left);
      continue;
    }
    for (Subscriber* subscriber : candidate->second) {
      if (subscriber->last_match_ == matches_) continue;
      subscriber->last_match_ = matches_;
      visit(subscriber);
    }
    above = candidate;
  }
}

}  // namespace entrepot::zmtp
