// Records as the committer makes them, for tests of the feed.
#pragma once

#include <string>
#include <vector>

#include "log/record.h"
#include "store/change.h"

namespace entrepot {

inline std::string ChangeRecord(uint64_t revision, const std::vector<Change>& changes,
                                RecordType type = RecordType::kChange) {
  ByteBuffer payload;
  AppendOutcome(&payload, nullptr);
  for (const Change& change : changes) AppendChange(&payload, change);
  std::string record(RecordBytes(payload.size()), '\0');
  StoreRecordHeader(record.data(), static_cast<uint32_t>(payload.size()), revision, /*term=*/0,
                    /*time_ms=*/1, type);
  payload.view().copy(record.data() + kRecordHeaderBytes, payload.size());
  return record;
}

}  // namespace entrepot
