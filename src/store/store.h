// The store: entries by key in lock-striped tables, and two ordered indexes over them.
//
// It knows what is, not why: conditions, revisions and the log are the engine's, which reads and
// writes below the locks that this class takes in the one order allowed: stripes ascending, then
// queues of the indexes ascending. Trees of the indexes are taken only while no stripe is held.
//
//    key ─hash─▶ stripe (lock, table, expiries) ─▶ entry ◀─ ordered index by value, by key
//
// Thread safety: any thread; each passes the Participant that is its own, inside of a turn.
//
// Invariants:
//  1. An entry is in the table of its stripe, or it is retired, or pinned by an index that is about
//  to
//     forget it.
//  2. An index that is ready holds, with what is in its queues, exactly the entries of the tables.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <absl/container/inlined_vector.h>

#include "base/hash.h"
#include "store/epoch.h"
#include "store/ordered_index.h"
#include "store/stripe.h"

namespace entrepot {

class Store {
 public:
  class Locked;

  // `stripes` is a power of two, at most kStripesMax.
  explicit Store(uint32_t stripes);
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  Epochs& epochs() { return epochs_; }
  uint64_t Hash(std::string_view key) const { return HashKey(key, secret_); }
  uint32_t stripes() const { return 1u << stripe_bits_; }

  // Hints to the processor, before Read(): each for all keys of a batch before the next.
  void PrefetchStripe(uint64_t hash) const { StripeOf(hash).Prefetch(); }
  void PrefetchSlots(uint64_t hash) const { StripeOf(hash).PrefetchSlots(hash); }
  void PrefetchEntry(uint64_t hash) const { StripeOf(hash).PrefetchEntry(hash); }

  // Calls function(entry or null, revision of the stripe's last removal) below the stripe's lock.
  template <typename Function>
  void Read(uint64_t hash, std::string_view key, Function function) {
    const uint32_t number = StripeNumber(hash);
    Stripe& stripe = stripes_[number];
    SpinLock lock(stripe.mu, LockRank::kStripe, number);
    function(static_cast<const Entry*>(stripe.Find(hash, key)), stripe.last_removal());
  }

  // Calls function(entry) for each entry of a stripe, below its lock.
  template <typename Function>
  void ForEach(uint32_t number, Function function) {
    Stripe& stripe = stripes_[number];
    SpinLock lock(stripe.mu, LockRank::kStripe, number);
    stripe.ForEach(function);
  }

  // The same; then calls `end`, below the lock still.
  template <typename Function, typename End>
  void ForEachAt(uint32_t number, Function function, End end) {
    Stripe& stripe = stripes_[number];
    SpinLock lock(stripe.mu, LockRank::kStripe, number);
    stripe.ForEach(function);
    end();
  }
  // The stripe that a hash belongs to; stripes follow the order of hashes.
  uint32_t StripeNumber(uint64_t hash) const {
    return static_cast<uint32_t>(hash >> 32) >> (32 - stripe_bits_);
  }
  // The lowest hash of those that belong to stripe `number`.
  uint64_t FirstHash(uint32_t number) const { return uint64_t{number} << (64 - stripe_bits_); }

  OrderedIndex& by_value() { return by_value_; }
  OrderedIndex& by_key() { return by_key_; }
  // Builds `index`, one of the two, while others write. Once, by one thread.
  void BuildIndex(OrderedIndex* index, Epochs::Participant* participant);

  // Whether entries of the stripe are expired at `now_ms`, as far as is known without its lock.
  bool MayHaveExpired(uint32_t number, int64_t now_ms) const {
    return next_expiry_ms_[number].load(std::memory_order_relaxed) <= now_ms;
  }
  // Copies the keys of at most kExpiryBatch expired entries of the stripe to `keys`.
  void ExpiredKeys(uint32_t number, int64_t now_ms, std::vector<std::string>* keys);

  struct Totals {
    uint64_t entries = 0;
    uint64_t entry_bytes = 0;  // Entries and tables, as the allocator counts them.
    uint64_t index_bytes = 0;
  };
  // Walks the stripes: not one instant.
  Totals CountTotals();

 private:
  const Stripe& StripeOf(uint64_t hash) const { return stripes_[StripeNumber(hash)]; }
  static constexpr uint8_t kByValueBit = 1;
  static constexpr uint8_t kByKeyBit = 2;

  // Constant after construction.
  const HashSecret secret_;
  const uint32_t stripe_bits_;

  // Synchronise themselves. The epochs go last: entries are retired until then.
  Epochs epochs_;
  std::unique_ptr<std::atomic<int64_t>[]> next_expiry_ms_;
  std::unique_ptr<Stripe[]> stripes_;
  OrderedIndex by_value_;
  OrderedIndex by_key_;
};

// Some stripes, held together: a transaction's view, or a single write's.
//
// In this order: Find() as often as needed; LockQueues(); Put() and Remove(); Unlock().
class Store::Locked {
 public:
  // Locks the stripes of `hashes`, each once, ascending.
  Locked(Store* store, Epochs::Participant* participant, std::span<const uint64_t> hashes);
  // Unlocks, if that has not been done.
  ~Locked();
  Locked(const Locked&) = delete;
  Locked& operator=(const Locked&) = delete;

  // The entry of a key in one of these stripes; null: none. An expired one is found like any other.
  Entry* Find(uint64_t hash, std::string_view key) const;
  uint64_t LastRemoval(uint64_t hash) const;

  // Locks the queues that changes of `hashes` go to, so that the moment at which a revision is
  // given is the moment at which the indexes have the change.
  void LockQueues(std::span<const uint64_t> hashes);
  // Puts `fresh`, which has its version, in the place of `old`, which Find() gave.
  void Put(uint64_t hash, Entry* old, Entry* fresh);
  // Takes `old` out; `revision` is that of its removal.
  void Remove(uint64_t hash, Entry* old, uint64_t revision);

  // Lets go of all; then applies queues that this write has filled.
  void Unlock();

 private:
  void Forget(uint64_t hash, Entry* old, Entry* fresh);
  void NoteExpiry(uint32_t number);

  Store* const store_;
  Epochs::Participant* const participant_;
  absl::InlinedVector<uint32_t, 4> stripes_;  // Ascending.
  uint32_t queues_ = 0;                       // Bits: the partitions by value, then those by key.
};

}  // namespace entrepot
