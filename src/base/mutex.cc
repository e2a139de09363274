#include "base/mutex.h"

#include <vector>

namespace entrepot {

namespace {
// About 2 microseconds: longer than any section under a SpinMutex that is not preempted.
constexpr int kSpins = 64;
}  // namespace

namespace base_internal {
#ifndef NDEBUG

namespace {
struct Held {
  LockRank rank;
  uint32_t sequence;
};
thread_local std::vector<Held> held;
}  // namespace

void LockTaken(LockRank rank, uint32_t sequence) {
  for (const Held& lock : held) {
    CHECK(lock.rank < rank || (lock.rank == rank && lock.sequence < sequence));
  }
  held.push_back({rank, sequence});
}

void LockReleased(LockRank rank, uint32_t sequence) {
  for (auto lock = held.rbegin(); lock != held.rend(); ++lock) {
    if (lock->rank == rank && lock->sequence == sequence) {
      held.erase(std::next(lock).base());
      return;
    }
  }
  CHECK(!"a lock is released that this thread does not hold");
}

#endif
}  // namespace base_internal

void SpinMutex::LockSlow() {
  for (int i = 0; i < kSpins; ++i) {
    base_internal::Pause();
    uint32_t expected = kFree;
    if (state_.load(std::memory_order_relaxed) == kFree &&
        state_.compare_exchange_weak(expected, kHeld, std::memory_order_acquire)) {
      return;
    }
  }
  // From here on the lock is taken as contended, so that its release wakes a sleeper: this thread
  // cannot know whether others still sleep (Drepper, "Futexes Are Tricky", mutex 2).
  while (state_.exchange(kContended, std::memory_order_acquire) != kFree) {
    state_.wait(kContended, std::memory_order_relaxed);
  }
}

void FifoMutex::Lock() {
  base_internal::LockTaken(rank_, sequence_);
  const uint32_t ticket = next_ticket_.fetch_add(1, std::memory_order_relaxed);
  for (uint32_t serving = now_serving_.load(std::memory_order_acquire); serving != ticket;
       serving = now_serving_.load(std::memory_order_acquire)) {
    now_serving_.wait(serving, std::memory_order_acquire);
  }
}

bool FifoMutex::TryLock() {
  // It is free when the ticket being served is the next to be given.
  uint32_t ticket = now_serving_.load(std::memory_order_acquire);
  if (!next_ticket_.compare_exchange_strong(ticket, ticket + 1, std::memory_order_relaxed)) {
    return false;
  }
  base_internal::LockTaken(rank_, sequence_);
  return true;
}

void FifoMutex::Unlock() {
  now_serving_.fetch_add(1, std::memory_order_release);
  now_serving_.notify_all();
  base_internal::LockReleased(rank_, sequence_);
}

void CondVar::Wait(Mutex& mutex) {
  std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
  condition_.wait(lock);
  lock.release();
}

bool CondVar::WaitFor(Mutex& mutex, std::chrono::microseconds timeout) {
  std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
  const bool woken = condition_.wait_for(lock, timeout) == std::cv_status::no_timeout;
  lock.release();
  return woken;
}

}  // namespace entrepot
