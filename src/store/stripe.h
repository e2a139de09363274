// A stripe: one of the thousands of small hash tables that the store consists of, with its lock,
// the expiry times of its entries, and its account of memory.
//
// The table is open addressing over groups of 8 slots, one cache line each: a look-up reads the
// group that the hash names, then the next ones up to a free slot. Not chaining, which would touch
// one line more, and not one big table, whose growth would stall everybody.
//
// Thread safety: everything but the Prefetch calls needs mu, with rank kStripe and the number of
// the stripe as sequence. Those only give hints; they may read a table that was replaced, so they
// are called within an epoch, by which it is freed.
//
// Invariants:
//  1. At most 4 of 5 slots are not free, so that every probe ends.
//  2. An entry's place does not move while its table lives.
//
//    slot := free (0) | removed (1) | tag:16 entry:48       tag := the hash's low 16 bits
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>
#include <utility>

#include <absl/container/btree_set.h>

#include "base/hash.h"
#include "base/mutex.h"
#include "store/entry.h"
#include "store/epoch.h"

namespace entrepot {

class alignas(64) Stripe {
 public:
  Stripe() = default;
  // Frees the entries. Nobody uses the stripe any more.
  ~Stripe();
  Stripe(const Stripe&) = delete;
  Stripe& operator=(const Stripe&) = delete;

  SpinMutex mu;

  // Hints, each of which needs what the one before it has fetched.
  void Prefetch() const { __builtin_prefetch(this); }
  void PrefetchSlots(uint64_t hash) const;
  void PrefetchEntry(uint64_t hash) const;

  // Null where there is none. An expired entry is found like any other.
  Entry* Find(uint64_t hash, std::string_view key) const REQUIRES(mu);

  // Puts `fresh` in the place of `old`, which is what Find() gave for its key (null: none).
  // The old entry is the caller's.
  void Put(uint64_t hash, Entry* old, Entry* fresh, HashSecret secret,
           Epochs::Participant* participant) REQUIRES(mu);
  // Takes `old`, which Find() gave, out; it is the caller's. `revision` is that of the removal.
  void Remove(uint64_t hash, Entry* old, uint64_t revision) REQUIRES(mu);

  // Calls function(entry) for up to `count` entries that are expired at `now_ms`, oldest first.
  template <typename Function>
  void ForEachExpired(int64_t now_ms, uint32_t count, Function function) const REQUIRES(mu) {
    for (auto at = expiries_.begin(); at != expiries_.end() && at->first <= now_ms && count > 0;
         ++at, --count) {
      function(at->second);
    }
  }
  // When the next entry expires; INT64_MAX: none ever does.
  int64_t next_expiry_ms() const REQUIRES(mu);

  // Every entry, in no order.
  template <typename Function>
  void ForEach(Function function) const REQUIRES(mu) {
    const Table table = LoadTable(std::memory_order_relaxed);
    for (uint32_t i = 0; i < table.slots(); ++i) {
      const uint64_t slot = table.slot[i].load(std::memory_order_relaxed);
      if (slot > kRemoved) function(EntryOf(slot));
    }
  }

  uint32_t size() const REQUIRES(mu) { return live_; }
  // The revision of the last removal: a reader that finds nothing has seen it.
  uint64_t last_removal() const REQUIRES(mu) { return last_removal_; }
  // Of entries and table, as the allocator counts it.
  size_t allocated_bytes() const REQUIRES(mu);

  // Which ordered indexes have taken this stripe's entries over, so that its changes go to their
  // queues: bit 0 by value, bit 1 by key.
  uint8_t indexes() const REQUIRES(mu) { return indexes_; }
  void AddIndex(uint8_t bit) REQUIRES(mu) { indexes_ |= bit; }

 private:
  static constexpr uint64_t kFree = 0;
  static constexpr uint64_t kRemoved = 1;
  static constexpr uint32_t kGroup = 8;

  // A table: where its groups are, and how many. Both stand in one word, so that who has no lock
  // reads a pair that belongs together, from a line that it has anyway.
  struct Table {
    std::atomic<uint64_t>* slot = nullptr;
    uint32_t groups = 0;

    uint32_t slots() const { return groups * kGroup; }
    uint32_t HomeOf(uint64_t hash) const {
      return static_cast<uint32_t>(((hash >> 16 & 0xffffffff) * groups) >> 32) * kGroup;
    }
    size_t bytes() const { return size_t{slots()} * sizeof(uint64_t); }
    static Table New(uint32_t groups);
    static void Free(void* slots);
  };
  // Groups are lines of 64 bytes, so 6 bits of the pointer are free, and 16 above it.
  static constexpr uint32_t kGroupsMax = (1u << 22) - 1;

  Table LoadTable(std::memory_order order) const {
    const uint64_t packed = table_.load(order);
    return {reinterpret_cast<std::atomic<uint64_t>*>(packed & 0xffff'ffff'ffc0),
            static_cast<uint32_t>(packed >> 48 << 6 | (packed & 0x3f))};
  }
  void StoreTable(Table table) {
    table_.store(reinterpret_cast<uint64_t>(table.slot) | uint64_t{table.groups} >> 6 << 48 |
                     (table.groups & 0x3f),
                 std::memory_order_release);
  }
  static Entry* EntryOf(uint64_t slot) { return reinterpret_cast<Entry*>(slot & 0xffff'ffff'ffff); }
  static uint64_t SlotOf(uint64_t hash, const Entry* entry) {
    return hash << 48 | reinterpret_cast<uint64_t>(entry);
  }
  std::atomic<uint64_t>* FindSlot(uint64_t hash, const Entry* entry) const;
  void Insert(uint64_t hash, Entry* entry) REQUIRES(mu);
  void Rehash(HashSecret secret, Epochs::Participant* participant) REQUIRES(mu);

  uint8_t indexes_ GUARDED_BY(mu) = 0;
  uint32_t live_ GUARDED_BY(mu) = 0;
  uint32_t used_ GUARDED_BY(mu) = 0;  // Slots that are not free.
  std::atomic<uint64_t> table_{0};
  uint64_t last_removal_ GUARDED_BY(mu) = 0;
  size_t entry_bytes_ GUARDED_BY(mu) = 0;
  absl::btree_set<std::pair<int64_t, Entry*>> expiries_ GUARDED_BY(mu);
};
static_assert(sizeof(Stripe) == 64, "one lock on a cache line of its own");

}  // namespace entrepot
