// The parts that results have in common: outcomes, versions, values, the map of one operation.
//
// Inline, because a `get` and a `set` consist of little else.
//
// Thread safety: pure functions.
#pragma once

#include <cstdint>
#include <variant>

#include "base/msgpack.h"
#include "engine/operation.h"
#include "engine/retries.h"
#include "protocol/encoder.h"
#include "protocol/message.h"

namespace entrepot {

// Bytes of a response besides the values in it: its head, the names and numbers of a result.
constexpr size_t kResponseOverhead = 256;

inline void PackNumber(ByteBuffer* out, const Number& number) {
  if (const auto* const integer = std::get_if<int64_t>(&number)) {
    PackSigned(out, *integer);
  } else {
    PackFloat(out, std::get<double>(number));
  }
}

// Inlined always: where the outcome is known when compiled, it is stores of constants.
[[gnu::always_inline]] inline void PackOutcome(ByteBuffer* out, Outcome outcome) {
  PackName(out, "status");
  PackString(out, OutcomeName(outcome));
}

inline void PackVersion(ByteBuffer* out, uint64_t version) {
  PackName(out, "version");
  PackUnsigned(out, version);
}

// The value of an entry below a lock: copied, or referred to where it is a block.
inline void AppendValue(Reply* reply, const Entry& entry) {
  if (ValueBlock* const block = entry.block(); block != nullptr) {
    reply->AppendBlock(BlockRef(block));
  } else {
    reply->bytes().Append(entry.value());
  }
}

inline void AppendValue(Reply* reply, ValueCopy* value) {
  if (value->has_block()) {
    reply->AppendBlock(value->TakeBlock());
  } else {
    reply->bytes().Append(value->bytes());
  }
}

// The map of one operation's result.
inline void AppendResult(Reply* reply, OperationResult* result) {
  ByteBuffer* const out = &reply->bytes();
  const bool value = result->value || result->number;
  PackMap(out, 2u + (value ? 1 : 0) + (result->previous_version ? 1 : 0) +
                   (result->ttl_ms ? 1 : 0) + (result->length ? 1 : 0));
  PackOutcome(out, result->outcome);
  PackVersion(out, result->version);
  if (result->number) {
    PackName(out, "value");
    PackNumber(out, *result->number);
  } else if (result->value) {
    PackName(out, "value");
    AppendValue(reply, &*result->value);
  }
  if (result->previous_version) {
    PackName(out, "previous_version");
    PackUnsigned(out, *result->previous_version);
  }
  if (result->ttl_ms) {
    PackName(out, "ttl_ms");
    PackSigned(out, *result->ttl_ms);
  }
  if (result->length) {
    PackName(out, "length");
    PackUnsigned(out, *result->length);
  }
}

// The result of a write that has run before; `outcome` is what was kept of it.
void PackReplay(ByteBuffer* out, Method method, const RetryOutcome& outcome);

}  // namespace entrepot
