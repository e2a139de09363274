// Epochs: memory that was taken out of the store is freed when every thread has ended the turn in
// which it was taken out, so that who reads without a lock never reads what is freed.
//
// After K. Fraser, "Practical lock-freedom" (2004), section 5.2.3. Not hazard pointers: those cost
// a fence for each entry looked at; an epoch costs one for a turn.
//
// Thread safety: each thread has a Participant of its own; Epochs itself may be used from any.
//
// Invariants:
//  1. The global epoch rises only when every participant inside a turn entered in the present one,
//     so it is at most one above the epoch that any of them entered in.
//  2. What is retired by a turn that entered in epoch L carries the mark L or L + 1. Whoever enters
//     in L + 2 or later synchronises, by way of the global epoch, with the end of that turn, and
//     finds nothing of it any more. Whoever entered in L + 1 or before keeps the global epoch at
//     L + 2 or below. So what carries the mark M is freed when the global epoch is M + 3.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "base/mutex.h"

namespace entrepot {

class Epochs {
 public:
  class Participant;

  Epochs() = default;
  // Every participant is gone; frees what is left.
  ~Epochs();
  Epochs(const Epochs&) = delete;
  Epochs& operator=(const Epochs&) = delete;

  // What is to be freed, and how.
  struct Retired {
    void* memory;
    size_t bytes;
    void (*release)(void*);
  };

 private:
  struct Batch {
    uint64_t epoch;
    std::vector<Retired> items;
  };

  // Raises the global epoch if all participants allow it; returns it.
  uint64_t TryAdvance();

  std::atomic<uint64_t> global_{2};
  Mutex mu_;
  std::vector<Participant*> participants_ GUARDED_BY(mu_);
  std::vector<Batch> orphans_ GUARDED_BY(mu_);  // Of participants that are gone.
};

// One thread's part in it. Used by that thread only.
class Epochs::Participant {
 public:
  explicit Participant(Epochs* epochs);
  ~Participant();
  Participant(const Participant&) = delete;
  Participant& operator=(const Participant&) = delete;

  // A turn: what was found in it may be read until Leave(). Turns of one thread may stand inside
  // one another; the outermost counts.
  void Enter();
  void Leave();

  // Frees `memory`, of about `bytes`, by `release` once no turn of now can still see it. Only
  // inside a turn.
  void Retire(void* memory, size_t bytes, void (*release)(void*));

  // Items that wait to be freed.
  size_t waiting() const { return waiting_; }

 private:
  friend class Epochs;
  static constexpr uint64_t kOutside = 0;
  // Retired items, or bytes, that make Leave() look for what can be freed.
  static constexpr size_t kCollectAt = 64;
  static constexpr size_t kCollectAtBytes = size_t{1} << 20;

  void Collect();

  Epochs* const epochs_;
  std::atomic<uint64_t> local_{kOutside};
  int turns_ = 0;
  size_t waiting_ = 0;
  size_t waiting_bytes_ = 0;
  std::vector<Batch> batches_;
  std::vector<Retired> spare_;  // Empty: the memory of a batch, to be used again.
};

}  // namespace entrepot
