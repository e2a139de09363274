// Body: some requests that travel together, from their submission to their outcome.

#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "client_clock.h"
#include "entrepot/wire_request.h"
#include "once_session.h"
#include "reply.h"

namespace entrepot {

// Called once, on the exchange's thread, with one reply a request.
using BodyDone = std::function<void(std::vector<Reply>)>;

struct Body {
  // Constant from submission on.
  std::vector<WireRequest> requests;
  TimePoint submitted;
  TimePoint deadline;
  int retries = 0;
  BodyDone done;
  uint64_t sequence = 0;  // The order of submission.

  // The requests as they are sent, in all attempts; empty until the first.
  std::vector<std::string> encoded;
  std::vector<std::optional<OnceSession::Ticket>> tickets;  // One a request, for writes.
  std::string history;                                      // Of the tickets' session.
  uint32_t first_msgid = 0;                                 // The following ones count up.

  // What has been answered.
  std::vector<std::optional<Reply>> replies;
  // Requests before this one are settled; the others are (still, or again) to be answered.
  size_t first_open = 0;

  // Where it stands.
  bool in_flight = false;
  bool ever_sent = false;
  uint64_t connection = 0;   // On which it was last sent.
  int unanswered_sends = 0;  // Under the present tickets.
  int attempts_timed_out = 0;
  int sessions_lost = 0;
  TimePoint alarm{};       // When time acts on it next.
  TimePoint not_before{};  // After `overloaded`.
  milliseconds backoff{0};
  bool must_differ_from_history = false;  // An attempt may have run before its session ended.

  bool has_write() const {
    for (const WireRequest& request : requests) {
      if (request.kind() == WireRequest::Kind::kWrite) return true;
    }
    return false;
  }

  // Whether its writes carry `once`.
  bool once() const { return retries > 0 && has_write(); }

  // How long the server may wait before it answers; the deadline has it in it.
  milliseconds wait() const {
    int64_t longest_ms = 0;
    for (const WireRequest& request : requests)
      longest_ms = std::max(longest_ms, request.wait_ms());
    return milliseconds(longest_ms);
  }

  bool has_retry_left() const { return attempts_timed_out < retries; }

  // When the present attempt counts as timed out; the deadline after the last.
  TimePoint attempt_deadline() const {
    if (!has_retry_left()) return deadline;
    const auto share = (deadline - wait() - submitted) / (retries + 1) + wait();
    return std::min(deadline, submitted + share * (attempts_timed_out + 1));
  }
};

}  // namespace entrepot
