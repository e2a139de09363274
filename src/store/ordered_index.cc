#include "store/ordered_index.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/status.h"

namespace entrepot {

namespace {

std::array<std::unique_ptr<IndexPartition>, kPartitions> MakePartitions(IndexOrder order) {
  const uint32_t first_sequence = order == IndexOrder::kByValue ? 0 : kPartitions;
  std::array<std::unique_ptr<IndexPartition>, kPartitions> partitions;
  for (uint32_t i = 0; i < kPartitions; ++i) {
    partitions[i] = std::make_unique<IndexPartition>(order, first_sequence + i);
  }
  return partitions;
}

// The walks through all trees as one, in order. Those that are not done stand sorted: with a few
// partitions, putting one back in its place takes less than a heap would.
class MergedWalk {
 public:
  void Add(const IndexTree::Walk& walk) {
    if (walk.Done()) return;
    walks_[count_].emplace(walk);
    order_[count_] = count_;
    ++count_;
    MoveUp(count_ - 1);
  }
  bool Done() const { return count_ == 0; }
  const Entry& entry() const { return Next().entry(); }
  void Advance() {
    IndexTree::Walk& next = Next();
    next.Advance();
    if (next.Done()) {
      --count_;
      std::move(order_.begin() + 1, order_.begin() + 1 + count_, order_.begin());
      return;
    }
    for (uint32_t i = 1; i < count_ && At(i).ComesBefore(At(i - 1)); ++i) {
      std::swap(order_[i], order_[i - 1]);
    }
  }

 private:
  IndexTree::Walk& At(uint32_t i) { return *walks_[order_[i]]; }
  IndexTree::Walk& Next() { return At(0); }
  const IndexTree::Walk& Next() const { return *walks_[order_[0]]; }
  void MoveUp(uint32_t i) {
    for (; i > 0 && At(i).ComesBefore(At(i - 1)); --i) std::swap(order_[i], order_[i - 1]);
  }

  std::array<std::optional<IndexTree::Walk>, kPartitions> walks_;
  std::array<uint32_t, kPartitions> order_;
  uint32_t count_ = 0;
};

}  // namespace

OrderedIndex::OrderedIndex(IndexOrder order) : order_(order), partitions_(MakePartitions(order)) {}

// The compiler's analysis of locks does not follow locks in arrays: the functions below that lock
// in one call and unlock in another, or lock all, are left out of it. They are short for that
// reason.

void OrderedIndex::LockQueue(uint32_t partition) NO_THREAD_SAFETY_ANALYSIS {
  partitions_[partition]->LockQueue();
}

void OrderedIndex::UnlockQueue(uint32_t partition) NO_THREAD_SAFETY_ANALYSIS {
  partitions_[partition]->UnlockQueue();
}

void OrderedIndex::PushLocked(uint32_t partition, Entry* old_entry,
                              Entry* new_entry) NO_THREAD_SAFETY_ANALYSIS {
  partitions_[partition]->PushLocked(old_entry, new_entry);
}

void OrderedIndex::LockAllAndApply(Epochs::Participant* participant,
                                   absl::FunctionRef<void()> at_instant) NO_THREAD_SAFETY_ANALYSIS {
  for (const auto& partition : partitions_) partition->LockTree();
  for (const auto& partition : partitions_) partition->LockQueue();
  at_instant();
  for (const auto& partition : partitions_) partition->TakeQueueLocked();
  for (const auto& partition : partitions_) partition->UnlockQueue();
  for (const auto& partition : partitions_) partition->ApplyTaken(participant);
}

void OrderedIndex::UnlockAll() NO_THREAD_SAFETY_ANALYSIS {
  for (const auto& partition : partitions_) partition->UnlockTree();
}

OrderedIndex::Page OrderedIndex::ReadPage(
    const PageRequest& request, Epochs::Participant* participant,
    absl::FunctionRef<void()> at_instant,
    absl::FunctionRef<Visit(const Entry&)> visit) NO_THREAD_SAFETY_ANALYSIS {
  CHECK(ready());
  LockAllAndApply(participant, at_instant);
  MergedWalk walk;
  for (const auto& partition : partitions_) {
    walk.Add(partition->tree().Begin(request.range, request.direction));
  }
  Page page;
  for (bool stopped = false; !walk.Done() && !stopped && page.examined < kPageLimitMax;
       walk.Advance()) {
    ++page.examined;
    stopped = visit(walk.entry()) == Visit::kStop;
  }
  page.more = !walk.Done();
  UnlockAll();
  return page;
}

void OrderedIndex::ApplyQueue(uint32_t partition, Epochs::Participant* participant) {
  partitions_[partition]->ApplyQueue(participant);
}

void OrderedIndex::ApplyQueuesAfterTurn(Epochs::Participant* participant) {
  if (!ready()) return;
  for (const auto& partition : partitions_) partition->TryApplyQueue(participant);
}

void OrderedIndex::ApplyQueuesLeftOver(Epochs::Participant* participant) {
  for (const auto& partition : partitions_) partition->ApplyQueueLeftOver(participant);
}

void OrderedIndex::BeginBuild() {
  CHECK(state_.exchange(State::kBuilding, std::memory_order_relaxed) == State::kUnused);
}

void OrderedIndex::AddFromStripe(std::span<const Hashed> entries) {
  for (const auto& [hash, entry] : entries) added_[PartitionOf(hash)].push_back(entry);
}

void OrderedIndex::FinishBuild(Epochs::Participant* participant) {
  CHECK(state_.load(std::memory_order_relaxed) == State::kBuilding);
  for (uint32_t i = 0; i < kPartitions; ++i) {
    partitions_[i]->Load(std::exchange(added_[i], {}), participant);
  }
  state_.store(State::kReady, std::memory_order_release);
}

size_t OrderedIndex::QueuedEntries() const {
  size_t sum = 0;
  for (const auto& partition : partitions_) sum += partition->queued_entries();
  return sum;
}

size_t OrderedIndex::size() const {
  size_t sum = 0;
  for (const auto& partition : partitions_) sum += partition->size();
  return sum;
}

size_t OrderedIndex::AllocatedBytes() const {
  size_t sum = 0;
  for (const auto& partition : partitions_) sum += partition->allocated_bytes();
  return sum;
}

}  // namespace entrepot
