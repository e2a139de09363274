// WatchState: what a watch was told and what it is to ask for next, without I/O and without a
// clock.
//
//    kAsking ──Accepted──▶ kTelling ──synced──▶ kLive
//       ▲                      │ CutOff, error    │
//       └──────────────────────┴──────────────────┘
//
// Whoever drives it (watches.h) sends Request() while it is kAsking, says what came of that, hands
// over the messages, and says when the connection they came on is no use any more. What it gives
// back is for the reader of the watch, in order. The rules are docs/CLIENTS.md, section 9.
//
// Thread safety: none.
//
// Invariants:
//  1. Everything up to token() has been given back, and nothing of it is given back again.
//  2. A snapshot that was broken off, and a token that the server cannot serve, are told by a
//     Resync before the next snapshot's first event.
//  3. The reader has at most `credit` events that it has not taken, but for one transaction.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "entrepot/event.h"
#include "entrepot/watch.h"
#include "entrepot/wire_request.h"
#include "event_wire.h"

namespace entrepot {

// Events that belong together, and the token that holds when they have been taken; none before the
// end of a snapshot.
struct WatchBatch {
  std::vector<Event> events;
  std::optional<Token> token;
};

// Whether the same request may succeed later: what follows changes goes on then.
bool PassesByItself(const Status& error);

class WatchState {
 public:
  enum class Phase : uint8_t { kAsking, kTelling, kLive };

  WatchState(std::string key_prefix, WatchOptions options);

  Phase phase() const { return phase_; }
  // Whether it was ever accepted.
  bool has_begun() const { return has_begun_; }
  // What to resume from, where there is something.
  const std::optional<Token>& token() const { return token_; }

  // The `watch` to send.
  WireRequest Request();

  // The server's answer: its number of the watch, or nothing where it is not of the protocol.
  std::optional<uint64_t> Accepted(std::string_view result);

  // The server does not have what is asked for, or goes on for. Nothing where a snapshot would not
  // help against the error.
  std::optional<WatchBatch> Refused(const Status& error);

  // Nothing more comes of what was accepted. A batch without events says nothing.
  WatchBatch CutOff();

  // A message of the watch; it must be whole. Its error is for Refused().
  WatchBatch Told(WatchMessage message);

  // The reader has taken so many events.
  void Taken(uint64_t count) { untaken_ -= static_cast<int64_t>(count); }

  // How many more events the server may be allowed; 0 while it has half of them still, and while
  // there is no watch. Whoever asks sends them.
  uint64_t TakeCreditDue();

 private:
  WatchBatch BeginAgain(std::string_view reason);

  const std::string key_prefix_;
  const WatchOptions options_;

  Phase phase_ = Phase::kAsking;
  bool has_begun_ = false;
  std::optional<Token> token_;
  std::string history_;
  bool takes_snapshot_;
  std::optional<uint64_t> resumes_after_;  // Of the present request.
  int64_t untaken_ = 0;                    // Events given back that the reader has not taken.
  int64_t allowed_ = 0;  // Events that the server may still send; below 0 after a transaction.
};

}  // namespace entrepot
