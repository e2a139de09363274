// Locks that the compiler checks: clang's thread-safety attributes on Mutex, SpinMutex and
// FifoMutex.
//
// Shared data stands under one of these, each field GUARDED_BY. std::mutex itself is not annotated,
// so it is used here only.
//
// In builds without NDEBUG every lock has a rank, and taking one whose rank is not higher than that
// of every lock the thread holds ends the program: the order of docs/DESIGN.md, "Locks", is
// checked where it is used. Locks of one rank (stripes, queues, trees) are taken ascending in their
// sequence number.
//
//   Mutex:      sleeps. For what is taken rarely.
//   SpinMutex:  spins briefly, then sleeps; 4 bytes. For sections of well under a microsecond.
//   FifoMutex:  first come, first served: a waiter is overtaken by nobody.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

#include "base/status.h"

#if defined(__clang__)
#define ENTREPOT_ATTRIBUTE(x) __attribute__((x))
#else
#define ENTREPOT_ATTRIBUTE(x)
#endif

#define CAPABILITY(x) ENTREPOT_ATTRIBUTE(capability(x))
#define SCOPED_CAPABILITY ENTREPOT_ATTRIBUTE(scoped_lockable)
#define GUARDED_BY(x) ENTREPOT_ATTRIBUTE(guarded_by(x))
#define PT_GUARDED_BY(x) ENTREPOT_ATTRIBUTE(pt_guarded_by(x))
#define REQUIRES(...) ENTREPOT_ATTRIBUTE(requires_capability(__VA_ARGS__))
#define ACQUIRE(...) ENTREPOT_ATTRIBUTE(acquire_capability(__VA_ARGS__))
#define RELEASE(...) ENTREPOT_ATTRIBUTE(release_capability(__VA_ARGS__))
#define TRY_ACQUIRE(...) ENTREPOT_ATTRIBUTE(try_acquire_capability(__VA_ARGS__))
#define EXCLUDES(...) ENTREPOT_ATTRIBUTE(locks_excluded(__VA_ARGS__))
#define NO_THREAD_SAFETY_ANALYSIS ENTREPOT_ATTRIBUTE(no_thread_safety_analysis)

namespace entrepot {

// The order in which locks are taken, lowest first; docs/DESIGN.md, "Locks", says why.
enum class LockRank : uint8_t {
  kSession = 1,  // a session of safe retries
  kTree = 2,     // a partition of an ordered index
  kStripe = 3,   // a stripe of the store
  kQueue = 4,    // the queue of a partition
  kCommit = 5,   // the commit queue
  kLeaf = 6,     // takes no other lock while held
};

namespace base_internal {
#ifdef NDEBUG
inline void LockTaken(LockRank, uint32_t) {}
inline void LockReleased(LockRank, uint32_t) {}
#else
void LockTaken(LockRank rank, uint32_t sequence);
void LockReleased(LockRank rank, uint32_t sequence);
#endif

inline void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}
}  // namespace base_internal

class CAPABILITY("mutex") Mutex {
 public:
  explicit Mutex(LockRank rank = LockRank::kLeaf, uint32_t sequence = 0)
      : rank_(rank), sequence_(sequence) {}
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void Lock() ACQUIRE() {
    base_internal::LockTaken(rank_, sequence_);
    mutex_.lock();
  }
  void Unlock() RELEASE() {
    mutex_.unlock();
    base_internal::LockReleased(rank_, sequence_);
  }

 private:
  friend class CondVar;
  std::mutex mutex_;
  const LockRank rank_;
  const uint32_t sequence_;
};

class CAPABILITY("mutex") SpinMutex {
 public:
  SpinMutex() = default;
  SpinMutex(const SpinMutex&) = delete;
  SpinMutex& operator=(const SpinMutex&) = delete;

  // `rank` and `sequence` are of the lock, not of the call: they are passed in so that a lock of
  // which there are thousands takes 4 bytes.
  void Lock(LockRank rank, uint32_t sequence = 0) ACQUIRE() {
    base_internal::LockTaken(rank, sequence);
    uint32_t expected = kFree;
    if (!state_.compare_exchange_strong(expected, kHeld, std::memory_order_acquire)) LockSlow();
  }
  void Unlock(LockRank rank, uint32_t sequence = 0) RELEASE() {
    if (state_.exchange(kFree, std::memory_order_release) == kContended) state_.notify_one();
    base_internal::LockReleased(rank, sequence);
  }

 private:
  static constexpr uint32_t kFree = 0, kHeld = 1, kContended = 2;
  void LockSlow();

  std::atomic<uint32_t> state_{kFree};
};

class CAPABILITY("mutex") FifoMutex {
 public:
  FifoMutex(LockRank rank, uint32_t sequence) : rank_(rank), sequence_(sequence) {}
  FifoMutex(const FifoMutex&) = delete;
  FifoMutex& operator=(const FifoMutex&) = delete;

  void Lock() ACQUIRE();
  // Locks it if nobody holds it or waits for it.
  bool TryLock() TRY_ACQUIRE(true);
  void Unlock() RELEASE();

 private:
  std::atomic<uint32_t> next_ticket_{0};
  std::atomic<uint32_t> now_serving_{0};
  const LockRank rank_;
  const uint32_t sequence_;
};

class SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) ACQUIRE(mutex) : mutex_(mutex) { mutex_.Lock(); }
  ~MutexLock() RELEASE() { mutex_.Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

class SCOPED_CAPABILITY SpinLock {
 public:
  SpinLock(SpinMutex& mutex, LockRank rank, uint32_t sequence = 0) ACQUIRE(mutex)
      : mutex_(mutex), rank_(rank), sequence_(sequence) {
    mutex_.Lock(rank_, sequence_);
  }
  ~SpinLock() RELEASE() { mutex_.Unlock(rank_, sequence_); }
  SpinLock(const SpinLock&) = delete;
  SpinLock& operator=(const SpinLock&) = delete;

 private:
  SpinMutex& mutex_;
  const LockRank rank_;
  const uint32_t sequence_;
};

// Waits for a condition under a Mutex; wakes may be spurious, so callers loop.
class CondVar {
 public:
  void Wait(Mutex& mutex) REQUIRES(mutex);
  // False when `timeout` passed first.
  bool WaitFor(Mutex& mutex, std::chrono::microseconds timeout) REQUIRES(mutex);
  void NotifyOne() { condition_.notify_one(); }
  void NotifyAll() { condition_.notify_all(); }

 private:
  std::condition_variable condition_;
};

}  // namespace entrepot
