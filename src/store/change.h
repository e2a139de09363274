// A change: what happened to one key, as it stands in the log and is told to watchers.
//
// A record's payload holds the changes of one write or transaction, and the outcome of a safe retry
// where the write was one. Changes are outcomes, never operations: an increment logs its sum.
//
// Thread safety: functions over bytes.
//
//    payload  := outcome_flag:u8 [retry_outcome] change*          -- little-endian
//    retry_outcome := session_high:u64 session_low:u64 number:u64 done:u64
//                     version:u64 extra:u64 outcome:u8 extra_kind:u8
//    change   := op:u8 cause:u8 key_bytes:u16 value_bytes:u32 previous_version:u64
//                expires_at:u64 key value
#pragma once

#include <cstdint>
#include <string_view>

#include "base/byte_buffer.h"
#include "base/coding.h"

namespace entrepot {

// Persistent: never renumber.
enum class ChangeOp : uint8_t { kSet = 1, kDelete = 2, kTouch = 3 };
// Persistent: never renumber.
enum class Cause : uint8_t { kClient = 1, kTransaction = 2, kExpired = 3, kEvicted = 4 };
static_assert(static_cast<int>(ChangeOp::kTouch) == 3 && static_cast<int>(Cause::kEvicted) == 4);

// As events on the wire and the dump of a data folder call them.
std::string_view NameOf(ChangeOp op);
std::string_view NameOf(Cause cause);

struct Change {
  ChangeOp op;
  Cause cause;
  std::string_view key;
  std::string_view value;         // Of kSet: the msgpack encoding.
  uint64_t previous_version = 0;  // 0: the key had no entry.
  int64_t expires_at_ms = 0;      // 0: never.
};

// What a safe retry is answered with when it comes again.
struct RetryOutcome {
  // Persistent: never renumber. What `extra` holds.
  enum class Extra : uint8_t {
    kNone = 0,
    kUnsigned = 1,  // increment's value
    kNegative = 2,  // the same, two's complement
    kFloat = 3,     // the same, its bits
    kLength = 4,    // append, prepend
    kDeleted = 5,   // delete_prefix: the count, and there is no more
    kDeletedMore = 6,
  };
  uint64_t session_high = 0;
  uint64_t session_low = 0;
  uint64_t number = 0;
  uint64_t done = 0;
  uint64_t version = 0;
  uint64_t extra = 0;
  uint8_t outcome = 0;  // protocol's Outcome
  Extra extra_kind = Extra::kNone;
};

inline constexpr size_t kChangeHeaderBytes = 24;
inline constexpr size_t kRetryOutcomeBytes = 50;

inline size_t ChangeBytes(const Change& change) {
  return kChangeHeaderBytes + change.key.size() + change.value.size();
}

void AppendChange(ByteBuffer* out, const Change& change);
// Takes the first change off `payload`; false where it is not whole or names what does not exist.
bool TakeChange(std::string_view* payload, Change* change);

void AppendOutcome(ByteBuffer* out, const RetryOutcome* outcome);
// Takes the flag and the outcome, if there is one, off `payload`; false where they are not whole.
bool TakeOutcome(std::string_view* payload, RetryOutcome* outcome, bool* present);

}  // namespace entrepot
