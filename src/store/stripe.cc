#include "store/stripe.h"

#include <cstdlib>
#include <limits>
#include <new>

namespace entrepot {

Stripe::Table Stripe::Table::New(uint32_t groups) {
  CHECK(groups <= kGroupsMax);
  Table table{nullptr, groups};
  void* const memory = std::aligned_alloc(64, table.bytes());
  CHECK(memory != nullptr);
  table.slot = static_cast<std::atomic<uint64_t>*>(memory);
  for (uint32_t i = 0; i < table.slots(); ++i) new (&table.slot[i]) std::atomic<uint64_t>(kFree);
  return table;
}

void Stripe::Table::Free(void* slots) { std::free(slots); }

Stripe::~Stripe() {
  SpinLock lock(mu, LockRank::kStripe);
  ForEach([](Entry* entry) { Entry::Delete(entry); });
  Table::Free(LoadTable(std::memory_order_relaxed).slot);
}

void Stripe::PrefetchSlots(uint64_t hash) const {
  const Table table = LoadTable(std::memory_order_acquire);
  if (table.slot != nullptr) __builtin_prefetch(&table.slot[table.HomeOf(hash)]);
}

void Stripe::PrefetchEntry(uint64_t hash) const {
  const Table table = LoadTable(std::memory_order_acquire);
  if (table.slot == nullptr) return;
  const uint32_t home = table.HomeOf(hash);
  for (uint32_t i = home; i < home + kGroup; ++i) {
    const uint64_t slot = table.slot[i].load(std::memory_order_relaxed);
    if (slot == kFree) return;
    if (slot >> 48 == (hash & 0xffff)) __builtin_prefetch(EntryOf(slot));
  }
}

Entry* Stripe::Find(uint64_t hash, std::string_view key) const {
  const Table table = LoadTable(std::memory_order_relaxed);
  if (table.slot == nullptr) return nullptr;
  const uint32_t slots = table.slots();
  for (uint32_t i = table.HomeOf(hash);; i = i + 1 == slots ? 0 : i + 1) {
    const uint64_t slot = table.slot[i].load(std::memory_order_relaxed);
    if (slot == kFree) return nullptr;
    if (slot >> 48 != (hash & 0xffff) || slot == kRemoved) continue;
    Entry* const entry = EntryOf(slot);
    if (entry->key() == key) return entry;
  }
}

std::atomic<uint64_t>* Stripe::FindSlot(uint64_t hash, const Entry* entry) const {
  const Table table = LoadTable(std::memory_order_relaxed);
  const uint32_t slots = table.slots();
  const uint64_t wanted = SlotOf(hash, entry);
  for (uint32_t i = table.HomeOf(hash);; i = i + 1 == slots ? 0 : i + 1) {
    const uint64_t slot = table.slot[i].load(std::memory_order_relaxed);
    if (slot == wanted) return &table.slot[i];
    CHECK(slot != kFree);  // The entry is one of this stripe's.
  }
}

void Stripe::Insert(uint64_t hash, Entry* entry) {
  const Table table = LoadTable(std::memory_order_relaxed);
  const uint32_t slots = table.slots();
  for (uint32_t i = table.HomeOf(hash);; i = i + 1 == slots ? 0 : i + 1) {
    const uint64_t slot = table.slot[i].load(std::memory_order_relaxed);
    if (slot > kRemoved) continue;
    if (slot == kFree) ++used_;
    table.slot[i].store(SlotOf(hash, entry), std::memory_order_release);
    return;
  }
}

void Stripe::Rehash(HashSecret secret, Epochs::Participant* participant) {
  const Table old = LoadTable(std::memory_order_relaxed);
  // Full to 5 of 9 afterwards: it grows by about half each time, and what it wastes is a third.
  const uint32_t groups = (live_ + 1) * 9 / 5 / kGroup + 1;
  StoreTable(Table::New(groups));
  used_ = 0;

  for (uint32_t i = 0; i < old.slots(); ++i) {
    if (i + kGroup < old.slots()) {
      const uint64_t ahead = old.slot[i + kGroup].load(std::memory_order_relaxed);
      if (ahead > kRemoved) __builtin_prefetch(EntryOf(ahead));
    }
    const uint64_t slot = old.slot[i].load(std::memory_order_relaxed);
    if (slot > kRemoved) Insert(HashKey(EntryOf(slot)->key(), secret), EntryOf(slot));
  }
  if (old.slot != nullptr) participant->Retire(old.slot, old.bytes(), Table::Free);
}

void Stripe::Put(uint64_t hash, Entry* old, Entry* fresh, HashSecret secret,
                 Epochs::Participant* participant) {
  entry_bytes_ += fresh->allocated_bytes();
  if (fresh->expires_at_ms() != 0) expiries_.insert({fresh->expires_at_ms(), fresh});
  if (old != nullptr) {
    entry_bytes_ -= old->allocated_bytes();
    if (old->expires_at_ms() != 0) expiries_.erase({old->expires_at_ms(), old});
    FindSlot(hash, old)->store(SlotOf(hash, fresh), std::memory_order_release);
    return;
  }
  const Table table = LoadTable(std::memory_order_relaxed);
  if (table.slot == nullptr || (used_ + 1) * 5 > table.slots() * 4) Rehash(secret, participant);
  Insert(hash, fresh);
  ++live_;
}

void Stripe::Remove(uint64_t hash, Entry* old, uint64_t revision) {
  entry_bytes_ -= old->allocated_bytes();
  if (old->expires_at_ms() != 0) expiries_.erase({old->expires_at_ms(), old});
  std::atomic<uint64_t>* const slot = FindSlot(hash, old);
  // Where the next slot is free no probe goes on from here, so this one may be free too.
  const Table table = LoadTable(std::memory_order_relaxed);
  const uint32_t i = static_cast<uint32_t>(slot - &table.slot[0]);
  const bool ends =
      table.slot[i + 1 == table.slots() ? 0 : i + 1].load(std::memory_order_relaxed) == kFree;
  slot->store(ends ? kFree : kRemoved, std::memory_order_release);
  if (ends) --used_;
  --live_;
  last_removal_ = revision;
}

int64_t Stripe::next_expiry_ms() const {
  return expiries_.empty() ? std::numeric_limits<int64_t>::max() : expiries_.begin()->first;
}

size_t Stripe::allocated_bytes() const {
  const Table table = LoadTable(std::memory_order_relaxed);
  // A node of the tree of expiries is full to two thirds in the long run.
  return entry_bytes_ + (table.slot != nullptr ? AllocatedBytes(table.bytes()) : 0) +
         expiries_.size() * sizeof(std::pair<int64_t, Entry*>) * 3 / 2;
}

}  // namespace entrepot
