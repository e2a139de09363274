// A store as small as it can be, for tests of the ordered index: a map in stripes, and writes that
// take their locks in the order of the real one. It remembers every change with its revision, so
// that a test can say what the store was at any revision.
//
// Thread safety: as the store's; History() when no writer runs.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/hash.h"
#include "base/mutex.h"
#include "store/epoch.h"
#include "store/ordered_index.h"

namespace entrepot {

class IndexedEntries {
 public:
  struct Change {
    std::string key;
    std::optional<std::string> value;  // Encoded; nothing: deleted.
  };

  IndexedEntries() = default;
  ~IndexedEntries() {
    for (Stripe& stripe : stripes_) {
      for (const auto& [key, entry] : stripe.entries) Entry::Delete(entry);
    }
  }

  Epochs& epochs() { return epochs_; }
  OrderedIndex& index(IndexOrder order) {
    return order == IndexOrder::kByValue ? by_value_ : by_key_;
  }

  void Set(std::string_view key, std::string_view value, Epochs::Participant* participant) {
    Write(key, Entry::New(key, value, 0), participant);
  }
  // Nothing happens when there is no such key.
  void Delete(std::string_view key, Epochs::Participant* participant) {
    Write(key, nullptr, participant);
  }

  // Builds the index while others write.
  void Build(IndexOrder order, Epochs::Participant* participant) {
    OrderedIndex& index = this->index(order);
    index.BeginBuild();
    for (uint32_t number = 0; number < kStripes; ++number) {
      Stripe& stripe = stripes_[number];
      SpinLock lock(stripe.mu, LockRank::kStripe, number);
      std::vector<OrderedIndex::Hashed> entries;
      for (const auto& [key, entry] : stripe.entries) entries.push_back({Hash(key), entry});
      index.AddFromStripe(entries);
      stripe.indexed[static_cast<size_t>(order)] = true;
    }
    index.FinishBuild(participant);
  }

  // May be called while queues are locked.
  uint64_t LastRevision() {
    commit_mu_.Lock(LockRank::kCommit);
    const uint64_t revision = history_.size();
    commit_mu_.Unlock(LockRank::kCommit);
    return revision;
  }
  // The change of revision r stands at r - 1.
  const std::vector<Change>& History() const NO_THREAD_SAFETY_ANALYSIS { return history_; }

 private:
  static constexpr uint32_t kStripes = 16;

  struct alignas(64) Stripe {
    SpinMutex mu;
    std::unordered_map<std::string, Entry*> entries;
    std::array<bool, 2> indexed = {};  // By IndexOrder.
  };

  static uint64_t Hash(std::string_view key) { return HashKey(key, {1, 2}); }

  // The queues that are locked depend on the stripe, which the compiler's analysis cannot follow.
  void Write(std::string_view key, Entry* fresh,
             Epochs::Participant* participant) NO_THREAD_SAFETY_ANALYSIS {
    const uint64_t hash = Hash(key);
    const uint32_t partition = OrderedIndex::PartitionOf(hash);
    const uint32_t number = hash % kStripes;
    Stripe& stripe = stripes_[number];
    stripe.mu.Lock(LockRank::kStripe, number);
    const auto found = stripe.entries.find(std::string(key));
    Entry* const old = found != stripe.entries.end() ? found->second : nullptr;
    if (old == nullptr && fresh == nullptr) return stripe.mu.Unlock(LockRank::kStripe, number);

    std::vector<OrderedIndex*> indexes;
    if (stripe.indexed[0]) indexes.push_back(&by_value_);
    if (stripe.indexed[1]) indexes.push_back(&by_key_);
    if (old != nullptr) {
      for (size_t i = 0; i < indexes.size(); ++i) old->Pin();
    }
    for (OrderedIndex* const index : indexes) index->LockQueue(partition);
    commit_mu_.Lock(LockRank::kCommit);
    history_.push_back({std::string(key), std::nullopt});
    if (fresh != nullptr) {
      history_.back().value = fresh->value();
      fresh->set_version(history_.size());
    }
    commit_mu_.Unlock(LockRank::kCommit);
    for (OrderedIndex* const index : indexes) index->PushLocked(partition, old, fresh);
    for (OrderedIndex* const index : indexes) index->UnlockQueue(partition);

    if (fresh == nullptr) {
      stripe.entries.erase(found);
    } else {
      stripe.entries[std::string(key)] = fresh;
    }
    if (old != nullptr && indexes.empty()) {
      participant->Retire(old, old->allocated_bytes(),
                          [](void* entry) { Entry::Delete(static_cast<Entry*>(entry)); });
    }
    stripe.mu.Unlock(LockRank::kStripe, number);
    for (OrderedIndex* const index : indexes) {
      if (index->QueueFull(partition)) index->ApplyQueue(partition, participant);
    }
  }

  Epochs epochs_;
  std::array<Stripe, kStripes> stripes_;
  OrderedIndex by_value_{IndexOrder::kByValue};
  OrderedIndex by_key_{IndexOrder::kByKey};
  SpinMutex commit_mu_;
  std::vector<Change> history_ GUARDED_BY(commit_mu_);
};

}  // namespace entrepot
