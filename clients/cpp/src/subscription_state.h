// SubscriptionState: what a subscriber to the PUB endpoint was told, and what is missing, without
// I/O and without a clock.
//
// Whoever drives it fetches what a Gap names, tells what IsNew() of it, and then goes on.
//
// Thread safety: none.
//
// Invariants:
//  1. No change is told twice, and those of one key are told in the order of their versions.
//  2. Of a key whose version is not remembered, nothing above floor_ was told.

#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include "client_clock.h"
#include "entrepot/event.h"

namespace entrepot {

// The server tells something each second; after so much silence a connection counts as dead.
constexpr milliseconds kFeedSilence{3000};
// Keys whose version is remembered: about 150 bytes each.
constexpr size_t kSubscriptionKeysMax = 1'000'000;

class SubscriptionState {
 public:
  // Changes that were missed: those behind `since` and up to `until`.
  struct Gap {
    Token since;
    uint64_t until = 0;
    std::string key_prefix;
    bool of_one_key = false;  // Then the prefix is the key.
  };

  explicit SubscriptionState(std::string key_prefix, size_t keys_max = kSubscriptionKeysMax)
      : key_prefix_(std::move(key_prefix)), keys_max_(keys_max) {}

  // Whether there was a heartbeat since the begin, or since a loss.
  bool has_begun() const { return token_.has_value(); }

  // The connection has ended: the next heartbeat is that of another one.
  void Interrupted() { was_interrupted_ = true; }

  // Takes a heartbeat; gives what may have been missed since the one before.
  std::optional<Gap> Heartbeat(const Token& token, TimePoint now);

  // What was missed cannot be fetched: it begins again with the next heartbeat.
  void Lose(std::string reason);
  // What is to be told when it has begun again.
  std::optional<event::Resync> TakeResync();

  // Whether a change was not told yet. Before the first heartbeat nothing is new.
  bool IsNew(const Event& change) const;
  // What was missed of the key of a change that is new.
  std::optional<Gap> GapBefore(const Event& change) const;
  // It is told now.
  void Tell(const Event& change);

 private:
  using Told = std::list<std::pair<std::string, uint64_t>>;

  uint64_t ToldOf(const std::string& key) const;

  const std::string key_prefix_;
  const size_t keys_max_;

  std::optional<Token> token_;  // That of the latest heartbeat.
  TimePoint heard_{};
  bool was_interrupted_ = false;
  uint64_t floor_ = 0;
  Told told_;  // The oldest first.
  std::unordered_map<std::string, Told::iterator> told_of_;
  std::optional<event::Resync> resync_;
};

// The version of an event about a key, and the one before; 0 for other events.
uint64_t VersionOf(const Event& event);
uint64_t PreviousVersionOf(const Event& event);

}  // namespace entrepot
