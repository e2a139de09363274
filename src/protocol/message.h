// What stands in a body: MessagePack-RPC requests, and the names of the protocol.
//
// docs/PROTOCOL.md is the specification; the grammar of a body is
//
//    body         := (request | notification)+
//    request      := [0, msgid:uint32, method:str, params:array]
//    notification := [2, method:str, params:array]
//    response     := [1, msgid:uint32, error:nil|map, result:nil|map]
//
// Thread safety: values.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "base/status.h"

namespace entrepot {

enum class Method : uint8_t {
  kUnknown,
  kHello,
  kPing,
  kSet,
  kGet,
  kDelete,
  kIncrement,
  kAppend,
  kPrepend,
  kTouch,
  kGetMany,
  kTransact,
  kFind,
  kScan,
  kCount,
  kDeletePrefix,
  kSync,
  kStats,
  kWatch,
  kUnwatch,
  kCredit,
  kChanges,
  kSave,
  kBackup,
};
inline constexpr size_t kMethods = static_cast<size_t>(Method::kBackup) + 1;

// The name on the wire; "unknown" for kUnknown.
std::string_view MethodName(Method method);
// kUnknown for a name that no method has.
Method MethodByName(std::string_view name);

// Whether the method is about one key, its first param. These can be part of a transaction.
constexpr bool TakesKey(Method method) {
  switch (method) {
    case Method::kSet:
    case Method::kGet:
    case Method::kDelete:
    case Method::kIncrement:
    case Method::kAppend:
    case Method::kPrepend:
    case Method::kTouch:
      return true;
    default:
      return false;
  }
}

// What a well-formed request can meet in normal life.
enum class Outcome : uint8_t {
  kOk,
  kCreated,
  kUpdated,
  kFound,
  kNotFound,
  kUnchanged,
  kDeleted,
  kConflict,
  kCommitted,
  kRejected,
};
constexpr std::string_view OutcomeName(Outcome outcome) {
  switch (outcome) {
    case Outcome::kOk:
      return "ok";
    case Outcome::kCreated:
      return "created";
    case Outcome::kUpdated:
      return "updated";
    case Outcome::kFound:
      return "found";
    case Outcome::kNotFound:
      return "not_found";
    case Outcome::kUnchanged:
      return "unchanged";
    case Outcome::kDeleted:
      return "deleted";
    case Outcome::kConflict:
      return "conflict";
    case Outcome::kCommitted:
      return "committed";
    case Outcome::kRejected:
      return "rejected";
  }
  return "ok";
}

// Positional parameters of any method, its map of options included.
inline constexpr size_t kParamsMax = 3;

// One item of a body. Views the body, which outlives it.
struct Request {
  Method method = Method::kUnknown;
  bool notification = false;
  // Whether the item could be read; kMalformed: it could not, and what follows in the body neither.
  // kUnknownMethod and kInvalidArgument (more params than any method has) are found here too.
  Code error = Code::kOk;
  uint8_t param_count = 0;
  uint32_t msgid = 0;
  std::string_view method_name;
  // The params, undecoded, each one whole msgpack item.
  std::array<std::string_view, kParamsMax> params;
  // Where the item begins in the body.
  const char* begin = nullptr;
  // Of the methods whose first param is a key: its bytes, and its hash as the store has it.
  std::string_view key;
  uint64_t hash = 0;
};

}  // namespace entrepot
