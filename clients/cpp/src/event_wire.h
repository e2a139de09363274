// Events, tokens and the messages of watches as they stand on the wire.
//
//    token   := [history, revision]
//    message := [2, "events", [id, [event…], {version, synced, [error]}]]
//    event   := {key, op, cause, version, previous_version, [value, expires_at_ms, snapshot]}
//
// Fields that are not known are passed over, and so are events of a kind that is not known.
//
// Thread safety: functions on plain values.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "entrepot/event.h"
#include "entrepot/result.h"
#include "entrepot/status.h"
#include "entrepot/value.h"
#include "wire_reader.h"

namespace entrepot {

// The token as a parameter.
Value EncodeToken(const Token& token);

// Reads an array of events; gives how many it held, those that were left out included. Nothing
// where it is not of the protocol.
std::optional<uint64_t> ReadEvents(WireReader* reader, std::vector<Event>* events);

// The result of `changes`, asked for with a token of that history.
Result<ChangesPage> DecodeChangesPage(const std::string& history, std::string_view result);

struct WatchMessage {
  uint64_t watch = 0;       // The server's number of the watch.
  bool whole = false;       // Else only the number could be read.
  uint64_t told_count = 0;  // Events that the server counts as told.
  std::vector<Event> events;
  uint64_t version = 0;
  bool synced = false;
  Status error;  // Not ok: this was the last message.
};

// Nothing where the body is anything else than a message of a watch.
std::optional<WatchMessage> ParseWatchMessage(std::string_view body);

}  // namespace entrepot
