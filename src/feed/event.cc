#include "feed/event.h"

#include "base/msgpack.h"
#include "protocol/encoder.h"

namespace entrepot {

namespace {

struct Fields {
  std::string_view key, op, cause;
  uint64_t version, previous_version;
  std::string_view value;  // Empty: not told.
  int64_t expires_at_ms = 0;
  bool snapshot = false;
};

void Pack(ByteBuffer* out, const Fields& fields) {
  const bool value = !fields.value.empty(), expires = fields.expires_at_ms != 0;
  PackMap(out, 5u + (value ? 1 : 0) + (expires ? 1 : 0) + (fields.snapshot ? 1 : 0));
  PackName(out, "key");
  PackKey(out, fields.key, IsUtf8(fields.key));
  PackName(out, "op");
  PackString(out, fields.op);
  PackName(out, "cause");
  PackString(out, fields.cause);
  PackName(out, "version");
  PackUnsigned(out, fields.version);
  PackName(out, "previous_version");
  PackUnsigned(out, fields.previous_version);
  if (value) {
    PackName(out, "value");
    out->Append(fields.value);
  }
  if (expires) {
    PackName(out, "expires_at_ms");
    PackSigned(out, fields.expires_at_ms);
  }
  if (fields.snapshot) {
    PackName(out, "snapshot");
    PackBool(out, true);
  }
}

}  // namespace

void PackEvent(ByteBuffer* out, const EventFilter& filter, const Change& change, uint64_t version,
               MatchedNot matched_not) {
  bool left = false;
  if (filter.query) {
    left = change.op == ChangeOp::kDelete ||
           (change.op == ChangeOp::kSet ? !filter.query->Matches(change.value)
                                        : matched_not(change.key, version, *filter.query));
  }
  const bool told = filter.values && !left && change.op == ChangeOp::kSet;
  Pack(out, {.key = change.key,
             .op = left ? "left" : NameOf(change.op),
             .cause = NameOf(change.cause),
             .version = version,
             .previous_version = change.previous_version,
             .value = told ? change.value : std::string_view(),
             .expires_at_ms = left ? 0 : change.expires_at_ms});
}

void PackSnapshotEvent(ByteBuffer* out, const EventFilter& filter, const Entry& entry) {
  // What stood there before is not known any more: an entry of the snapshot begins its chain.
  Pack(out, {.key = entry.key(),
             .op = "set",
             .cause = "client",
             .version = entry.version(),
             .previous_version = 0,
             .value = filter.values ? entry.value() : std::string_view(),
             .expires_at_ms = entry.expires_at_ms(),
             .snapshot = true});
}

void ForEachChange(const Record& record, absl::FunctionRef<void(const Change&)> visit) {
  std::string_view payload = record.payload;
  RetryOutcome outcome;
  bool present = false;
  CHECK(TakeOutcome(&payload, &outcome, &present));
  for (Change change; !payload.empty();) {
    CHECK(TakeChange(&payload, &change));
    visit(change);
  }
}

uint32_t PackEvents(ByteBuffer* out, const EventFilter& filter, const Record& record,
                    absl::FunctionRef<bool(std::string_view key)> wants, MatchedNot matched_not) {
  uint32_t count = 0;
  ForEachChange(record, [&](const Change& change) {
    if (!filter.WantsKey(change.key) || !wants(change.key)) return;
    PackEvent(out, filter, change, record.revision, matched_not);
    ++count;
  });
  return count;
}

}  // namespace entrepot
