#include "base/mutex.h"

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace entrepot {
namespace {

constexpr int kThreads = 3;
constexpr int kRounds = 20'000;

// Counts with two variables that only agree when nobody else was inside.
class Counter {
 public:
  void Add() {
    CHECK(first_ == second_);
    ++first_;
    ++second_;
  }
  int value() const { return second_; }

 private:
  int first_ = 0;
  int second_ = 0;
};

template <typename Section>
void RunInThreads(Section section) {
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < kRounds; ++round) section();
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(MutexTest, OneThreadAtATime) {
  Mutex mu;
  Counter counter;
  RunInThreads([&] {
    MutexLock lock(mu);
    counter.Add();
  });
  EXPECT_EQ(counter.value(), kThreads * kRounds);
}

TEST(SpinMutexTest, OneThreadAtATime) {
  SpinMutex mu;
  Counter counter;
  RunInThreads([&] {
    SpinLock lock(mu, LockRank::kLeaf);
    counter.Add();
  });
  EXPECT_EQ(counter.value(), kThreads * kRounds);
}

TEST(FifoMutexTest, OneThreadAtATime) {
  FifoMutex mu(LockRank::kTree, 0);
  Counter counter;
  RunInThreads([&] {
    mu.Lock();
    counter.Add();
    mu.Unlock();
  });
  EXPECT_EQ(counter.value(), kThreads * kRounds);
}

// Whether the kernel has put the thread to sleep.
bool Sleeps(pid_t thread_id) {
  std::ifstream file(fmt::format("/proc/self/task/{}/stat", thread_id));
  std::string stat;
  std::getline(file, stat);
  const size_t name_end = stat.rfind(')');  // The state follows the name, proc(5).
  return name_end != std::string::npos && stat.size() > name_end + 2 && stat[name_end + 2] == 'S';
}

TEST(FifoMutexTest, IsHandedOverInTheOrderOfAsking) {
  FifoMutex mu(LockRank::kTree, 0);
  std::string order;  // Guarded by mu.
  mu.Lock();
  std::vector<std::thread> waiters;
  for (const char name : {'a', 'b', 'c'}) {
    std::atomic<pid_t> thread_id{0};
    waiters.emplace_back([&mu, &order, &thread_id, name] {
      thread_id = gettid();
      mu.Lock();
      order += name;
      mu.Unlock();
    });
    // Asleep behind its announcement, it can only be in the queue of the lock.
    while (thread_id == 0 || !Sleeps(thread_id)) std::this_thread::yield();
  }
  mu.Unlock();
  mu.Lock();
  order += 'd';
  mu.Unlock();
  for (std::thread& waiter : waiters) waiter.join();
  EXPECT_EQ(order, "abcd");
}

TEST(CondVarTest, WaiterIsWoken) {
  Mutex mu;
  CondVar changed;
  bool ready = false;  // Guarded by mu.
  std::thread other([&] {
    MutexLock lock(mu);
    ready = true;
    changed.NotifyOne();
  });
  {
    MutexLock lock(mu);
    while (!ready) changed.Wait(mu);
  }
  other.join();
}

TEST(CondVarTest, WaitEndsWhenItsTimeIsOver) {
  Mutex mu;
  CondVar never;
  MutexLock lock(mu);
  while (never.WaitFor(mu, std::chrono::milliseconds(1))) {
  }
}

#ifndef NDEBUG

constexpr char kBroken[] = "the invariant does not hold";

// What each of these does is wrong, so the compiler must not see it.

void LockTreeBelowStripe(FifoMutex* tree, SpinMutex* stripe) NO_THREAD_SAFETY_ANALYSIS {
  stripe->Lock(LockRank::kStripe, 1);
  tree->Lock();
}

void LockStripes(SpinMutex* first, uint32_t first_number, SpinMutex* second,
                 uint32_t second_number) NO_THREAD_SAFETY_ANALYSIS {
  first->Lock(LockRank::kStripe, first_number);
  second->Lock(LockRank::kStripe, second_number);
}

void LockBoth(Mutex* first, Mutex* second) NO_THREAD_SAFETY_ANALYSIS {
  first->Lock();
  second->Lock();
}

void Release(SpinMutex* mu) NO_THREAD_SAFETY_ANALYSIS { mu->Unlock(LockRank::kLeaf); }

TEST(LockRankDeathTest, LowerRankAfterAHigherOneEndsTheProgram) {
  SpinMutex stripe;
  FifoMutex tree(LockRank::kTree, 0);
  EXPECT_DEATH(LockTreeBelowStripe(&tree, &stripe), kBroken);
}

TEST(LockRankDeathTest, EqualRankIsTakenAscending) {
  SpinMutex first, second;
  EXPECT_DEATH(LockStripes(&first, 2, &second, 1), kBroken);
  EXPECT_DEATH(LockStripes(&first, 1, &second, 1), kBroken);
  EXPECT_EXIT((LockStripes(&first, 1, &second, 2), std::_Exit(0)), testing::ExitedWithCode(0), "");
}

TEST(LockRankDeathTest, LeafTakesNoOther) {
  Mutex leaf, other;
  EXPECT_DEATH(LockBoth(&leaf, &other), kBroken);
}

TEST(LockRankDeathTest, OnlyWhatIsHeldIsReleased) {
  SpinMutex mu;
  EXPECT_DEATH(Release(&mu), kBroken);
}

TEST(LockRankTest, LocksMayBeReleasedInAnyOrder) {
  SpinMutex stripe, queue;
  stripe.Lock(LockRank::kStripe, 7);
  queue.Lock(LockRank::kQueue, 7);
  stripe.Unlock(LockRank::kStripe, 7);
  queue.Unlock(LockRank::kQueue, 7);
  SpinLock again(stripe, LockRank::kStripe, 7);
}

#endif

}  // namespace
}  // namespace entrepot
