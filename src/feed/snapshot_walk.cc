#include "feed/snapshot_walk.h"

namespace entrepot {

void SnapshotWalk::ReadPage(Epochs::Participant* participant, const EventFilter& filter,
                            int64_t now_ms, absl::FunctionRef<uint64_t()> last_revision) {
  DCHECK(!HasPage());
  page_stripe_ = next_stripe_;
  std::vector<const Entry*> entries;
  participant->Enter();
  while (next_stripe_ < store_.stripes() && events_.size() < kFeedSliceBytes) {
    entries.clear();
    store_.ForEachAt(
        next_stripe_, [&](const Entry* entry) { entries.push_back(entry); },
        [&] { instants_.push_back(last_revision()); });
    ++next_stripe_;
    // They do not change, and in this turn they are not freed; so the lock need not be held.
    for (const Entry* entry : entries) {
      if (entry->ExpiredAt(now_ms) || !filter.WantsKey(entry->key())) continue;
      if (filter.query && !filter.query->Matches(entry->value())) continue;
      PackSnapshotEvent(&events_, filter, *entry);
      ends_.push_back(events_.size());
    }
  }
  participant->Leave();
}

uint32_t SnapshotWalk::TakeEvents(uint64_t count, size_t bytes_max, ByteBuffer* out) {
  const size_t begin = taken_ == 0 ? 0 : ends_[taken_ - 1];
  size_t end = begin;
  uint32_t moved = 0;
  while (!AllTaken() && moved < count && end - begin < bytes_max) {
    end = ends_[taken_++];
    ++moved;
  }
  out->Append(events_.view().substr(begin, end - begin));
  return moved;
}

void SnapshotWalk::EndPage() {
  instants_.clear();
  events_ = ByteBuffer();
  ends_.clear();
  taken_ = 0;
}

bool SnapshotWalk::Covers(std::string_view key, uint64_t revision) const {
  const uint32_t stripe = store_.StripeNumber(store_.Hash(key));
  if (stripe >= next_stripe_) return true;
  return HasPage() && stripe >= page_stripe_ && revision <= instants_[stripe - page_stripe_];
}

}  // namespace entrepot
