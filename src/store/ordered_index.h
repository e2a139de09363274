// An ordered index of the store's entries, by (value, key) or by key, that is never behind.
//
// Not a tree under one lock: writers would wait for pages and for each other. The index has
// kPartitions partitions chosen by the key's hash, each a tree and a queue of changes
// (store/index_partition.h). A page locks them all, so it is the exact answer of one instant.
//
// Order of locks: trees ascending, then stripes, then queues ascending, then the commit queue. A
// writer that holds a stripe locks queues only; nobody who holds a stripe takes a tree.
//
// Thread safety: any thread, except where a call says more. A participant that is passed in is the
// caller's, inside a turn.
//
// A write:   hold the stripe; old_entry->Pin(); LockQueue(p); give the revision;
//            PushLocked(p, old_entry, new_entry); UnlockQueue(p); release the stripe;
//            if (QueueFull(p)) ApplyQueue(p, participant);
// Building:  BeginBuild(); for each stripe, under its lock: AddFromStripe() with all of its
// entries,
//            and from then on write as above; then FinishBuild(participant).
//
//   auto page = index.ReadPage({IndexRange::WithPrefix("blue"), Direction::kAscending},
//   participant,
//                              [&] { revision = store.LastRevision(); },
//                              [&](const Entry& entry) { …; return OrderedIndex::Visit::kContinue;
//                              });
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <absl/functional/function_ref.h>
#include "base/limits.h"
#include "store/epoch.h"
#include "store/index_partition.h"
#include "store/index_range.h"

namespace entrepot {

class OrderedIndex {
 public:
  // Among locks of one rank, those of the index by value come before those of the index by key, so
  // that a writer can hold queues of both.
  explicit OrderedIndex(IndexOrder order);

  IndexOrder order() const { return order_; }

  // The bits used are not those that choose the stripe, of which there are at most kStripesMax.
  static uint32_t PartitionOf(uint64_t hash) {
    return static_cast<uint32_t>(hash >> 16) % kPartitions;
  }

  // --- Writers -------------------------------------------------------------------------------
  // The caller holds the stripe of the key. An index that is not used yet takes no changes.

  void LockQueue(uint32_t partition);
  void UnlockQueue(uint32_t partition);
  // Between the two. Either entry may be null, not both; the old one was pinned (Entry::Pin) once
  // for this index.
  void PushLocked(uint32_t partition, Entry* old_entry, Entry* new_entry);

  // Asked by a writer that has released its stripes. If so, it calls ApplyQueue().
  bool QueueFull(uint32_t partition) const { return partitions_[partition]->QueueFull(); }
  // Applies what is queued; waits for pages that hold the tree. Holding no stripe.
  void ApplyQueue(uint32_t partition, Epochs::Participant* participant);

  // Applies the queues that a turn has filled, where nobody has the tree: so a page seldom finds
  // much to apply. Holding no stripe.
  void ApplyQueuesAfterTurn(Epochs::Participant* participant);

  // Applies every queue whose oldest change was there at the previous call already. Called every
  // kQueueAgeMs by one thread, it bounds how long an entry that was replaced is kept.
  void ApplyQueuesLeftOver(Epochs::Participant* participant);

  // --- Building ------------------------------------------------------------------------------
  // By one thread, once. Writers push changes of a stripe from the moment its entries were added.

  struct Hashed {
    uint64_t hash;  // Of the key.
    Entry* entry;
  };

  void BeginBuild();
  // Holding the stripe's lock; only remembers the pointers.
  void AddFromStripe(std::span<const Hashed> entries);
  // Sorts, loads, applies what was queued meanwhile. Holding no lock.
  void FinishBuild(Epochs::Participant* participant);
  // Whether FinishBuild() has ended: from then on pages can be read.
  bool ready() const { return state_.load(std::memory_order_acquire) == State::kReady; }

  // --- Pages ---------------------------------------------------------------------------------

  enum class Visit { kContinue, kStop };

  struct PageRequest {
    IndexRange range;
    Direction direction;
  };
  struct Page {
    uint32_t examined = 0;  // Entries visited.
    bool more = false;      // Whether the range holds others behind them.
  };

  // Calls `at_instant` when no change of the index can happen: the page is exact for that moment.
  // Then calls `visit` for each entry of the range in order, until it answers kStop or
  // kPageLimitMax entries have been visited. What `visit` is given may be read until the caller's
  // turn ends: if it is replaced meanwhile, it is not freed before. Requires ready(); holding no
  // stripe.
  Page ReadPage(const PageRequest& request, Epochs::Participant* participant,
                absl::FunctionRef<void()> at_instant, absl::FunctionRef<Visit(const Entry&)> visit);

  // --- Account -------------------------------------------------------------------------------
  // These change while they are added up.

  // Changes that the next page would have to apply.
  size_t QueuedEntries() const;
  // Entries in the trees, that is without what is queued.
  size_t size() const;
  // Memory of trees and queues, without the entries.
  size_t AllocatedBytes() const;

 private:
  void LockAllAndApply(Epochs::Participant* participant, absl::FunctionRef<void()> at_instant);
  void UnlockAll();

  enum class State { kUnused, kBuilding, kReady };

  const IndexOrder order_;
  const std::array<std::unique_ptr<IndexPartition>, kPartitions> partitions_;
  std::atomic<State> state_{State::kUnused};

  // Of the thread that builds.
  std::array<std::vector<Entry*>, kPartitions> added_;
};

}  // namespace entrepot
