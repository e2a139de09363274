// Events: changes as watchers are told of them.
//
// docs/PROTOCOL.md, "Events":
//
//    event = {key, op, cause, version, previous_version, [value, expires_at_ms], [snapshot]}
//
// Thread safety: values and pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <absl/functional/function_ref.h>

#include "base/byte_buffer.h"
#include "log/record.h"
#include "store/change.h"
#include "store/entry.h"
#include "store/query.h"

namespace entrepot {

// Which changes a watcher wants, and how much of them.
struct EventFilter {
  std::string key_prefix;
  std::optional<Query> query;
  bool values = true;

  bool WantsKey(std::string_view key) const { return key.starts_with(key_prefix); }
};

// What a touch does not say: whether the value that the key has matches the query.
using MatchesNow = absl::FunctionRef<bool(std::string_view key, const Query& query)>;

// Appends the event of one change.
void PackEvent(ByteBuffer* out, const EventFilter& filter, const Change& change, uint64_t version,
               MatchesNow matches_now);
// Appends an entry that was there when the watch began.
void PackSnapshotEvent(ByteBuffer* out, const EventFilter& filter, const Entry& entry);

// Appends the events of one record whose keys `filter` and `wants` want; returns how many. A record
// that cannot be read is a defect of who wrote it.
uint32_t PackEvents(ByteBuffer* out, const EventFilter& filter, const Record& record,
                    absl::FunctionRef<bool(std::string_view key)> wants, MatchesNow matches_now);

}  // namespace entrepot
