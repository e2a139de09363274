#include "store/epoch.h"

#include <algorithm>
#include <utility>

namespace entrepot {

namespace {
// Epochs between retiring and freeing, see invariant 2.
constexpr uint64_t kGrace = 3;
// What is freed is read by its release; it is asked of memory this far ahead.
constexpr size_t kPrefetchDistance = 8;
}  // namespace

Epochs::~Epochs() {
  MutexLock lock(mu_);
  CHECK(participants_.empty());
  for (const Batch& batch : orphans_) {
    for (const Retired& item : batch.items) item.release(item.memory);
  }
}

uint64_t Epochs::TryAdvance() {
  MutexLock lock(mu_);
  const uint64_t present = global_.load(std::memory_order_relaxed);
  for (const Participant* participant : participants_) {
    // In the single order of these operations this load comes before the store in Enter(), and then
    // so does the rise below before the second load in Enter(), which sees it and tries again; or
    // it comes after, and sees the participant.
    const uint64_t local = participant->local_.load(std::memory_order_seq_cst);
    if (local != Participant::kOutside && local != present) return present;
  }
  global_.store(present + 1, std::memory_order_seq_cst);
  std::erase_if(orphans_, [&](const Batch& batch) {
    if (batch.epoch + kGrace > present + 1) return false;
    for (const Retired& item : batch.items) item.release(item.memory);
    return true;
  });
  return present + 1;
}

Epochs::Participant::Participant(Epochs* epochs) : epochs_(epochs) {
  MutexLock lock(epochs_->mu_);
  epochs_->participants_.push_back(this);
}

Epochs::Participant::~Participant() {
  CHECK(turns_ == 0);
  MutexLock lock(epochs_->mu_);
  std::erase(epochs_->participants_, this);
  for (Batch& batch : batches_) epochs_->orphans_.push_back(std::move(batch));
}

void Epochs::Participant::Enter() {
  if (turns_++ > 0) return;
  for (uint64_t epoch = epochs_->global_.load(std::memory_order_seq_cst);;) {
    local_.store(epoch, std::memory_order_seq_cst);
    const uint64_t present = epochs_->global_.load(std::memory_order_seq_cst);
    if (present == epoch) return;
    epoch = present;
  }
}

void Epochs::Participant::Leave() {
  DCHECK(turns_ > 0);
  if (--turns_ > 0) return;
  local_.store(kOutside, std::memory_order_release);
  if (waiting_ >= kCollectAt || waiting_bytes_ >= kCollectAtBytes) Collect();
}

void Epochs::Participant::Retire(void* memory, size_t bytes, void (*release)(void*)) {
  DCHECK(turns_ > 0);
  const uint64_t epoch = epochs_->global_.load(std::memory_order_seq_cst);
  if (batches_.empty() || batches_.back().epoch != epoch) {
    batches_.push_back({epoch, std::exchange(spare_, {})});
  }
  batches_.back().items.push_back({memory, bytes, release});
  ++waiting_;
  waiting_bytes_ += bytes;
}

void Epochs::Participant::Collect() {
  const uint64_t present = epochs_->TryAdvance();
  size_t done = 0;
  for (; done < batches_.size() && batches_[done].epoch + kGrace <= present; ++done) {
    std::vector<Retired>& items = batches_[done].items;
    for (size_t i = 0; i < items.size(); ++i) {
      if (i + kPrefetchDistance < items.size()) {
        __builtin_prefetch(items[i + kPrefetchDistance].memory);
      }
      waiting_bytes_ -= items[i].bytes;
      items[i].release(items[i].memory);
    }
    waiting_ -= items.size();
    items.clear();
    if (items.capacity() > spare_.capacity()) spare_.swap(items);
  }
  batches_.erase(batches_.begin(), batches_.begin() + static_cast<ptrdiff_t>(done));
}

}  // namespace entrepot
