#include "feed/publisher.h"

#include "base/limits.h"
#include "feed/event.h"
#include "protocol/encoder.h"

namespace entrepot {

bool Publisher::Advance(Publications* publications) {
  const EventFilter everything;
  const auto never = [](std::string_view, uint64_t, const Query&) { return false; };
  const auto publish = [&](const Record& record) {
    ForEachChange(record, [&](const Change& change) {
      publications->Add(change.key, [&](ByteBuffer* out) {
        PackEvent(out, everything, change, record.revision, never);
      });
    });
    return true;
  };
  const Ring::Outcome outcome = ring_.Read(&cursor_, UINT64_MAX, kFeedSliceBytes, publish);
  if (outcome == Ring::Outcome::kLost) {
    const uint64_t newest = ring_.newest();
    skipped_ += newest - cursor_.revision();
    cursor_ = Ring::Cursor(newest);
  }
  return outcome == Ring::Outcome::kMore;
}

void Publisher::AddHeartbeat(std::string_view history, Publications* publications) const {
  publications->Add("$heartbeat", [&](ByteBuffer* out) {
    PackMap(out, 2);
    PackName(out, "history");
    PackString(out, history);
    PackName(out, "version");
    PackUnsigned(out, cursor_.revision());
  });
}

}  // namespace entrepot
