#include "store/index_partition.h"

#include <utility>

#include "base/limits.h"
#include "base/status.h"

namespace entrepot {

namespace {

// Entries are asked of memory this far ahead of their use.
constexpr size_t kPrefetchDistance = 12;

void DeleteEntry(void* entry) { Entry::Delete(static_cast<Entry*>(entry)); }

void UnpinOne(Entry* entry, Epochs::Participant* participant) {
  if (entry->Unpin()) participant->Retire(entry, entry->allocated_bytes(), DeleteEntry);
}

}  // namespace

IndexPartition::IndexPartition(IndexOrder order, uint32_t sequence)
    : order_(order),
      sequence_(sequence),
      tree_mu_(LockRank::kTree, sequence),
      taken_(CountingAllocator<IndexChange>(&allocated_bytes_)),
      queue_(CountingAllocator<IndexChange>(&allocated_bytes_)) {}

IndexPartition::~IndexPartition() {
  for (const IndexChanges* changes : {&taken_, &queue_}) {
    for (const IndexChange& change : *changes) {
      if (change.old_entry != nullptr && change.old_entry->Unpin()) {
        Entry::Delete(change.old_entry);
      }
    }
  }
}

void IndexPartition::PushLocked(Entry* old_entry, Entry* new_entry) {
  DCHECK(old_entry != nullptr || new_entry != nullptr);
  queue_.push_back({old_entry, new_entry});
  queued_entries_.store(queue_.size(), std::memory_order_relaxed);
  if (old_entry == nullptr) return;
  DCHECK(old_entry->pinned());
  queued_bytes_.store(queued_bytes_.load(std::memory_order_relaxed) + old_entry->key_size() +
                          old_entry->value_size(),
                      std::memory_order_relaxed);
}

void IndexPartition::TakeQueueLocked() {
  if (taken_.empty()) {
    taken_.swap(queue_);
  } else {
    taken_.insert(taken_.end(), queue_.begin(), queue_.end());
    queue_.clear();
  }
  queued_entries_.store(0, std::memory_order_relaxed);
  queued_bytes_.store(0, std::memory_order_relaxed);
  times_taken_.fetch_add(1, std::memory_order_relaxed);
}

void IndexPartition::ApplyTaken(Epochs::Participant* participant) {
  if (tree_ == nullptr) {
    // Folding again only when it has doubled keeps this linear in the number of changes.
    if (taken_.size() < fold_at_) return;
    FoldTaken(participant);
    fold_at_ = 2 * (taken_.size() + kQueueEntriesMax);
    return;
  }
  if (taken_.empty()) return;
  FoldTaken(participant);
  ApplyFolded(taken_, tree_.get(), participant);
  taken_.clear();
  size_.store(tree_->size(), std::memory_order_relaxed);
}

void IndexPartition::TryApplyQueue(Epochs::Participant* participant) {
  if (queued_entries() <= kQueueEntriesAfterTurn || !tree_mu_.TryLock()) return;
  LockQueue();
  TakeQueueLocked();
  UnlockQueue();
  ApplyTaken(participant);
  UnlockTree();
}

void IndexPartition::ApplyQueue(Epochs::Participant* participant) {
  LockTree();
  LockQueue();
  TakeQueueLocked();
  UnlockQueue();
  ApplyTaken(participant);
  UnlockTree();
}

void IndexPartition::ApplyQueueLeftOver(Epochs::Participant* participant) {
  const uint64_t taken = times_taken_.load(std::memory_order_relaxed);
  const bool waiting = queued_entries() > 0;
  if (waiting && was_waiting_ && taken == was_taken_) {
    ApplyQueue(participant);
    was_waiting_ = false;
    return;
  }
  was_waiting_ = waiting;
  was_taken_ = taken;
}

void IndexPartition::Load(std::vector<Entry*> entries, Epochs::Participant* participant) {
  auto tree = std::make_unique<IndexTree>(order_, &allocated_bytes_);
  tree->Load(entries);

  // The bulk of what has gathered meanwhile is applied while nobody has to wait for it.
  IndexChanges gathered{CountingAllocator<IndexChange>(&allocated_bytes_)};
  LockTree();
  LockQueue();
  TakeQueueLocked();
  UnlockQueue();
  FoldTaken(participant);
  gathered.swap(taken_);
  UnlockTree();
  ApplyFolded(gathered, tree.get(), participant);

  LockTree();
  CHECK(tree_ == nullptr);
  tree_ = std::move(tree);
  size_.store(tree_->size(), std::memory_order_relaxed);
  UnlockTree();
  ApplyQueue(participant);
}

void IndexPartition::FoldTaken(Epochs::Participant* participant) {
  std::vector<Entry*> forgotten;
  FoldChanges(&taken_, &forgotten);
  for (Entry* const entry : forgotten) UnpinOne(entry, participant);
}

void IndexPartition::ApplyFolded(const IndexChanges& changes, IndexTree* tree,
                                 Epochs::Participant* participant) {
  tree->Apply(changes);
  for (size_t i = 0; i < changes.size(); ++i) {
    // Its header is written.
    if (i + kPrefetchDistance < changes.size()) {
      __builtin_prefetch(changes[i + kPrefetchDistance].old_entry, 1);
    }
    if (changes[i].old_entry != nullptr) UnpinOne(changes[i].old_entry, participant);
  }
}

}  // namespace entrepot
