// What a snapshot holds, item by item: the entries, the sessions of safe retries, and which ordered
// indexes are in use.
//
// Thread safety: functions over bytes.
//
//    item    := entry | session | index                     -- little-endian
//    entry   := 1:u8 version:u64 change                     -- the change that would make it
//    session := 2:u8 high:u64 low:u64 done:u64 (1:u8 retry_outcome)*
//    index   := 3:u8 order:u8
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/byte_buffer.h"
#include "store/change.h"
#include "store/entry.h"

namespace entrepot {

// Persistent: never renumber.
enum class SnapshotItemKind : uint8_t { kEntry = 1, kSession = 2, kIndex = 3 };
static_assert(static_cast<int>(SnapshotItemKind::kIndex) == 3);

struct SnapshotItem {
  SnapshotItemKind kind;
  // kEntry
  uint64_t version = 0;
  Change change;
  // kSession
  uint64_t session_high = 0;
  uint64_t session_low = 0;
  uint64_t done = 0;
  std::vector<RetryOutcome> outcomes;
  // kIndex
  uint8_t order = 0;
};

void AppendEntryItem(ByteBuffer* out, const Entry& entry);
void AppendSessionItem(ByteBuffer* out, uint64_t high, uint64_t low, uint64_t done,
                       const std::vector<RetryOutcome>& outcomes);
void AppendIndexItem(ByteBuffer* out, uint8_t order);

// False where `bytes` are no whole item. The item views them.
bool ReadSnapshotItem(std::string_view bytes, SnapshotItem* item);

}  // namespace entrepot
