#include "store/store.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "base/random.h"

namespace entrepot {

Store::Store(uint32_t stripes)
    : secret_{RandomUint64(), RandomUint64()},
      stripe_bits_(static_cast<uint32_t>(std::countr_zero(stripes))),
      next_expiry_ms_(new std::atomic<int64_t>[stripes]),
      stripes_(new Stripe[stripes]),
      by_value_(IndexOrder::kByValue),
      by_key_(IndexOrder::kByKey) {
  CHECK(std::has_single_bit(stripes) && stripes >= kStripesMin && stripes <= kStripesMax);
  for (uint32_t i = 0; i < stripes; ++i) next_expiry_ms_[i] = std::numeric_limits<int64_t>::max();
}

void Store::BuildIndex(OrderedIndex* index, Epochs::Participant* participant) {
  const uint8_t bit = index == &by_value_ ? kByValueBit : kByKeyBit;
  index->BeginBuild();
  std::vector<OrderedIndex::Hashed> entries;
  for (uint32_t number = 0; number < stripes(); ++number) {
    Stripe& stripe = stripes_[number];
    SpinLock lock(stripe.mu, LockRank::kStripe, number);
    entries.clear();
    stripe.ForEach([&](Entry* entry) { entries.push_back({Hash(entry->key()), entry}); });
    index->AddFromStripe(entries);
    // From this moment on the stripe's changes go to the queues: nothing is missed, nothing is
    // twice.
    stripe.AddIndex(bit);
  }
  index->FinishBuild(participant);
}

void Store::ExpiredKeys(uint32_t number, int64_t now_ms, std::vector<std::string>* keys) {
  Stripe& stripe = stripes_[number];
  SpinLock lock(stripe.mu, LockRank::kStripe, number);
  stripe.ForEachExpired(now_ms, kExpiryBatch,
                        [&](const Entry* entry) { keys->emplace_back(entry->key()); });
}

Store::Totals Store::CountTotals() {
  Totals totals;
  for (uint32_t number = 0; number < stripes(); ++number) {
    Stripe& stripe = stripes_[number];
    SpinLock lock(stripe.mu, LockRank::kStripe, number);
    totals.entries += stripe.size();
    totals.entry_bytes += stripe.allocated_bytes();
  }
  totals.index_bytes = by_value_.AllocatedBytes() + by_key_.AllocatedBytes();
  return totals;
}

// --- Locked -----------------------------------------------------------------------------------
// Which locks are held is known at run time only, so the compiler's analysis is off for what takes
// and releases them; the ranks of base/mutex.h check the order in debug builds.

Store::Locked::Locked(Store* store, Epochs::Participant* participant,
                      std::span<const uint64_t> hashes) NO_THREAD_SAFETY_ANALYSIS
    : store_(store),
      participant_(participant) {
  for (const uint64_t hash : hashes) stripes_.push_back(store_->StripeNumber(hash));
  if (stripes_.size() > 1) {
    std::sort(stripes_.begin(), stripes_.end());
    stripes_.erase(std::unique(stripes_.begin(), stripes_.end()), stripes_.end());
  }
  for (const uint32_t number : stripes_) {
    store_->stripes_[number].mu.Lock(LockRank::kStripe, number);
  }
}

Store::Locked::~Locked() { Unlock(); }

Entry* Store::Locked::Find(uint64_t hash, std::string_view key) const NO_THREAD_SAFETY_ANALYSIS {
  return store_->StripeOf(hash).Find(hash, key);
}

uint64_t Store::Locked::LastRemoval(uint64_t hash) const NO_THREAD_SAFETY_ANALYSIS {
  return store_->StripeOf(hash).last_removal();
}

void Store::Locked::LockQueues(std::span<const uint64_t> hashes) NO_THREAD_SAFETY_ANALYSIS {
  for (const uint64_t hash : hashes) {
    const uint8_t indexes = store_->StripeOf(hash).indexes();
    const uint32_t partition = OrderedIndex::PartitionOf(hash);
    if ((indexes & kByValueBit) != 0) queues_ |= 1u << partition;
    if ((indexes & kByKeyBit) != 0) queues_ |= 1u << (kPartitions + partition);
  }
  static_assert(2 * kPartitions <= 32);
  for (uint32_t left = queues_; left != 0; left &= left - 1) {
    const uint32_t queue = static_cast<uint32_t>(std::countr_zero(left));
    queue < kPartitions ? store_->by_value_.LockQueue(queue)
                        : store_->by_key_.LockQueue(queue - kPartitions);
  }
}

void Store::Locked::Forget(uint64_t hash, Entry* old, Entry* fresh) NO_THREAD_SAFETY_ANALYSIS {
  const uint8_t indexes = store_->StripeOf(hash).indexes();
  const uint32_t partition = OrderedIndex::PartitionOf(hash);
  // All pins before the first push: who takes the last one away retires the entry.
  if (old != nullptr) {
    if ((indexes & kByValueBit) != 0) old->Pin();
    if ((indexes & kByKeyBit) != 0) old->Pin();
  }
  if ((indexes & kByValueBit) != 0) store_->by_value_.PushLocked(partition, old, fresh);
  if ((indexes & kByKeyBit) != 0) store_->by_key_.PushLocked(partition, old, fresh);
  if (old != nullptr && indexes == 0) {
    participant_->Retire(old, old->allocated_bytes(),
                         [](void* entry) { Entry::Delete(static_cast<Entry*>(entry)); });
  }
}

void Store::Locked::NoteExpiry(uint32_t number) NO_THREAD_SAFETY_ANALYSIS {
  std::atomic<int64_t>& next = store_->next_expiry_ms_[number];
  const int64_t now = store_->stripes_[number].next_expiry_ms();
  if (next.load(std::memory_order_relaxed) != now) next.store(now, std::memory_order_relaxed);
}

void Store::Locked::Put(uint64_t hash, Entry* old, Entry* fresh) NO_THREAD_SAFETY_ANALYSIS {
  const uint32_t number = store_->StripeNumber(hash);
  const bool expiring =
      fresh->expires_at_ms() != 0 || (old != nullptr && old->expires_at_ms() != 0);
  store_->stripes_[number].Put(hash, old, fresh, store_->secret_, participant_);
  if (expiring) NoteExpiry(number);
  Forget(hash, old, fresh);
}

void Store::Locked::Remove(uint64_t hash, Entry* old, uint64_t revision) NO_THREAD_SAFETY_ANALYSIS {
  const uint32_t number = store_->StripeNumber(hash);
  const bool expiring = old->expires_at_ms() != 0;
  store_->stripes_[number].Remove(hash, old, revision);
  if (expiring) NoteExpiry(number);
  Forget(hash, old, nullptr);
}

void Store::Locked::Unlock() NO_THREAD_SAFETY_ANALYSIS {
  for (uint32_t left = queues_; left != 0; left &= left - 1) {
    const uint32_t queue = static_cast<uint32_t>(std::countr_zero(left));
    queue < kPartitions ? store_->by_value_.UnlockQueue(queue)
                        : store_->by_key_.UnlockQueue(queue - kPartitions);
  }
  for (const uint32_t number : stripes_) {
    store_->stripes_[number].mu.Unlock(LockRank::kStripe, number);
  }
  stripes_.clear();
  for (uint32_t left = std::exchange(queues_, 0); left != 0; left &= left - 1) {
    const uint32_t queue = static_cast<uint32_t>(std::countr_zero(left));
    OrderedIndex& index = queue < kPartitions ? store_->by_value_ : store_->by_key_;
    if (index.QueueFull(queue % kPartitions)) index.ApplyQueue(queue % kPartitions, participant_);
  }
}

}  // namespace entrepot
