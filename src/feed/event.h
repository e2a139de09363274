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

// What a touch does not say: whether the key has, at `version`, a value that the query does not
// match. False where that cannot be known any more.
using MatchedNot =
    absl::FunctionRef<bool(std::string_view key, uint64_t version, const Query& query)>;

// Appends the event of one change.
void PackEvent(ByteBuffer* out, const EventFilter& filter, const Change& change, uint64_t version,
               MatchedNot matched_not);
// Appends an entry that was there when the watch began.
void PackSnapshotEvent(ByteBuffer* out, const EventFilter& filter, const Entry& entry);

// Calls `visit` for each change of a record. One that cannot be read is a defect of who wrote it.
void ForEachChange(const Record& record, absl::FunctionRef<void(const Change&)> visit);

// Appends the events of one record whose keys `filter` and `wants` want; returns how many.
uint32_t PackEvents(ByteBuffer* out, const EventFilter& filter, const Record& record,
                    absl::FunctionRef<bool(std::string_view key)> wants, MatchedNot matched_not);

}  // namespace entrepot
