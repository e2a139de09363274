// A partition of an ordered index: a tree under one lock, and before it a queue of changes under
// another, so that a write never waits for a tree.
//
// A writer appends to the queue. Whoever needs the tree up to date (a page), or meets a queue that
// is full, takes the tree's lock, takes the queue away under the queue's lock, and applies it. The
// tree's lock is first come, first served.
//
// Until Load() there is no tree: changes gather, folded, and are applied by Load().
//
// Lifetime of entries: an entry that is pushed as old carries a pin for this partition
// (Entry::Pin). It is unpinned when the tree no longer has it, and retired by the call that takes
// its last pin. So every entry that is reachable from here is alive, whatever the store has
// replaced meanwhile.
//
// Thread safety: any thread. Calls with a participant come from inside a turn of it.
//
// Invariants:
//  1. The tree, then what was taken, then the queue, in that order, are the store's entries.
//  2. Changes are applied in the order in which they were pushed; of one key, that is the order of
//     its versions, since a writer pushes while it holds the key's stripe.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/mutex.h"
#include "store/epoch.h"
#include "store/index_change.h"
#include "store/index_range.h"
#include "store/index_tree.h"

namespace entrepot {

class alignas(64) IndexPartition {
 public:
  // `sequence` is that of its two locks among those of their ranks.
  IndexPartition(IndexOrder order, uint32_t sequence);
  // No thread is left that could read an entry: what is still queued as old is freed at once.
  ~IndexPartition();
  IndexPartition(const IndexPartition&) = delete;
  IndexPartition& operator=(const IndexPartition&) = delete;

  // --- Writers -------------------------------------------------------------------------------

  void LockQueue() ACQUIRE(queue_mu_) { queue_mu_.Lock(LockRank::kQueue, sequence_); }
  void UnlockQueue() RELEASE(queue_mu_) { queue_mu_.Unlock(LockRank::kQueue, sequence_); }
  // Either may be null, not both. Whether they have a place in the index is found out when the
  // change is applied.
  void PushLocked(Entry* old_entry, Entry* new_entry) REQUIRES(queue_mu_);
  bool QueueFull() const {
    return queued_entries_.load(std::memory_order_relaxed) >= kQueueEntriesMax ||
           queued_bytes_.load(std::memory_order_relaxed) >= kQueueBytesMax;
  }

  // --- Application ---------------------------------------------------------------------------

  void LockTree() ACQUIRE(tree_mu_) { tree_mu_.Lock(); }
  void UnlockTree() RELEASE(tree_mu_) { tree_mu_.Unlock(); }
  // Takes the queue away, to be applied by the next call of ApplyTaken().
  void TakeQueueLocked() REQUIRES(tree_mu_, queue_mu_);
  void ApplyTaken(Epochs::Participant* participant) REQUIRES(tree_mu_);
  // All of this in one.
  void ApplyQueue(Epochs::Participant* participant);
  // ApplyQueue(), if there is something worth it and nobody has the tree.
  void TryApplyQueue(Epochs::Participant* participant);
  // ApplyQueue(), if what is the oldest change now was in the queue at the last call already.
  // For one thread.
  void ApplyQueueLeftOver(Epochs::Participant* participant);

  // --- Building ------------------------------------------------------------------------------

  // Makes the tree from `entries`, which is every entry that the store had, each key once, and
  // which no change pushed so far has brought. Once.
  void Load(std::vector<Entry*> entries, Epochs::Participant* participant);

  // --- Reading -------------------------------------------------------------------------------

  // Requires Load().
  const IndexTree& tree() const REQUIRES(tree_mu_) { return *tree_; }

  // These may be read at any time; each is exact by itself.
  size_t queued_entries() const { return queued_entries_.load(std::memory_order_relaxed); }
  size_t size() const { return size_.load(std::memory_order_relaxed); }
  size_t allocated_bytes() const { return allocated_bytes_.load(std::memory_order_relaxed); }

 private:
  // Folds taken_, and gives back what is forgotten by that.
  void FoldTaken(Epochs::Participant* participant) REQUIRES(tree_mu_);
  // Applies `changes`, which are folded, to `tree` and forgets their old entries.
  static void ApplyFolded(const IndexChanges& changes, IndexTree* tree,
                          Epochs::Participant* participant);

  const IndexOrder order_;
  const uint32_t sequence_;

  // Synchronise themselves.
  std::atomic<size_t> allocated_bytes_{0};
  std::atomic<size_t> size_{0};
  std::atomic<size_t> queued_entries_{0};  // Written under queue_mu_.
  std::atomic<size_t> queued_bytes_{0};    // Written under queue_mu_.
  std::atomic<uint64_t> times_taken_{0};   // Written under queue_mu_.

  // Of the thread that calls ApplyQueueLeftOver(): whether the queue held something at the last
  // call, and times_taken_ then.
  bool was_waiting_ = false;
  uint64_t was_taken_ = 0;

  alignas(64) FifoMutex tree_mu_;
  IndexChanges taken_ GUARDED_BY(tree_mu_);
  size_t fold_at_ GUARDED_BY(tree_mu_) = 2 * kQueueEntriesMax;  // Until there is a tree.
  std::unique_ptr<IndexTree> tree_ GUARDED_BY(tree_mu_);

  alignas(64) SpinMutex queue_mu_;
  IndexChanges queue_ GUARDED_BY(queue_mu_);
};

}  // namespace entrepot
