// What the single-key methods mean: an operation meets the entry of its key and gives an outcome,
// and what the key is to hold afterwards.
//
// It knows no lock, no log and no wire: the engine runs it below the stripe's lock, alone or as a
// part of a transaction.
//
// Thread safety: an Operation belongs to one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/limits.h"
#include "base/status.h"
#include "base/value_block.h"
#include "protocol/message.h"
#include "store/change.h"
#include "store/entry.h"

namespace entrepot {

// A number as increment takes and makes it.
using Number = std::variant<int64_t, double>;

// One of get, set, delete, increment, append, prepend, touch, with its options as the specification
// names them. Views the request.
struct Operation {
  Method method = Method::kGet;
  std::string_view key;
  uint64_t hash = 0;

  std::string_view value;  // set: the msgpack item. append, prepend: one too, a str or bin.
  Number by = int64_t{0};
  Number initial = int64_t{0};
  std::optional<Number> min;
  std::optional<Number> max;

  int64_t ttl_ms = 0;         // 0: none.
  int64_t expires_at_ms = 0;  // 0: none.
  bool keep_ttl = false;
  bool if_absent = false;
  bool if_present = false;
  bool previous = false;
  std::optional<uint64_t> if_version;
  std::optional<uint64_t> unless_version;

  bool IsWrite() const { return method != Method::kGet; }
};

// A value taken from an entry, to be told after the lock is gone.
class ValueCopy {
 public:
  void CopyFrom(const Entry& entry);
  std::string_view bytes() const { return block_.get() != nullptr ? block_.bytes() : small_; }
  // The block of a large value, or null; it is moved out.
  BlockRef TakeBlock() { return std::move(block_); }
  bool has_block() const { return block_.get() != nullptr; }

 private:
  std::string small_;
  BlockRef block_;
};

// What one operation is answered with: the fields of its result.
struct OperationResult {
  Outcome outcome = Outcome::kOk;
  // The version to tell. kNewVersion: that of the commit which is to follow.
  static constexpr uint64_t kNewVersion = ~uint64_t{0};
  uint64_t version = 0;
  std::optional<ValueCopy> value;            // get; a conflict; `previous`.
  std::optional<uint64_t> previous_version;  // Where `previous` was asked for.
  std::optional<int64_t> ttl_ms;             // get of an entry that expires.
  std::optional<Number> number;              // increment.
  std::optional<uint64_t> length;            // append, prepend.
};

// What the key is to hold: nothing new, a fresh entry (owned by who called), or no entry.
struct Effect {
  enum Kind : uint8_t { kNone, kPut, kRemove } kind = kNone;
  ChangeOp op = ChangeOp::kSet;
  Entry* fresh = nullptr;
};

// The entry that a `set` without keep_ttl makes, before any lock is taken; null for the rest.
Entry* PrepareEntry(const Operation& operation, int64_t now_ms);

// Runs `operation`, a write, against `live`: the entry of its key, null where there is none or it
// has expired at `now_ms`. `prepared` is what PrepareEntry() gave: it is in `effect` afterwards, or
// still the caller's. Errors: kWrongType, kTooLarge; then there is no effect.
Status RunWrite(const Operation& operation, const Entry* live, Entry* prepared, int64_t now_ms,
                const Limits& limits, OperationResult* result, Effect* effect);

// Runs a `get` the same way, for a transaction. (The get on its own copies nothing, see
// Engine::Get.)
void RunGet(const Operation& operation, const Entry* live, int64_t now_ms, OperationResult* result);

// The time at which what `operation` makes is to expire; 0: never.
int64_t ExpiryOf(const Operation& operation, int64_t now_ms);

}  // namespace entrepot
