#include "store/epoch.h"

#include <atomic>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace entrepot {
namespace {

// Enough that the end of a turn looks for what can be freed.
constexpr int kMany = 64;

class EpochTest : public testing::Test {
 protected:
  EpochTest() { freed_ = 0; }

  static void Free(void* memory) {
    ++freed_;
    delete static_cast<int*>(memory);
  }
  static void RetireMany(Epochs::Participant* participant) {
    participant->Enter();
    for (int i = 0; i < kMany; ++i) participant->Retire(new int(i), sizeof(int), Free);
    participant->Leave();
  }
  // Turns in which the participant retires a batch each, which lets earlier ones be freed.
  static void SomeTurns(Epochs::Participant* participant) {
    for (int i = 0; i < 5; ++i) RetireMany(participant);
  }

  static inline std::atomic<int> freed_;
  Epochs epochs_;
};

TEST_F(EpochTest, WhatIsRetiredIsNotFreedInTheSameTurn) {
  Epochs::Participant participant(&epochs_);
  participant.Enter();
  for (int i = 0; i < 10 * kMany; ++i) participant.Retire(new int(i), sizeof(int), Free);
  EXPECT_EQ(freed_, 0);
  participant.Leave();
}

TEST_F(EpochTest, WhatIsRetiredIsFreedSomeTurnsLater) {
  Epochs::Participant participant(&epochs_);
  RetireMany(&participant);
  SomeTurns(&participant);
  EXPECT_GE(freed_, kMany);
  EXPECT_EQ(participant.waiting(), static_cast<size_t>(6 * kMany - freed_));
}

TEST_F(EpochTest, NothingIsFreedWhileATurnFromBeforeLasts) {
  Epochs::Participant reader(&epochs_), writer(&epochs_);
  reader.Enter();
  SomeTurns(&writer);
  EXPECT_EQ(freed_, 0);
  reader.Leave();
  SomeTurns(&writer);
  EXPECT_GE(freed_, 5 * kMany);
}

TEST_F(EpochTest, OutermostTurnCounts) {
  Epochs::Participant reader(&epochs_), writer(&epochs_);
  reader.Enter();
  reader.Enter();
  reader.Leave();
  SomeTurns(&writer);
  EXPECT_EQ(freed_, 0);
  reader.Leave();
  SomeTurns(&writer);
  EXPECT_GT(freed_, 0);
}

TEST_F(EpochTest, IdleParticipantHoldsNothingUp) {
  Epochs::Participant idle(&epochs_), writer(&epochs_);
  idle.Enter();
  idle.Leave();
  SomeTurns(&writer);
  SomeTurns(&writer);
  EXPECT_GT(freed_, 0);
}

TEST_F(EpochTest, WhatAParticipantLeavesBehindIsFreedByOthers) {
  Epochs::Participant writer(&epochs_);
  {
    Epochs::Participant gone(&epochs_);
    gone.Enter();
    gone.Retire(new int(0), sizeof(int), [](void* memory) {
      freed_ += 1000;
      delete static_cast<int*>(memory);
    });
    gone.Leave();
  }
  EXPECT_EQ(freed_, 0);
  SomeTurns(&writer);
  SomeTurns(&writer);
  EXPECT_GE(freed_, 1000);
}

TEST_F(EpochTest, WhatIsLeftIsFreedInTheEnd) {
  {
    Epochs epochs;
    Epochs::Participant participant(&epochs);
    participant.Enter();
    participant.Retire(new int(1), sizeof(int), Free);
    participant.Leave();
  }
  EXPECT_EQ(freed_, 1);
}

TEST_F(EpochTest, ReadersNeverSeeWhatWasFreed) {
  constexpr size_t kReplacements = 30'000;
  // What is freed is only marked, so that a reader who comes too late is seen and not undefined.
  struct Shared {
    std::atomic<bool> alive{true};
  };
  std::vector<Shared> all(kReplacements + 1);
  std::atomic<Shared*> present = &all[0];
  std::atomic<bool> done{false};
  std::atomic<int> seen_dead{0};
  {
    Epochs epochs;
    std::vector<std::thread> readers;
    for (int i = 0; i < 2; ++i) {
      readers.emplace_back([&] {
        Epochs::Participant participant(&epochs);
        while (!done) {
          participant.Enter();
          const Shared* const found = present.load(std::memory_order_acquire);
          for (int look = 0; look < 20; ++look) seen_dead += found->alive ? 0 : 1;
          participant.Leave();
        }
      });
    }
    {
      Epochs::Participant writer(&epochs);
      for (size_t i = 1; i <= kReplacements; ++i) {
        writer.Enter();
        Shared* const old = present.exchange(&all[i], std::memory_order_acq_rel);
        writer.Retire(old, sizeof(Shared), [](void* memory) {
          static_cast<Shared*>(memory)->alive = false;
          ++freed_;
        });
        writer.Leave();
      }
    }
    done = true;
    for (std::thread& reader : readers) reader.join();
  }
  EXPECT_EQ(seen_dead, 0);
  EXPECT_EQ(freed_, static_cast<int>(kReplacements));
}

}  // namespace
}  // namespace entrepot
