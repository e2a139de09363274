#include "commands.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <future>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "entrepot/msgpack.h"
#include "entrepot/request.h"
#include "json_text.h"
#include "output.h"

namespace entrepot::cli {
namespace {

using Fields = std::vector<std::pair<std::string, Value>>;

// Entries that a page of a walk holds: a larger one saves round trips.
constexpr uint32_t kWalkPageLimit = 1000;
// What `save` and `backup` may take beside the time of a call: writing a disk full takes hours.
constexpr int64_t kLongWorkMs = 24 * 3600 * 1000;
// Keys that one request of the protocol takes.
constexpr size_t kGetManyKeysMax = 1000;

Value StatusValue(const Outcome& outcome) { return OutcomeStatusName(outcome.status); }

// The outcome's fields in a fixed order.
Fields OutcomeFields(const Outcome& outcome) {
  Fields fields = {{"status", StatusValue(outcome)}, {"version", outcome.version}};
  if (outcome.value) fields.emplace_back("value", *outcome.value);
  if (outcome.previous_version) fields.emplace_back("previous_version", *outcome.previous_version);
  if (outcome.length) fields.emplace_back("length", *outcome.length);
  return fields;
}

ExitStatus ExitStatusOf(const Outcome& outcome) {
  if (outcome.conflict()) return ExitStatus::kConflict;
  return outcome.not_found() ? ExitStatus::kNotFound : ExitStatus::kOk;
}

// Prints the outcome: in plain, one field of it, or the status where the field is not there or the
// write did not happen.
ExitStatus Report(const Session& session, const Outcome& outcome, std::string_view plain_field) {
  const ExitStatus status = ExitStatusOf(outcome);
  const Fields fields = OutcomeFields(outcome);
  const bool has_field = std::any_of(fields.begin(), fields.end(),
                                     [&](const auto& field) { return field.first == plain_field; });
  PrintFields(session.format, fields,
              status == ExitStatus::kOk && has_field ? plain_field : "status", session.console.out);
  return status;
}

Result<std::optional<int64_t>> ParseTtl(const std::string& text) {
  if (text.empty()) return std::optional<int64_t>();
  const Result<int64_t> ttl_ms = ParseDuration(text);
  if (!ttl_ms.ok()) return ttl_ms.status();
  return std::optional(*ttl_ms);
}

Result<std::optional<Value>> ParseNumber(const std::string& text) {
  if (text.empty()) return std::optional<Value>();
  Result<Value> number = FromJson(text);
  if (!number.ok() || !number->AsDouble().ok()) {
    return Status(StatusCode::kInvalidArgument, "\"" + text + "\" is no number");
  }
  return std::optional(*std::move(number));
}

// Prints a walk up to `limit` entries.
ExitStatus PrintWalk(Session& session, Walk walk, bool keys, std::optional<uint64_t> limit) {
  EntryPrinter printer(session.format,
                       keys ? EntryPrinter::Columns::kKeys : EntryPrinter::Columns::kEntries,
                       session.console.out);
  uint64_t printed = 0;
  if (limit != uint64_t{0}) {
    for (const Entry& entry : walk) {
      printer.Print(entry);
      if (++printed == limit) break;
    }
  }
  printer.Finish();
  if (!walk.status().ok()) return session.Fail(walk.status());
  return printed == 0 && limit != uint64_t{0} ? ExitStatus::kNotFound : ExitStatus::kOk;
}

WalkOptions MakeWalkOptions(const Session& session, bool keys, bool descending,
                            std::optional<uint64_t> limit) {
  const uint64_t page = std::clamp<uint64_t>(limit.value_or(kWalkPageLimit), 1, kWalkPageLimit);
  return {.page_limit = static_cast<uint32_t>(page),
          .values = !keys,
          .order = descending ? Order::kDescending : Order::kAscending,
          .call = session.call};
}

}  // namespace

ExitStatus GetCommand::Run(Session& session) const {
  const Result<std::optional<Entry>> entry = session.client.Entry(key, {.call = session.call});
  if (!entry.ok()) return session.Fail(entry.status());
  if (!entry->has_value()) return session.Fail(ExitStatus::kNotFound, "not found: " + key);
  if (session.format == Format::kPlain) {
    // Exactly the bytes, so that they can go into a file; a terminal gets its line ended.
    const std::string content = ToPlain((*entry)->value);
    std::fwrite(content.data(), 1, content.size(), session.console.out);
    if (session.console.out_is_terminal) std::fputc('\n', session.console.out);
    return ExitStatus::kOk;
  }
  Fields fields = {
      {"key", Value::TextOrBytes(key)}, {"value", (*entry)->value}, {"version", (*entry)->version}};
  if ((*entry)->ttl_ms) fields.emplace_back("ttl_ms", *(*entry)->ttl_ms);
  PrintFields(session.format, fields, {}, session.console.out);
  return ExitStatus::kOk;
}

ExitStatus SetCommand::Run(Session& session) const {
  const Result<Value> stored = ReadValue(value, syntax);
  if (!stored.ok()) return session.Usage(stored.status().message());
  const Result<std::optional<int64_t>> ttl_ms = ParseTtl(ttl);
  if (!ttl_ms.ok()) return session.Usage(ttl_ms.status().message());
  const Result<Outcome> outcome = session.client.Set(key, *stored,
                                                     {.ttl_ms = *ttl_ms,
                                                      .expires_at_ms = expires_at_ms,
                                                      .keep_ttl = keep_ttl,
                                                      .if_version = if_version,
                                                      .if_absent = if_absent,
                                                      .if_present = if_present,
                                                      .previous = previous,
                                                      .call = session.call});
  if (!outcome.ok()) return session.Fail(outcome.status());
  return Report(session, *outcome, previous ? "value" : "status");
}

ExitStatus DeleteCommand::Run(Session& session) const {
  if (prefix) return RunPrefixes(session);
  ExitStatus worst = ExitStatus::kOk;
  Pipeline pipeline = session.client.Pipeline(session.call);
  std::vector<std::future<Result<Outcome>>> outcomes;
  for (const std::string& key : keys) {
    outcomes.push_back(pipeline.Add(request::Delete(key, {.if_version = if_version})));
  }
  if (const Status sent = pipeline.Send(); !sent.ok()) return session.Fail(sent);
  for (std::future<Result<Outcome>>& later : outcomes) {
    const Result<Outcome> outcome = later.get();
    const ExitStatus status =
        outcome.ok() ? Report(session, *outcome, "status") : session.Fail(outcome.status());
    if (worst == ExitStatus::kOk) worst = status;
  }
  return worst;
}

ExitStatus DeleteCommand::RunPrefixes(Session& session) const {
  if (if_version) return session.Usage("--if-version does not go with --prefix");
  uint64_t deleted = 0;
  for (const std::string& key_prefix : keys) {
    bool more = true;
    while (more) {
      const Result<DeletedPrefix> part =
          session.client.DeletePrefix(key_prefix, {.call = session.call});
      if (!part.ok()) return session.Fail(part.status());
      deleted += part->deleted;
      more = part->more;
    }
  }
  PrintFields(session.format, {{"deleted", deleted}}, "deleted", session.console.out);
  return ExitStatus::kOk;
}

ExitStatus IncrementCommand::Run(Session& session) const {
  const Result<std::optional<Value>> step = ParseNumber(by);
  const Result<std::optional<Value>> first = ParseNumber(initial);
  const Result<std::optional<Value>> lowest = ParseNumber(min);
  const Result<std::optional<Value>> highest = ParseNumber(max);
  for (const Result<std::optional<Value>>* number : {&step, &first, &lowest, &highest}) {
    if (!number->ok()) return session.Usage(number->status().message());
  }
  const Result<std::optional<int64_t>> ttl_ms = ParseTtl(ttl);
  if (!ttl_ms.ok()) return session.Usage(ttl_ms.status().message());
  const Result<Outcome> outcome = session.client.Increment(key, step->value_or(1),
                                                           {.initial = *first,
                                                            .min = *lowest,
                                                            .max = *highest,
                                                            .ttl_ms = *ttl_ms,
                                                            .call = session.call});
  if (!outcome.ok()) return session.Fail(outcome.status());
  return Report(session, *outcome, "value");
}

ExitStatus AppendCommand::Run(Session& session) const {
  const Result<Value> piece = ReadValue(data, syntax);
  if (!piece.ok()) return session.Usage(piece.status().message());
  const WriteOptions options{.call = session.call};
  const Result<Outcome> outcome = prepend ? session.client.Prepend(key, *piece, options)
                                          : session.client.Append(key, *piece, options);
  if (!outcome.ok()) return session.Fail(outcome.status());
  return Report(session, *outcome, "length");
}

ExitStatus TouchCommand::Run(Session& session) const {
  if (permanent != ttl.empty()) return session.Usage("say either a TTL or --permanent");
  const Result<std::optional<int64_t>> ttl_ms = ParseTtl(ttl);
  if (!ttl_ms.ok()) return session.Usage(ttl_ms.status().message());
  const Result<Outcome> outcome = session.client.Touch(key, *ttl_ms, {.call = session.call});
  if (!outcome.ok()) return session.Fail(outcome.status());
  return Report(session, *outcome, "status");
}

ExitStatus GetManyCommand::Run(Session& session) const {
  EntryPrinter printer(session.format, EntryPrinter::Columns::kEntries, session.console.out);
  ExitStatus status = ExitStatus::kOk;
  for (size_t begin = 0; begin < keys.size(); begin += kGetManyKeysMax) {
    const size_t end = std::min(keys.size(), begin + kGetManyKeysMax);
    const std::vector<std::string> part(keys.begin() + begin, keys.begin() + end);
    const Result<Items> items = session.client.GetMany(part, {.call = session.call});
    if (!items.ok()) return session.Fail(items.status());
    for (size_t i = 0; i < part.size(); ++i) {
      if (items->items[i]) {
        printer.Print(*items->items[i]);
        continue;
      }
      printer.PrintMissing(part[i]);
      status = ExitStatus::kNotFound;
    }
  }
  printer.Finish();
  return status;
}

Result<Query> QuerySyntax::Parse() const {
  const bool has_range = !from.empty() || !to.empty();
  if (int{has_prefix} + int{has_equals} + int{has_range} != 1) {
    return Status(StatusCode::kInvalidArgument,
                  "say one of a prefix, --equals, and --from with --to");
  }
  if (has_prefix) return Query(prefix);
  const ValueSyntax syntax{.json = json, .literal = true};
  if (has_equals) {
    const Result<Value> value = ReadValue(equals, syntax);
    if (!value.ok()) return value.status();
    return Query::Equals(*value);
  }
  std::optional<Value> bounds[2];
  for (const bool upper : {false, true}) {
    const std::string& text = upper ? to : from;
    if (text.empty()) continue;
    Result<Value> bound = ReadValue(text, syntax);
    if (!bound.ok()) return bound.status();
    bounds[upper] = *std::move(bound);
  }
  return Query::Range(bounds[0], bounds[1]);
}

ExitStatus FindCommand::Run(Session& session) const {
  const Result<Query> parsed = query.Parse();
  if (!parsed.ok()) return session.Usage(parsed.status().message());
  return PrintWalk(
      session,
      session.client.Find(*parsed, key_prefix, MakeWalkOptions(session, keys, descending, limit)),
      keys, limit);
}

ExitStatus ScanCommand::Run(Session& session) const {
  return PrintWalk(session,
                   session.client.Scan(prefix, MakeWalkOptions(session, keys, descending, limit)),
                   keys, limit);
}

ExitStatus CountCommand::Run(Session& session) const {
  std::optional<Query> parsed;
  if (query.given()) {
    const Result<Query> result = query.Parse();
    if (!result.ok()) return session.Usage(result.status().message());
    parsed = *result;
  }
  const Result<Counted> counted = session.client.Count(key_prefix, parsed, {.call = session.call});
  if (!counted.ok()) return session.Fail(counted.status());
  PrintFields(session.format,
              {{"count", counted->count},
               {"version", counted->version},
               {"version_end", counted->version_end}},
              "count", session.console.out);
  return ExitStatus::kOk;
}

ExitStatus StatsCommand::Run(Session& session) const {
  const Result<std::map<std::string, Value>> figures = session.client.Stats(session.call);
  if (!figures.ok()) return session.Fail(figures.status());
  PrintFields(session.format, Fields(figures->begin(), figures->end()), {}, session.console.out);
  return ExitStatus::kOk;
}

namespace {

// The result of `save` and `backup`.
struct Saved {
  uint64_t version = 0;
  MSGPACK_DEFINE_MAP(version);
};

// Makes a call that writes all of the store, and prints the revision that it tells.
ExitStatus RunLongWork(Session& session, WireRequest wire) {
  wire.Wait(kLongWorkMs);
  // Never sent twice: the second one would find the first one's files.
  const CallOptions once{.timeout_ms = session.call.timeout_ms, .retries = 0};
  const Result<Value> answer = session.client.Call(request::Raw(std::move(wire), once));
  if (!answer.ok()) return session.Fail(answer.status());
  const Result<Saved> saved = FromValue<Saved>(*answer);
  if (!saved.ok()) return session.Fail(saved.status());
  PrintFields(session.format, {{"version", saved->version}}, "version", session.console.out);
  return ExitStatus::kOk;
}

}  // namespace

ExitStatus SaveCommand::Run(Session& session) const {
  return RunLongWork(session, WireRequest("save"));
}

ExitStatus BackupCommand::Run(Session& session) const {
  return RunLongWork(session, WireRequest("backup").Add(destination));
}

ExitStatus PingCommand::Run(Session& session) const {
  using Clock = std::chrono::steady_clock;
  for (int i = 0; i < count; ++i) {
    const Clock::time_point begin = Clock::now();
    const Result<Done> answered = session.client.Ping(session.call);
    if (!answered.ok()) return session.Fail(answered.status());
    const std::chrono::duration<double, std::milli> took = Clock::now() - begin;
    if (session.format == Format::kPlain) {
      std::fprintf(session.console.out, "%s answered in %.3f ms\n", session.client.server().c_str(),
                   took.count());
    } else {
      PrintFields(session.format, {{"server", session.client.server()}, {"ms", took.count()}}, {},
                  session.console.out);
    }
  }
  return ExitStatus::kOk;
}

}  // namespace entrepot::cli
