#include "exchange.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "decode.h"
#include "wire_reader.h"
#include "wire_writer.h"

namespace entrepot {
namespace {

// Bodies on their way at a time.
constexpr size_t kBodiesInFlightMax = 256;
// The pause before what was `overloaded` is sent again, where the server names none.
constexpr milliseconds kBackoffFirst{20};
constexpr milliseconds kBackoffMax{1000};
// Sessions that one body may lose before its caller is told.
constexpr int kSessionsLostMax = 3;
// The request for a session goes before everything else.
constexpr uint64_t kSessionSequence = 0;

constexpr std::string_view kClientName = "entrepot-cpp/1.0";

bool DidNotRun(const Reply& reply) {
  return reply.status().code() == StatusCode::kOverloaded ||
         reply.status().code() == StatusCode::kUnavailable;
}

std::string Milliseconds(TimePoint from, TimePoint to) {
  return std::to_string(std::chrono::duration_cast<milliseconds>(to - from).count()) + " ms";
}

// `[session, number, done]`.
Value EncodeOnce(const OnceSession& session, uint64_t number) {
  std::string once;
  AppendArrayHeader(3, &once);
  once.append(Value(session.id()).encoded());
  once.append(Value(number).encoded()).append(Value(session.done()).encoded());
  return *Value::FromEncoded(std::move(once));
}

}  // namespace

Exchange::Exchange(zmq::context_t& context, Settings settings)
    : settings_(std::move(settings)), link_(context, settings_.endpoint) {}

void Exchange::Submit(std::unique_ptr<Body> body) {
  body->sequence = ++last_sequence_;
  Add(std::move(body));
}

void Exchange::Add(std::unique_ptr<Body> body) {
  const uint32_t count = body->requests.size();
  if (next_msgid_ > UINT32_MAX - count) next_msgid_ = 1;
  body->first_msgid = next_msgid_;
  body->replies.resize(count);
  next_msgid_ += count;
  Body* const submitted = body.get();
  by_first_msgid_[submitted->first_msgid] = submitted;
  bodies_[submitted->sequence] = std::move(body);
  submitted->alarm = submitted->deadline;
  alarms_.emplace(submitted->alarm, submitted->sequence);
  Wait(submitted);
}

void Exchange::Turn(TimePoint now) {
  now_ = now;
  const Link::Arrivals arrivals = link_.Receive(now);
  for (const Link::Arrival& arrival : arrivals.bodies) TakeMessage(arrival, now);
  for (const uint64_t number : arrivals.ended) ConnectionEnded(number);
  watches_.Turn(now);
  while (!alarms_.empty() && alarms_.begin()->first <= now) {
    Alarm(bodies_.at(alarms_.begin()->second).get(), now);
  }
  if (waiting_.empty()) return;
  if (const Status opened = link_.Open(now); !opened.ok()) {
    while (!waiting_.empty()) Fail(bodies_.at(*waiting_.begin()).get(), opened);
    return;
  }
  if (link_.ready()) SendWaiting(now);
  if (link_.refused_since()) FailRefused(now);
}

TimePoint Exchange::NextTurn() const {
  TimePoint next = watches_.NextTurn();
  if (!alarms_.empty()) next = std::min(next, alarms_.begin()->first);
  if (waiting_.empty()) return next;
  if (const std::optional<TimePoint> reopen_at = link_.reopen_at()) {
    next = std::min(next, *reopen_at);
  }
  if (link_.refused_since()) {
    for (const uint64_t sequence : waiting_) {
      next = std::min(next, RefusedUntil(*bodies_.at(sequence)));
    }
  }
  return next;
}

void Exchange::Close() {
  const Status closed(StatusCode::kClosed, "the client was closed");
  watches_.CloseAll(closed);
  while (!bodies_.empty()) {
    Body* const body = bodies_.begin()->second.get();
    Fail(body, Status(closed).SetMaybeApplied(body->ever_sent && body->has_write()));
  }
  link_.Reset();
}

// ---- What has arrived.

Body* Exchange::FindByMsgid(uint32_t msgid) {
  const auto after = by_first_msgid_.upper_bound(msgid);
  if (after == by_first_msgid_.begin()) return nullptr;
  Body* const body = std::prev(after)->second;
  return msgid - body->first_msgid < body->requests.size() ? body : nullptr;
}

void Exchange::TakeMessage(const Link::Arrival& arrival, TimePoint now) {
  if (std::optional<WatchMessage> message = ParseWatchMessage(arrival.body.to_string_view())) {
    watches_.Take(arrival.connection, *std::move(message), now);
  } else {
    TakeReplies(arrival, now);
  }
}

void Exchange::TakeReplies(const Link::Arrival& arrival, TimePoint now) {
  Result<std::vector<Response>> responses = ParseReplyBody(arrival.body.to_string_view());
  if (!responses.ok()) {
    TakeUnpairedError(responses.status());
    return;
  }
  Body* answered = nullptr;
  Status unpaired;
  for (Response& response : *responses) {
    Body* const body = FindByMsgid(response.msgid);
    if (body == nullptr) {
      // Msgid 0: the server could not read a request. Other numbers: a late answer.
      if (response.msgid == 0) unpaired = response.reply.status();
      continue;
    }
    const size_t index = response.msgid - body->first_msgid;
    if (index < body->first_open) continue;
    if (!body->replies[index]) body->replies[index] = std::move(response.reply);
    answered = body;
  }
  if (answered == nullptr) {
    if (!unpaired.ok()) TakeUnpairedError(unpaired);
    return;
  }
  for (std::optional<Reply>& reply : answered->replies) {
    if (!reply && !unpaired.ok()) reply = unpaired;
  }
  answering_connection_ = arrival.connection;
  Settle(answered, now);
}

// An error that names no request of ours can only be about a body that the server refused to read,
// and what is refused unread is refused for its size: it is the largest one's.
void Exchange::TakeUnpairedError(const Status& error) {
  Body* largest = nullptr;
  size_t largest_size = 0;
  for (const uint64_t sequence : in_flight_) {
    Body* const body = bodies_.at(sequence).get();
    size_t size = 0;
    for (const std::string& request : body->encoded) size += request.size();
    if (size > largest_size) largest = body, largest_size = size;
  }
  if (largest != nullptr) Fail(largest, error);
}

void Exchange::Settle(Body* body, TimePoint now) {
  for (size_t i = body->first_open; i < body->replies.size(); ++i) {
    if (body->replies[i]) continue;
    body->replies[i] =
        Status(StatusCode::kBadReply, "the server left a request unanswered").SetMaybeApplied(true);
  }
  if (RenewExpiredSession(body)) return;
  if (RepeatRefusedTail(body, now)) return;
  End(body);
}

bool Exchange::RenewExpiredSession(Body* body) {
  bool expired = false;
  for (size_t i = body->first_open; i < body->replies.size(); ++i) {
    if (body->replies[i]->status().code() != StatusCode::kSessionExpired) continue;
    if (i >= body->tickets.size() || !body->tickets[i]) continue;
    expired = true;
    if (session_.IsCurrent(*body->tickets[i])) session_.End();
  }
  if (!expired || ++body->sessions_lost > kSessionsLostMax) return false;
  if (body->unanswered_sends > 1) body->must_differ_from_history = true;
  for (size_t i = body->first_open; i < body->replies.size(); ++i) body->replies[i].reset();
  for (const std::optional<OnceSession::Ticket>& ticket : body->tickets) {
    if (ticket) session_.Release(*ticket);
  }
  body->encoded.clear();
  body->tickets.clear();
  Wait(body);
  return true;
}

bool Exchange::RepeatRefusedTail(Body* body, TimePoint now) {
  if (body->retries == 0) return false;
  size_t first = body->replies.size();
  while (first > body->first_open && DidNotRun(*body->replies[first - 1])) --first;
  if (first == body->replies.size()) return false;
  const bool progress = first > body->first_open;
  body->backoff =
      progress ? kBackoffFirst : std::clamp(body->backoff * 2, kBackoffFirst, kBackoffMax);
  const milliseconds advised{body->replies[first]->status().retry_after_ms()};
  const TimePoint not_before = now + (advised.count() > 0 ? advised : body->backoff);
  if (not_before >= body->deadline) return false;
  body->not_before = not_before;
  body->first_open = first;
  for (size_t i = first; i < body->replies.size(); ++i) body->replies[i].reset();
  --body->unanswered_sends;
  Wait(body);
  return true;
}

void Exchange::ConnectionEnded(uint64_t number) {
  std::vector<Body*> affected;
  for (const uint64_t sequence : in_flight_) {
    Body* const body = bodies_.at(sequence).get();
    if (body->connection == number) affected.push_back(body);
  }
  for (Body* const body : affected) {
    if (body->retries > 0) {
      Wait(body);
    } else {
      Fail(body, Status(StatusCode::kConnectionLost,
                        "the connection to " + settings_.endpoint + " ended before the answer")
                     .SetMaybeApplied(body->has_write()));
    }
  }
  watches_.ConnectionGone(number);
}

// ---- What time does.

void Exchange::Alarm(Body* body, TimePoint now) {
  if (now >= body->deadline) {
    Fail(body, DeadlineStatus(*body));
    return;
  }
  if (body->not_before <= now) body->not_before = TimePoint{};
  if (body->in_flight && now >= body->attempt_deadline()) {
    AttemptTimedOut(body);
  }
  // The times of attempts are fixed: those that pass while the body waits are over.
  while (body->has_retry_left() && now >= body->attempt_deadline()) ++body->attempts_timed_out;
  SetAlarm(body);
}

void Exchange::AttemptTimedOut(Body* body) {
  ++body->attempts_timed_out;
  const uint64_t connection = body->connection;
  Wait(body);
  if (connection == link_.current()) Renew(connection);
}

void Exchange::Renew(uint64_t connection) {
  if (connection == link_.current()) link_.Renew();
  std::vector<Body*> others;
  for (const uint64_t sequence : in_flight_) {
    Body* const other = bodies_.at(sequence).get();
    if (other->connection == connection && other->has_retry_left()) others.push_back(other);
  }
  for (Body* const other : others) Wait(other);
  watches_.ConnectionGone(connection);
}

TimePoint Exchange::RefusedUntil(const Body& body) const {
  if (body.ever_sent) return body.deadline;
  return std::max(*link_.refused_since(), body.submitted) + settings_.connect_wait;
}

void Exchange::FailRefused(TimePoint now) {
  std::vector<Body*> refused;
  for (const uint64_t sequence : waiting_) {
    Body* const body = bodies_.at(sequence).get();
    if (now >= RefusedUntil(*body)) refused.push_back(body);
  }
  for (Body* const body : refused) {
    Fail(body,
         Status(StatusCode::kUnreachable, "Nothing is listening at " + settings_.endpoint + "."));
  }
  // The next call tries at once instead of waiting for libzmq's next attempt.
  if (bodies_.empty()) link_.Reset();
}

Status Exchange::DeadlineStatus(const Body& body) const {
  const std::string within = " within " + Milliseconds(body.submitted, body.deadline) + ".";
  if (body.ever_sent) {
    return Status(StatusCode::kTimeout, settings_.endpoint + " did not answer" + within)
        .SetMaybeApplied(body.has_write());
  }
  if (link_.ready()) {
    return Status(StatusCode::kTimeout, "The call waited in the client and was not sent to " +
                                            settings_.endpoint + within);
  }
  return Status(StatusCode::kUnreachable,
                "No connection to " + settings_.endpoint + " could be made" + within);
}

// ---- What is sent.

void Exchange::SendWaiting(TimePoint now) {
  auto next = waiting_.begin();
  while (next != waiting_.end() && in_flight_.size() < kBodiesInFlightMax) {
    Body* const body = bodies_.at(*next).get();
    if (body->not_before > now) {
      ++next;
      continue;
    }
    if (body->encoded.empty()) {
      if (body->once() && !session_.known()) {
        if (session_requested_) return;
        RequestSession(*body);
        next = waiting_.begin();
        continue;
      }
      if (body->must_differ_from_history && body->history == session_.history()) {
        ++next;
        Fail(body, Status(StatusCode::kOutcomeUnknown,
                          "the session ended while the outcome of an attempt was open")
                       .SetMaybeApplied(true));
        continue;
      }
      if (body->once() && !session_.HasRoom(body->requests.size())) return;
      Encode(body);
    }
    std::string bytes;
    for (size_t i = body->first_open; i < body->encoded.size(); ++i) bytes += body->encoded[i];
    if (!link_.Send(bytes, body->sequence)) return;
    next = waiting_.erase(next);
    in_flight_.insert(body->sequence);
    body->in_flight = true;
    body->ever_sent = true;
    body->connection = link_.current();
    ++body->unanswered_sends;
    SetAlarm(body);
  }
}

void Exchange::Encode(Body* body) {
  body->tickets.resize(body->requests.size());
  body->history = session_.history();
  body->unanswered_sends = 0;
  body->must_differ_from_history = false;
  for (size_t i = body->first_open; body->once() && i < body->requests.size(); ++i) {
    const bool write = body->requests[i].kind() == WireRequest::Kind::kWrite;
    if (write) body->tickets[i] = session_.Take();
  }
  for (size_t i = 0; i < body->requests.size(); ++i) {
    const WireRequest& request = body->requests[i];
    if (body->tickets[i]) {
      const Value once = EncodeOnce(session_, body->tickets[i]->number);
      body->encoded.push_back(request.Encode(body->first_msgid + i, &once));
    } else {
      body->encoded.push_back(request.Encode(body->first_msgid + i, nullptr));
    }
  }
}

void Exchange::RequestSession(const Body& first_write) {
  std::string options;
  AppendMapHeader(3, &options);
  options.append(Value("client").encoded()).append(Value(kClientName).encoded());
  options.append(Value("protocol").encoded()).append(Value(1).encoded());
  options.append(Value("session").encoded()).append(Value(true).encoded());
  auto hello = std::make_unique<Body>();
  hello->requests.emplace_back("hello").Add(*Value::FromEncoded(std::move(options)));
  hello->submitted = first_write.submitted;
  hello->deadline = first_write.deadline;
  hello->retries = first_write.retries;
  hello->attempts_timed_out = first_write.attempts_timed_out;
  hello->sequence = kSessionSequence;
  hello->done = [this](std::vector<Reply> replies) { SessionAnswered(replies.front()); };
  session_requested_ = true;
  Add(std::move(hello));
}

void Exchange::SessionAnswered(const Reply& reply) {
  session_requested_ = false;
  std::string id;
  std::string history;
  if (reply.ok()) {
    const bool whole = ForEachField(*reply, [&](std::string_view name, WireReader& value) {
      if (name == "session") return id = value.ReadString().value_or(""), true;
      if (name == "history") return history = value.ReadString().value_or(""), true;
      return false;
    });
    if (whole && !id.empty()) {
      session_.Begin(std::move(id), std::move(history));
      return;
    }
  }
  const StatusCode code = reply.status().code();
  // Each write has its own time; the next one that waits asks again.
  if (code == StatusCode::kTimeout || code == StatusCode::kUnreachable) return;
  const Status status = reply.ok() ? Status(StatusCode::kBadReply, "the server gave out no session")
                                   : Status(reply.status()).SetMaybeApplied(false);
  std::vector<Body*> in_need;
  for (const uint64_t sequence : waiting_) {
    Body* const body = bodies_.at(sequence).get();
    if (body->once() && body->encoded.empty()) in_need.push_back(body);
  }
  for (Body* const body : in_need) Fail(body, status);
}

// ---- What watches need.

void Exchange::Ask(WireRequest request, milliseconds timeout, int retries,
                   Watches::Host::Answered answered) {
  auto body = std::make_unique<Body>();
  body->requests.push_back(std::move(request));
  body->submitted = now_;
  body->deadline = now_ + timeout;
  body->retries = retries;
  body->done = [this, answered = std::move(answered)](std::vector<Reply> replies) {
    answered(replies.front(), answering_connection_, now_);
  };
  Submit(std::move(body));
}

void Exchange::Notify(uint64_t connection, const WireRequest& notification) {
  link_.Notify(connection, notification.EncodeNotification());
}

// ---- A body's place.

void Exchange::Wait(Body* body) {
  body->in_flight = false;
  in_flight_.erase(body->sequence);
  waiting_.insert(body->sequence);
  SetAlarm(body);
}

void Exchange::SetAlarm(Body* body) {
  TimePoint alarm = body->attempt_deadline();
  if (body->not_before != TimePoint{}) alarm = std::min(alarm, body->not_before);
  if (alarm == body->alarm) return;
  alarms_.erase({body->alarm, body->sequence});
  body->alarm = alarm;
  alarms_.emplace(alarm, body->sequence);
}

void Exchange::End(Body* body) {
  waiting_.erase(body->sequence);
  in_flight_.erase(body->sequence);
  alarms_.erase({body->alarm, body->sequence});
  by_first_msgid_.erase(body->first_msgid);
  link_.Forget(body->sequence);
  for (const std::optional<OnceSession::Ticket>& ticket : body->tickets) {
    if (ticket) session_.Release(*ticket);
  }
  const auto place = bodies_.find(body->sequence);
  const std::unique_ptr<Body> ended = std::move(place->second);
  bodies_.erase(place);
  std::vector<Reply> replies;
  replies.reserve(ended->replies.size());
  for (std::optional<Reply>& reply : ended->replies) replies.push_back(*std::move(reply));
  ended->done(std::move(replies));
}

void Exchange::Fail(Body* body, const Status& status) {
  for (size_t i = body->first_open; i < body->replies.size(); ++i) body->replies[i] = status;
  End(body);
}

}  // namespace entrepot
