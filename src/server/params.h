// Reads the params of requests: keys, values, numbers, and the map of options that comes last.
//
// The rules that hold for every method stand here once: an option that the method does not have,
// one given twice, one that is nil, and options that are no map are errors that name what is wrong;
// `false` is as if left out (docs/PROTOCOL.md, "Options").
//
// Thread safety: pure functions. What is read views the request.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/limits.h"
#include "base/msgpack.h"
#include "base/status.h"
#include "engine/operation.h"
#include "engine/retries.h"
#include "engine/transaction.h"
#include "protocol/message.h"
#include "store/index_range.h"

namespace entrepot {

// When an answer may leave.
enum class Acknowledge : uint8_t { kDefault, kApplied, kDurable };

// A position in the sequence of revisions. Views the request.
struct HistoryToken {
  std::string_view history;
  uint64_t revision = 0;
};

// Every option of every method.
struct ParamOptions {
  std::optional<uint64_t> ttl_ms, expires_at_ms, if_version, unless_version, limit;
  bool keep_ttl = false, if_absent = false, if_present = false, previous = false, values = false;
  bool session = false;
  std::optional<HistoryToken> since;
  std::optional<uint64_t> credit, wait_ms;
  bool snapshot = false, no_values = false;
  Acknowledge ack = Acknowledge::kDefault;
  std::optional<Once> once;
  std::optional<Number> initial, min, max;
  std::optional<std::string_view> cursor, key_prefix;
  std::string_view query;  // The msgpack item; empty: not given.
  Direction order = Direction::kAscending;
};

// `text` as an error message can carry it: printable ASCII, quoted, cut.
std::string Quoted(std::string_view text);

// Reads the map of options `encoded` of `method`; empty: there are none. kInvalidArgument.
Status ReadOptions(Method method, std::string_view encoded, ParamOptions* options);

// Reads [history, revision]. kInvalidArgument.
Status ReadHistoryToken(std::string_view encoded, HistoryToken* to);
// Reads an integer from 0 to 2^53 - 1. kInvalidArgument.
Status ReadCount(std::string_view name, std::string_view encoded, uint64_t* to);

// Whether there are `required` to `required` + 1 params, the last one being the options; those are
// read. For methods that take options. kInvalidArgument.
Status ReadParams(const Request& request, size_t required, ParamOptions* options);

// Whether `key` may be read (or written: not one of the system's). kInvalidArgument, kTooLarge,
// kDenied.
Status CheckKey(std::string_view key, const Limits& limits, bool to_write);
// Reads such a key. Errors: the same.
Status ReadKey(std::string_view encoded, const Limits& limits, bool to_write,
               std::string_view* key);
// The prefix of a key: a str or bin.
Status ReadPrefix(std::string_view encoded, std::string_view* prefix);

// Reads a request for one of the single-key methods, whose key the decoder has read already.
Status ReadOperation(const Request& request, const Limits& limits, Operation* operation,
                     ParamOptions* options);

using HashFunction = std::function<uint64_t(std::string_view)>;

// Reads the params of `transact`. kMalformed: a value inside nests too deep.
Status ReadTransaction(const Request& request, const Limits& limits, const HashFunction& hash,
                       Transaction* transaction, ParamOptions* options);

}  // namespace entrepot
