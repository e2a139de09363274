#include "decode.h"

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace entrepot {
namespace {

struct StatusName {
  OutcomeStatus status;
  std::string_view name;
};

constexpr std::array<StatusName, 10> kStatusNames = {{
    {OutcomeStatus::kCreated, "created"},
    {OutcomeStatus::kUpdated, "updated"},
    {OutcomeStatus::kFound, "found"},
    {OutcomeStatus::kNotFound, "not_found"},
    {OutcomeStatus::kUnchanged, "unchanged"},
    {OutcomeStatus::kDeleted, "deleted"},
    {OutcomeStatus::kConflict, "conflict"},
    {OutcomeStatus::kCommitted, "committed"},
    {OutcomeStatus::kRejected, "rejected"},
    {OutcomeStatus::kOk, "ok"},
}};

// What stands for an operation that was undone.
constexpr std::string_view kEmptyMap = "\x80";

// A read that fails leaves the reader failed, which ForEachField() notices; the fallback is never
// seen by a caller.
uint64_t TakeUint(WireReader& reader) { return reader.ReadUint().value_or(0); }
bool TakeBool(WireReader& reader) { return reader.ReadBool().value_or(false); }
std::string TakeString(WireReader& reader) { return std::string(reader.ReadString().value_or("")); }

std::optional<Value> TakeValue(WireReader& reader) {
  const std::optional<std::string_view> encoded = reader.ReadValue();
  if (!encoded) return std::nullopt;
  return *Value::FromEncoded(std::string(*encoded));
}

std::optional<OutcomeStatus> TakeStatus(WireReader& reader) {
  const std::optional<std::string_view> name = reader.ReadString();
  for (const StatusName& known : kStatusNames) {
    if (known.name == name) return known.status;
  }
  return std::nullopt;
}

std::vector<std::string> TakeStrings(WireReader& reader) {
  std::vector<std::string> strings;
  const std::optional<uint32_t> count = reader.ReadArray();
  for (uint32_t i = 0; count && i < *count && !reader.failed(); ++i) {
    strings.push_back(TakeString(reader));
  }
  return strings;
}

// A string where there is one, else nothing: what is off is told as nil.
std::string TakeOptionalString(WireReader& reader) {
  return reader.ReadNil() ? std::string() : TakeString(reader);
}

}  // namespace

Status BadReply() {
  return Status(StatusCode::kBadReply, "the server's answer is not of the protocol")
      .SetMaybeApplied(true);
}

std::string_view OutcomeStatusName(OutcomeStatus status) {
  for (const StatusName& known : kStatusNames) {
    if (known.status == status) return known.name;
  }
  return "ok";
}

bool ServerInfo::Has(std::string_view feature) const {
  for (const std::string& present : features) {
    if (present == feature) return true;
  }
  return false;
}

bool ForEachField(std::string_view map,
                  const std::function<bool(std::string_view name, WireReader& value)>& visit) {
  WireReader reader(map);
  const std::optional<uint32_t> fields = reader.ReadMap();
  for (uint32_t i = 0; fields && i < *fields && !reader.failed(); ++i) {
    const std::optional<std::string_view> name = reader.ReadString();
    if (name && !visit(*name, reader)) reader.ReadValue();
  }
  return !reader.failed() && reader.AtEnd();
}

Result<Outcome> DecodeOutcome(std::string_view result) {
  Outcome outcome;
  std::optional<OutcomeStatus> status;
  const bool whole = ForEachField(result, [&](std::string_view name, WireReader& value) {
    if (name == "status") return status = TakeStatus(value), true;
    if (name == "version") return outcome.version = TakeUint(value), true;
    if (name == "value") return outcome.value = TakeValue(value), true;
    if (name == "previous_version") return outcome.previous_version = TakeUint(value), true;
    if (name == "length") return outcome.length = TakeUint(value), true;
    if (name == "ttl_ms") return outcome.ttl_ms = TakeUint(value), true;
    if (name == "replayed") return outcome.replayed = TakeBool(value), true;
    return false;
  });
  if (!whole || !status) return BadReply();
  outcome.status = *status;
  return outcome;
}

Result<Items> DecodeItems(const std::vector<std::string>& keys, std::string_view result) {
  Items items;
  const bool whole = ForEachField(result, [&](std::string_view name, WireReader& value) {
    if (name == "version") return items.version = TakeUint(value), true;
    if (name != "items") return false;
    const std::optional<uint32_t> count = value.ReadArray();
    for (uint32_t i = 0; count && i < *count && i < keys.size() && !value.failed(); ++i) {
      if (value.ReadNil()) {
        items.items.emplace_back();
        continue;
      }
      Entry entry;
      entry.key = keys[i];
      value.ReadArray();
      entry.value = TakeValue(value).value_or(Value());
      entry.version = TakeUint(value);
      items.items.emplace_back(std::move(entry));
    }
    return true;
  });
  if (!whole || items.items.size() != keys.size()) return BadReply();
  return items;
}

Result<Page> DecodePage(std::string_view result) {
  Page page;
  std::optional<OutcomeStatus> status;
  std::vector<Value> values;
  std::vector<uint64_t> versions;
  std::vector<std::string> keys;
  const bool whole = ForEachField(result, [&](std::string_view name, WireReader& value) {
    if (name == "status") return status = TakeStatus(value), true;
    if (name == "keys") return keys = TakeStrings(value), true;
    if (name == "cursor") return page.cursor = TakeString(value), true;
    if (name == "version") return page.version = TakeUint(value), true;
    if (name == "examined") return page.examined = TakeUint(value), true;
    if (name == "values") {
      const std::optional<uint32_t> count = value.ReadArray();
      for (uint32_t i = 0; count && i < *count && !value.failed(); ++i) {
        values.push_back(TakeValue(value).value_or(Value()));
      }
      return true;
    }
    if (name == "versions") {
      const std::optional<uint32_t> count = value.ReadArray();
      for (uint32_t i = 0; count && i < *count && !value.failed(); ++i) {
        versions.push_back(TakeUint(value));
      }
      return true;
    }
    return false;
  });
  if (!whole || !status) return BadReply();
  if (!values.empty() && values.size() != keys.size()) return BadReply();
  if (!versions.empty() && versions.size() != keys.size()) return BadReply();
  page.status = *status;
  page.items.resize(keys.size());
  for (size_t i = 0; i < keys.size(); ++i) {
    page.items[i].key = std::move(keys[i]);
    if (!values.empty()) page.items[i].value = std::move(values[i]);
    if (!versions.empty()) page.items[i].version = versions[i];
  }
  return page;
}

Result<Counted> DecodeCounted(std::string_view result) {
  Counted counted;
  std::optional<uint64_t> count;
  const bool whole = ForEachField(result, [&](std::string_view name, WireReader& value) {
    if (name == "count") return count = TakeUint(value), true;
    if (name == "version") return counted.version = TakeUint(value), true;
    if (name == "version_end") return counted.version_end = TakeUint(value), true;
    return false;
  });
  if (!whole || !count) return BadReply();
  counted.count = *count;
  return counted;
}

Result<DeletedPrefix> DecodeDeletedPrefix(std::string_view result) {
  DeletedPrefix deleted;
  std::optional<uint64_t> count;
  const bool whole = ForEachField(result, [&](std::string_view name, WireReader& value) {
    if (name == "deleted") return count = TakeUint(value), true;
    if (name == "more") return deleted.more = TakeBool(value), true;
    if (name == "version") return deleted.version = TakeUint(value), true;
    if (name == "replayed") return deleted.replayed = TakeBool(value), true;
    return false;
  });
  if (!whole || !count) return BadReply();
  deleted.deleted = *count;
  return deleted;
}

Result<TransactionOutcome> DecodeTransactionOutcome(std::string_view result) {
  TransactionOutcome outcome;
  std::optional<OutcomeStatus> status;
  bool results_whole = true;
  const bool whole = ForEachField(result, [&](std::string_view name, WireReader& value) {
    if (name == "status") return status = TakeStatus(value), true;
    if (name == "version") return outcome.version = TakeUint(value), true;
    if (name == "replayed") return outcome.replayed = TakeBool(value), true;
    if (name != "results") return false;
    const std::optional<uint32_t> count = value.ReadArray();
    for (uint32_t i = 0; count && i < *count && !value.failed(); ++i) {
      const std::string_view encoded = value.ReadValue().value_or("");
      if (encoded == kEmptyMap) {
        outcome.results.emplace_back();
        continue;
      }
      Result<Outcome> single = DecodeOutcome(encoded);
      if (!single.ok()) return results_whole = false, true;
      outcome.results.emplace_back(*std::move(single));
    }
    return true;
  });
  if (!whole || !status || !results_whole) return BadReply();
  outcome.status = *status;
  return outcome;
}

Result<ServerInfo> DecodeServerInfo(std::string_view result) {
  ServerInfo info;
  const bool whole = ForEachField(result, [&](std::string_view name, WireReader& value) {
    if (name == "server") return info.server = TakeString(value), true;
    if (name == "protocol") return info.protocol = TakeUint(value), true;
    if (name == "history") return info.history = TakeString(value), true;
    if (name == "version") return info.version = TakeUint(value), true;
    if (name == "features") return info.features = TakeStrings(value), true;
    if (name == "sync") return info.sync = TakeString(value), true;
    if (name == "now_ms") return info.now_ms = TakeUint(value), true;
    if (name == "limits") {
      return ForEachField(value.ReadValue().value_or(""),
                          [&](std::string_view limit, WireReader& bound) {
                            info.limits[std::string(limit)] = TakeUint(bound);
                            return true;
                          }),
             true;
    }
    if (name == "endpoints") {
      return ForEachField(value.ReadValue().value_or(""),
                          [&](std::string_view kind, WireReader& endpoint) {
                            if (kind == "listen") {
                              return info.listen = TakeStrings(endpoint), true;
                            }
                            if (kind == "feed") {
                              return info.feed = TakeOptionalString(endpoint), true;
                            }
                            if (kind == "admin") {
                              return info.admin = TakeOptionalString(endpoint), true;
                            }
                            return false;
                          }),
             true;
    }
    return false;
  });
  if (!whole || info.protocol == 0) return BadReply();
  return info;
}

Result<std::map<std::string, Value>> DecodeFigures(std::string_view result) {
  std::map<std::string, Value> figures;
  const bool whole = ForEachField(result, [&](std::string_view name, WireReader& value) {
    figures[std::string(name)] = TakeValue(value).value_or(Value());
    return true;
  });
  if (!whole) return BadReply();
  return figures;
}

}  // namespace entrepot
