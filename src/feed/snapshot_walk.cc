#include "feed/snapshot_walk.h"

#include <algorithm>

namespace entrepot {

namespace {

// Stripes of a page: an empty store has as many as a full one, and their instants take memory.
constexpr size_t kStripesOfPage = 512;

}  // namespace

void SnapshotWalk::ReadPage(Epochs::Participant* participant, const EventFilter& filter,
                            int64_t now_ms, absl::FunctionRef<uint64_t()> last_revision) {
  DCHECK(!HasPage() && !at_end_);
  first_hash_ = next_hash_;
  std::vector<const Entry*> entries;
  // In this turn entries are not freed, and they do not change; so the lock need not be held.
  participant->Enter();
  for (uint32_t stripe = store_.StripeNumber(first_hash_);; ++stripe) {
    entries.clear();
    store_.ForEachAt(
        stripe, [&](const Entry* entry) { entries.push_back(entry); },
        [&] { instants_.push_back(last_revision()); });
    if (!AddStripe(stripe, &entries, filter, now_ms)) break;
    at_end_ = stripe + 1 == store_.stripes();
    if (at_end_) break;
    next_hash_ = store_.FirstHash(stripe + 1);
    if (events_.size() >= kFeedSliceBytes || instants_.size() == kStripesOfPage) break;
  }
  participant->Leave();
}

bool SnapshotWalk::AddStripe(uint32_t stripe, std::vector<const Entry*>* entries,
                             const EventFilter& filter, int64_t now_ms) {
  std::vector<std::pair<uint64_t, const Entry*>> wanted;
  for (const Entry* entry : *entries) {
    if (entry->ExpiredAt(now_ms) || !filter.WantsKey(entry->key())) continue;
    if (filter.query && !filter.query->Matches(entry->value())) continue;
    const uint64_t hash = store_.Hash(entry->key());
    DCHECK(store_.StripeNumber(hash) == stripe);
    if (hash >= first_hash_) wanted.emplace_back(hash, entry);
  }
  std::sort(wanted.begin(), wanted.end());
  for (const auto& [hash, entry] : wanted) {
    if (events_.size() >= kFeedSliceBytes && hash != page_.back().hash) {
      next_hash_ = hash;
      return false;
    }
    PackSnapshotEvent(&events_, filter, *entry);
    page_.push_back({hash, events_.size()});
  }
  return true;
}

uint32_t SnapshotWalk::TakeEvents(uint64_t count, size_t bytes_max, ByteBuffer* out) {
  const size_t first = taken_;
  const size_t begin = first == 0 ? 0 : page_[first - 1].end;
  size_t end = begin;
  while (!AllTaken() && ((taken_ - first < count && end - begin < bytes_max) ||
                         (taken_ > 0 && page_[taken_].hash == page_[taken_ - 1].hash))) {
    end = page_[taken_++].end;
  }
  const uint32_t moved = static_cast<uint32_t>(taken_ - first);
  out->Append(events_.view().substr(begin, end - begin));
  if (AllTaken()) ForgetEvents();
  return moved;
}

void SnapshotWalk::ForgetEvents() {
  events_ = ByteBuffer();
  std::vector<PageEvent>().swap(page_);
  taken_ = 0;
}

void SnapshotWalk::Cut() {
  if (AllTaken()) return;
  next_hash_ = page_[taken_].hash;
  at_end_ = false;
  instants_.resize(store_.StripeNumber(next_hash_) - store_.StripeNumber(first_hash_) + 1);
  ForgetEvents();
}

void SnapshotWalk::EndPage() {
  DCHECK(AllTaken());
  instants_.clear();
  ForgetEvents();
}

bool SnapshotWalk::Covers(std::string_view key, uint64_t revision) const {
  const uint64_t hash = store_.Hash(key);
  if (!at_end_ && hash >= next_hash_) return true;
  if (!HasPage() || hash < first_hash_) return false;
  return revision <= instants_[store_.StripeNumber(hash) - store_.StripeNumber(first_hash_)];
}

}  // namespace entrepot
