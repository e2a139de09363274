#include "event_wire.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "decode.h"
#include "reply.h"
#include "wire_writer.h"

namespace entrepot {
namespace {

constexpr uint64_t kNotificationType = 2;

// An event as it stands on the wire.
struct Fields {
  std::string key;  // Never empty in what a server tells.
  std::string op;
  Cause cause = Cause::kOther;
  std::optional<uint64_t> version;
  uint64_t previous_version = 0;
  Value value;
  std::optional<int64_t> expires_at_ms;
  bool snapshot = false;
};

Cause CauseFromName(std::string_view name) {
  for (const Cause cause :
       {Cause::kClient, Cause::kTransaction, Cause::kExpired, Cause::kEvicted}) {
    if (CauseName(cause) == name) return cause;
  }
  return Cause::kOther;
}

// What cannot be read leaves the reader failed, which ForEachField() notices.
bool ReadFields(std::string_view encoded, Fields* fields) {
  const bool whole = ForEachField(encoded, [&](std::string_view name, WireReader& value) {
    if (name == "key") return fields->key = value.ReadString().value_or(""), true;
    if (name == "op") return fields->op = value.ReadString().value_or(""), true;
    if (name == "cause") {
      return fields->cause = CauseFromName(value.ReadString().value_or("")), true;
    }
    if (name == "version") return fields->version = value.ReadUint(), true;
    if (name == "previous_version") {
      return fields->previous_version = value.ReadUint().value_or(0), true;
    }
    if (name == "value") {
      const std::string_view content = value.ReadValue().value_or("\xc0");
      return fields->value = *Value::FromEncoded(std::string(content)), true;
    }
    if (name == "expires_at_ms") return fields->expires_at_ms = value.ReadInt(), true;
    if (name == "snapshot") return fields->snapshot = value.ReadBool().value_or(false), true;
    return false;
  });
  return whole && !fields->key.empty() && fields->version;
}

// Nothing for a kind that is not known.
std::optional<Event> MakeEvent(Fields&& fields) {
  std::string key = std::move(fields.key);
  const uint64_t version = *fields.version;
  const uint64_t previous = fields.previous_version;
  if (fields.op == "set" && fields.snapshot) {
    return event::Snapshot{std::move(key), std::move(fields.value), version, fields.expires_at_ms};
  }
  if (fields.op == "set") {
    return event::Set{std::move(key), std::move(fields.value), version,
                      previous,       fields.expires_at_ms,    fields.cause};
  }
  if (fields.op == "delete" && fields.cause == Cause::kExpired) {
    return event::Expired{std::move(key), version, previous};
  }
  if (fields.op == "delete") return event::Delete{std::move(key), version, previous, fields.cause};
  if (fields.op == "touch") {
    return event::Touch{std::move(key), version, previous, fields.expires_at_ms, fields.cause};
  }
  if (fields.op == "left") return event::Left{std::move(key), version, previous, fields.cause};
  return std::nullopt;
}

}  // namespace

Value EncodeToken(const Token& token) {
  std::string encoded;
  AppendArrayHeader(2, &encoded);
  encoded.append(Value(token.history).encoded()).append(Value(token.revision).encoded());
  return *Value::FromEncoded(std::move(encoded));
}

std::optional<uint64_t> ReadEvents(WireReader* reader, std::vector<Event>* events) {
  const std::optional<uint32_t> count = reader->ReadArray();
  if (!count) return std::nullopt;
  for (uint32_t i = 0; i < *count; ++i) {
    const std::optional<std::string_view> encoded = reader->ReadValue();
    Fields fields;
    if (!encoded || !ReadFields(*encoded, &fields)) return std::nullopt;
    if (std::optional<Event> event = MakeEvent(std::move(fields))) {
      events->push_back(*std::move(event));
    }
  }
  return *count;
}

Result<ChangesPage> DecodeChangesPage(const std::string& history, std::string_view result) {
  ChangesPage page{.token = {.history = history}};
  std::optional<uint64_t> count;
  std::optional<uint64_t> version;
  const bool whole = ForEachField(result, [&](std::string_view name, WireReader& value) {
    if (name == "events") return count = ReadEvents(&value, &page.events), true;
    if (name == "version") return version = value.ReadUint(), true;
    if (name == "more") return page.more = value.ReadBool().value_or(false), true;
    return false;
  });
  if (!whole || !count || !version) return BadReply();
  page.token.revision = *version;
  return page;
}

std::optional<WatchMessage> ParseWatchMessage(std::string_view body) {
  WireReader reader(body);
  if (reader.ReadArray() != 3U || reader.ReadUint() != kNotificationType ||
      reader.ReadString() != "events" || reader.ReadArray() != 3U) {
    return std::nullopt;
  }
  const std::optional<uint64_t> watch = reader.ReadUint();
  if (!watch) return std::nullopt;
  WatchMessage message{.watch = *watch};
  const std::optional<uint64_t> count = ReadEvents(&reader, &message.events);
  const std::optional<std::string_view> status = reader.ReadValue();
  if (!count || !status || !reader.AtEnd()) return message;
  message.told_count = *count;
  std::optional<uint64_t> version;
  const bool whole = ForEachField(*status, [&](std::string_view name, WireReader& value) {
    if (name == "version") return version = value.ReadUint(), true;
    if (name == "synced") return message.synced = value.ReadBool().value_or(false), true;
    if (name == "error") return message.error = ReadError(&value), true;
    return false;
  });
  message.version = version.value_or(0);
  message.whole = whole && version;
  return message;
}

}  // namespace entrepot
