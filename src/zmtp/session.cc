#include "zmtp/session.h"

#include <algorithm>
#include <cstring>

#include "zmtp/handshake.h"

namespace entrepot::zmtp {
namespace {

ItemLimits LimitsOf(const ZmtpLimits& limits, EndpointKind kind) {
  // A subscriber has nothing to say but subscriptions.
  const size_t body_bytes = kind == EndpointKind::kFeed ? limits.command_bytes : limits.body_bytes;
  return {.frames = limits.frames,
          .envelope_bytes = limits.envelope_bytes,
          .body_bytes = body_bytes,
          .command_bytes = limits.command_bytes};
}

std::string_view RefusalText(Event event) {
  switch (event) {
    case Event::kMechanism:
      return "only the NULL mechanism is spoken here";
    case Event::kSocketType:
      return "this socket type cannot connect to this endpoint";
    case Event::kHandshakeTooLarge:
      return "READY is too large";
    default:
      return "READY is malformed";
  }
}

}  // namespace

Session::Session(EndpointKind kind, ConnectionHandle handle, const ZmtpLimits& limits,
                 Counters& counters)
    : handle_(handle),
      limits_(limits),
      counters_(counters),
      item_limits_(LimitsOf(limits, kind)),
      kind_(kind) {}

Session::Taken Session::Take(std::span<char> bytes, SubscriptionSink& subscriptions,
                             std::vector<Message>* messages, std::string* answers) {
  Taken taken;
  if (phase_ == Phase::kGreeting) TakeGreeting(bytes, answers, &taken);
  if (phase_ == Phase::kHandshake) TakeHandshake(bytes, answers, &taken);
  if (phase_ == Phase::kTraffic) TakeTraffic(bytes, subscriptions, messages, answers, &taken);
  return taken;
}

void Session::Refuse(Event reason, Taken* taken) {
  phase_ = Phase::kRefused;
  taken->refused = reason;
  taken->needed = 0;
}

void Session::TakeGreeting(std::span<const char> bytes, std::string* answers, Taken* taken) {
  const std::string_view greeting(bytes.data(), std::min(bytes.size(), kGreetingBytes));
  if (const Event wrong = CheckGreeting(greeting); wrong != Event::kNone) {
    if (wrong == Event::kMechanism) AppendError(RefusalText(wrong), answers);
    return Refuse(wrong, taken);
  }
  if (greeting.size() < kGreetingBytes) {
    taken->needed = kGreetingBytes;
    return;
  }
  taken->bytes = kGreetingBytes;
  phase_ = Phase::kHandshake;
}

void Session::TakeHandshake(std::span<const char> bytes, std::string* answers, Taken* taken) {
  const std::string_view rest(bytes.data() + taken->bytes, bytes.size() - taken->bytes);
  ItemLimits limits = item_limits_;
  limits.command_bytes = limits_.handshake_bytes;
  const Item item = ReadItem(rest, limits);

  // The first thing a peer says is READY, and that is a command.
  const bool is_command = rest.empty() || (rest[0] & kFlagCommand) != 0;
  Event wrong = is_command ? Event::kNone : Event::kHandshakeMalformed;
  if (is_command && item.kind == Item::Kind::kRefused) {
    wrong = item.reason == Event::kCommandTooLarge ? Event::kHandshakeTooLarge
                                                   : Event::kHandshakeMalformed;
  } else if (is_command && item.kind == Item::Kind::kCommand) {
    wrong = TakeReady(rest.substr(item.payload, item.end - item.payload), answers);
  }
  if (wrong != Event::kNone) {
    AppendError(RefusalText(wrong), answers);
    return Refuse(wrong, taken);
  }
  if (item.kind == Item::Kind::kIncomplete) {
    taken->needed = item.end;
    return;
  }
  taken->bytes += item.end;
  phase_ = Phase::kTraffic;
}

void Session::TakeTraffic(std::span<char> bytes, SubscriptionSink& subscriptions,
                          std::vector<Message>* messages, std::string* answers, Taken* taken) {
  for (size_t items = 0; items < limits_.slice_messages && taken->bytes < limits_.slice_bytes;
       ++items) {
    char* const front = bytes.data() + taken->bytes;
    const std::string_view rest(front, bytes.size() - taken->bytes);
    const Item item = ReadItem(rest, item_limits_);
    if (item.kind == Item::Kind::kIncomplete) {
      taken->needed = item.end;
      return;
    }
    if (item.kind == Item::Kind::kRefused) return Refuse(item.reason, taken);

    const std::string_view payload = rest.substr(item.payload, item.end - item.payload);
    if (item.kind == Item::Kind::kCommand) {
      const Event wrong = TakeCommand(payload, subscriptions, answers);
      if (wrong != Event::kNone) return Refuse(wrong, taken);
      // libzmq may send a PING between two frames of a message: they move together over it.
      const size_t command_bytes = item.end - item.envelope_end;
      if (item.envelope_end != 0) std::memmove(front + command_bytes, front, item.envelope_end);
      taken->bytes += command_bytes;
      continue;
    }
    if (kind_ == EndpointKind::kRequests) {
      messages->push_back({.connection = handle_,
                           .envelope_frames = item.envelope_frames,
                           .envelope = rest.substr(0, item.envelope_end),
                           .body = payload});
    } else if (const Event wrong = TakeFeedMessage(payload, subscriptions); wrong != Event::kNone) {
      return Refuse(wrong, taken);
    }
    taken->bytes += item.end;
  }
  taken->sliced = true;
}

Event Session::TakeReady(std::string_view payload, std::string* answers) {
  const auto command = ReadCommand(payload);
  if (!command || command->name != "READY") return Event::kHandshakeMalformed;
  const auto ready = ReadReady(command->data);
  if (!ready) return Event::kHandshakeMalformed;
  if (!MayConnect(ready->socket_type, kind_)) return Event::kSocketType;
  if (!ready->identity.empty()) counters_.Add(Event::kIdentitiesIgnored);
  AppendReady(kind_, answers);
  return Event::kNone;
}

Event Session::TakeCommand(std::string_view payload, SubscriptionSink& subscriptions,
                           std::string* answers) {
  const auto command = ReadCommand(payload);
  if (!command) return Event::kCommandMalformed;
  if (command->name == "PING") {
    const auto ping = ReadPing(command->data);
    if (!ping) return Event::kCommandMalformed;
    counters_.Add(Event::kPings);
    ttl_micros_ = ping->ttl_micros;
    AppendPong(ping->context, answers);
    return Event::kNone;
  }
  if (command->name == "PONG") {
    return command->data.size() <= kPingContextBytesMax ? Event::kNone : Event::kCommandMalformed;
  }
  if (command->name == "READY" || command->name == "ERROR") return Event::kCommandUnexpected;
  if (kind_ == EndpointKind::kFeed && command->name == "SUBSCRIBE") {
    return subscriptions.OnSubscribe(command->data);
  }
  if (kind_ == EndpointKind::kFeed && command->name == "CANCEL") {
    subscriptions.OnCancel(command->data);
    return Event::kNone;
  }
  counters_.Add(Event::kUnknownCommands);
  return Event::kNone;
}

Event Session::TakeFeedMessage(std::string_view body, SubscriptionSink& subscriptions) {
  if (!body.empty() && body[0] == 1) return subscriptions.OnSubscribe(body.substr(1));
  if (!body.empty() && body[0] == 0) {
    subscriptions.OnCancel(body.substr(1));
    return Event::kNone;
  }
  counters_.Add(Event::kFeedMessagesIgnored);
  return Event::kNone;
}

}  // namespace entrepot::zmtp
