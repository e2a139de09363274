#include "entrepot/request.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "decode.h"
#include "entrepot/transaction.h"
#include "event_wire.h"
#include "wire_writer.h"

namespace entrepot {
namespace {

using Kind = WireRequest::Kind;

void AddAck(Ack ack, WireRequest* wire) {
  if (ack == Ack::kApplied) wire->Option("ack", "applied");
  if (ack == Ack::kDurable) wire->Option("ack", "durable");
}

template <typename T>
void AddOption(std::string_view name, const std::optional<T>& value, WireRequest* wire) {
  if (value) wire->Option(name, *value);
}

void AddFlag(std::string_view name, bool flag, WireRequest* wire) {
  if (flag) wire->Option(name, true);
}

void AddPageOptions(const PageOptions& options, WireRequest* wire) {
  AddOption("limit", options.limit, wire);
  if (!options.cursor.empty()) wire->Option("cursor", Value::Bytes(options.cursor));
  wire->Option("values", options.values);
  if (options.order == Order::kDescending) wire->Option("order", "desc");
  AddAck(options.ack, wire);
}

Value EncodeKeys(const std::vector<std::string>& keys) {
  std::string encoded;
  AppendArrayHeader(keys.size(), &encoded);
  for (const std::string& key : keys) encoded.append(Value::TextOrBytes(key).encoded());
  return *Value::FromEncoded(std::move(encoded));
}

Result<Done> DecodeDone(std::string_view) { return Done{}; }

}  // namespace

Query Query::Equals(const Value& value) {
  std::string encoded;
  AppendMapHeader(1, &encoded);
  encoded.append(Value("equals").encoded()).append(value.encoded());
  return Query(*Value::FromEncoded(std::move(encoded)));
}

Query Query::Range(const std::optional<Value>& from, const std::optional<Value>& to) {
  std::string encoded;
  AppendMapHeader((from ? 1 : 0) + (to ? 1 : 0), &encoded);
  if (from) encoded.append(Value("from").encoded()).append(from->encoded());
  if (to) encoded.append(Value("to").encoded()).append(to->encoded());
  return Query(*Value::FromEncoded(std::move(encoded)));
}

namespace request {

Request<ServerInfo> Hello(const CallOptions& call) {
  return {WireRequest("hello"), call, DecodeServerInfo};
}

Request<Done> Ping(const CallOptions& call) { return {WireRequest("ping"), call, DecodeDone}; }

Request<std::optional<Value>> Get(std::string_view key, const ReadOptions& options) {
  WireRequest wire("get");
  wire.AddKey(key);
  AddAck(options.ack, &wire);
  return {std::move(wire), options.call,
          [](std::string_view result) -> Result<std::optional<Value>> {
            Result<Outcome> outcome = DecodeOutcome(result);
            if (!outcome.ok()) return outcome.status();
            return std::move(outcome->value);
          }};
}

Request<std::optional<entrepot::Entry>> Entry(std::string_view key, const EntryOptions& options) {
  WireRequest wire("get");
  wire.AddKey(key);
  AddOption("unless_version", options.unless_version, &wire);
  AddAck(options.ack, &wire);
  return {
      std::move(wire), options.call,
      [key = std::string(key)](std::string_view result) -> Result<std::optional<entrepot::Entry>> {
        Result<Outcome> outcome = DecodeOutcome(result);
        if (!outcome.ok()) return outcome.status();
        if (outcome->not_found()) return std::optional<entrepot::Entry>();
        return std::optional(entrepot::Entry{
            .key = key,
            .value = std::move(outcome->value).value_or(Value()),
            .version = outcome->version,
            .ttl_ms = outcome->ttl_ms,
            .unchanged = outcome->status == OutcomeStatus::kUnchanged,
        });
      }};
}

Request<Items> GetMany(const std::vector<std::string>& keys, const ReadOptions& options) {
  WireRequest wire("get_many");
  wire.Add(EncodeKeys(keys));
  AddAck(options.ack, &wire);
  return {std::move(wire), options.call,
          [keys](std::string_view result) { return DecodeItems(keys, result); }};
}

Request<Outcome> Set(std::string_view key, const Value& value, const SetOptions& options) {
  WireRequest wire("set", Kind::kWrite);
  wire.AddKey(key).Add(value);
  AddOption("ttl_ms", options.ttl_ms, &wire);
  AddOption("expires_at_ms", options.expires_at_ms, &wire);
  AddFlag("keep_ttl", options.keep_ttl, &wire);
  AddOption("if_version", options.if_version, &wire);
  AddFlag("if_absent", options.if_absent, &wire);
  AddFlag("if_present", options.if_present, &wire);
  AddFlag("previous", options.previous, &wire);
  AddAck(options.ack, &wire);
  return {std::move(wire), options.call, DecodeOutcome};
}

Request<Outcome> Delete(std::string_view key, const DeleteOptions& options) {
  WireRequest wire("delete", Kind::kWrite);
  wire.AddKey(key);
  AddOption("if_version", options.if_version, &wire);
  AddFlag("previous", options.previous, &wire);
  AddAck(options.ack, &wire);
  return {std::move(wire), options.call, DecodeOutcome};
}

Request<Outcome> Increment(std::string_view key, const Value& by, const IncrementOptions& options) {
  WireRequest wire("increment", Kind::kWrite);
  wire.AddKey(key).Add(by);
  AddOption("initial", options.initial, &wire);
  AddOption("min", options.min, &wire);
  AddOption("max", options.max, &wire);
  AddOption("ttl_ms", options.ttl_ms, &wire);
  AddAck(options.ack, &wire);
  return {std::move(wire), options.call, DecodeOutcome};
}

Request<Outcome> Append(std::string_view key, const Value& data, const WriteOptions& options) {
  WireRequest wire("append", Kind::kWrite);
  wire.AddKey(key).Add(data);
  AddAck(options.ack, &wire);
  return {std::move(wire), options.call, DecodeOutcome};
}

Request<Outcome> Prepend(std::string_view key, const Value& data, const WriteOptions& options) {
  WireRequest wire("prepend", Kind::kWrite);
  wire.AddKey(key).Add(data);
  AddAck(options.ack, &wire);
  return {std::move(wire), options.call, DecodeOutcome};
}

Request<Outcome> Touch(std::string_view key, std::optional<int64_t> ttl_ms,
                       const WriteOptions& options) {
  WireRequest wire("touch", Kind::kWrite);
  wire.AddKey(key).Add(ttl_ms ? Value(*ttl_ms) : Value());
  AddAck(options.ack, &wire);
  return {std::move(wire), options.call, DecodeOutcome};
}

Request<TransactionOutcome> Transact(const Transaction& transaction, const WriteOptions& options) {
  WireRequest wire("transact", Kind::kWrite);
  wire.Add(transaction.Encode());
  AddAck(options.ack, &wire);
  return {std::move(wire), options.call, DecodeTransactionOutcome};
}

Request<Page> FindPage(const Query& query, std::string_view key_prefix,
                       const PageOptions& options) {
  WireRequest wire("find");
  wire.Add(query.encoded());
  if (!key_prefix.empty()) wire.Option("key_prefix", Value::TextOrBytes(key_prefix));
  AddPageOptions(options, &wire);
  return {std::move(wire), options.call, DecodePage};
}

Request<Page> ScanPage(std::string_view key_prefix, const PageOptions& options) {
  WireRequest wire("scan");
  wire.AddKey(key_prefix);
  AddPageOptions(options, &wire);
  return {std::move(wire), options.call, DecodePage};
}

Request<Counted> Count(std::string_view key_prefix, const std::optional<Query>& query,
                       const ReadOptions& options) {
  WireRequest wire("count");
  if (!key_prefix.empty()) wire.Option("key_prefix", Value::TextOrBytes(key_prefix));
  if (query) wire.Option("query", query->encoded());
  AddAck(options.ack, &wire);
  return {std::move(wire), options.call, DecodeCounted};
}

Request<DeletedPrefix> DeletePrefix(std::string_view key_prefix,
                                    const DeletePrefixOptions& options) {
  WireRequest wire("delete_prefix", Kind::kWrite);
  wire.AddKey(key_prefix);
  AddOption("limit", options.limit, &wire);
  AddAck(options.ack, &wire);
  return {std::move(wire), options.call, DecodeDeletedPrefix};
}

Request<entrepot::ChangesPage> ChangesPage(const Token& since, std::string_view key_prefix,
                                           const ChangesPageOptions& options) {
  WireRequest wire("changes");
  wire.Add(EncodeToken(since)).Wait(options.wait_ms);
  if (!key_prefix.empty()) wire.Option("key_prefix", Value::TextOrBytes(key_prefix));
  AddOption("limit", options.limit, &wire);
  if (options.wait_ms > 0) wire.Option("wait_ms", options.wait_ms);
  wire.Option("values", options.values);
  return {std::move(wire), options.call, [history = since.history](std::string_view result) {
            return DecodeChangesPage(history, result);
          }};
}

Request<uint64_t> Sync(const CallOptions& call) {
  return {WireRequest("sync"), call, [](std::string_view result) -> Result<uint64_t> {
            std::optional<uint64_t> version;
            const bool whole = ForEachField(result, [&](std::string_view name, WireReader& value) {
              if (name != "version") return false;
              version = value.ReadUint();
              return true;
            });
            if (!whole || !version) return BadReply();
            return *version;
          }};
}

Request<std::map<std::string, Value>> Stats(const CallOptions& call) {
  return {WireRequest("stats"), call, DecodeFigures};
}

Request<Value> Raw(WireRequest wire, const CallOptions& call) {
  return {std::move(wire), call,
          [](std::string_view result) { return Value::FromEncoded(std::string(result)); }};
}

}  // namespace request
}  // namespace entrepot
