// A transaction: conditions, and the operations to run when they hold or when they do not.
//
// Thread safety: values; they view the request.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "engine/operation.h"

namespace entrepot {

struct Condition {
  enum class Field : uint8_t { kVersion, kExists, kValue };
  enum class Comparison : uint8_t { kEqual, kNotEqual, kLess, kGreater };

  std::string_view key;
  uint64_t hash = 0;
  Field field = Field::kVersion;
  Comparison comparison = Comparison::kEqual;
  uint64_t version = 0;    // Of kVersion.
  bool exists = false;     // Of kExists.
  std::string_view value;  // Of kValue: a msgpack item.

  // Whether it holds for the entry of its key (null: there is none).
  bool Holds(const Entry* live) const;
};

struct Transaction {
  std::vector<Condition> conditions;
  // A key is written at most once in each.
  std::vector<Operation> then_operations;
  std::vector<Operation> else_operations;
};

struct TransactionResult {
  Outcome outcome = Outcome::kCommitted;
  uint64_t version = 0;
  // One for each operation that ran, in order. Where a conflict undid the branch, up to that
  // conflict, and `undone` is set: writes before it have no effect and nothing to tell.
  std::vector<OperationResult> results;
  bool undone = false;
};

}  // namespace entrepot
