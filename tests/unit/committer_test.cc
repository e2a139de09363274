#include "engine/committer.h"

#include <memory>

#include <gtest/gtest.h>

#include "unit/held_log.h"

namespace entrepot {
namespace {

constexpr int64_t kNowMs = 1'700'000'000'000;

class CommitterTest : public testing::Test {
 protected:
  ~CommitterTest() override { log_.LetGo(); }

  void Start(SyncPolicy policy = {}) {
    committer_ = std::make_unique<Committer>(&log_, policy, /*next_revision=*/1,
                                             [this] { progress_.fetch_add(1); });
  }

  static std::string RecordOf(size_t payload_bytes) {
    return std::string(kRecordHeaderBytes + payload_bytes, 'x');
  }
  // Appends a change; gives its revision.
  uint64_t Append(size_t payload_bytes = 8) {
    const size_t bytes = RecordBytes(payload_bytes);
    EXPECT_EQ(committer_->Reserve(bytes), Code::kOk);
    return AppendReserved(payload_bytes, bytes);
  }
  uint64_t AppendReserved(size_t payload_bytes, size_t reserved) {
    ByteBuffer record;
    record.Append(RecordOf(payload_bytes));
    const Committer::Pending pending{RecordType::kChange, &record};
    return committer_->Append({&pending, 1}, now_ms_, reserved).revision;
  }
  // What a write of `bytes` would be told.
  Code Ask(size_t bytes) {
    const Code code = committer_->Reserve(bytes);
    if (code == Code::kOk) committer_->Release(bytes);
    return code;
  }

  int64_t now_ms_ = kNowMs;
  HeldLog log_;
  std::atomic<int> progress_{0};
  std::unique_ptr<Committer> committer_;
};

TEST_F(CommitterTest, RevisionsOfManyThreadsHaveNoHoles) {
  Start();
  constexpr int kThreads = 4, kRecords = 2000;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      uint64_t last = 0;
      for (int n = 0; n < kRecords; ++n) {
        const uint64_t revision = Append(n % 50);
        EXPECT_GT(revision, last);
        last = revision;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_TRUE(Eventually([&] { return committer_->synced() == kThreads * kRecords; }));
  // The log has checked that they came without holes.
  EXPECT_EQ(log_.kept().size(), size_t{kThreads * kRecords});
  EXPECT_TRUE(Eventually([&] { return committer_->queued_bytes() == 0; }));
}

TEST_F(CommitterTest, NothingIsDurableBeforeTheLogSaysSo) {
  Start();
  log_.Hold();
  EXPECT_EQ(Append(), 1u);
  ASSERT_TRUE(log_.AwaitAppend(1));
  EXPECT_EQ(committer_->last_revision(), 1u);
  EXPECT_EQ(committer_->open(), 0u);
  EXPECT_EQ(committer_->synced(), 0u);
  EXPECT_FALSE(committer_->Passed({.open = 1}));
  EXPECT_TRUE(committer_->Passed({.open = 0}));

  log_.LetGo();
  EXPECT_TRUE(Eventually([&] { return committer_->Passed({.open = 1, .synced = 1}); }));
  EXPECT_TRUE(Eventually([&] { return progress_ > 0; }));
}

TEST_F(CommitterTest, WhoFollowsSeesNothingBeforeTheGateOpens) {
  Start();
  committer_->Follow();
  log_.Hold();
  EXPECT_EQ(Append(), 1u);
  ASSERT_TRUE(log_.AwaitAppend(1));
  EXPECT_EQ(committer_->ring().newest(), 0u);
  log_.LetGo();
  EXPECT_TRUE(Eventually([&] { return committer_->ring().newest() == 1; }));
}

TEST_F(CommitterTest, WhatGathersDuringOneAppendGoesIntoTheNext) {
  Start();
  log_.Hold();
  Append();
  ASSERT_TRUE(log_.AwaitAppend(1));
  for (uint64_t revision = 2; revision <= 100; ++revision) EXPECT_EQ(Append(), revision);
  log_.LetGo();
  ASSERT_TRUE(Eventually([&] { return committer_->synced() == 100; }));
  EXPECT_EQ(log_.groups(), 2u);
}

TEST_F(CommitterTest, LargeRecordsKeepTheirPlaceAmongSmallOnes) {
  Start();
  log_.Hold();
  const size_t sizes[] = {1, 40'000, 2, 3, 70'000, 70'001, 4};
  for (const size_t size : sizes) Append(size);
  log_.LetGo();
  ASSERT_TRUE(Eventually([&] { return committer_->synced() == std::size(sizes); }));
  const std::vector<HeldLog::Kept> kept = log_.kept();
  for (size_t i = 0; i < std::size(sizes); ++i) EXPECT_EQ(kept[i].payload.size(), sizes[i]);
}

TEST_F(CommitterTest, FullQueueHasNoRoomUntilTheLogHasTakenSome) {
  Start();
  log_.Hold();
  const size_t payload = (size_t{1} << 20) - kRecordHeaderBytes;
  for (size_t bytes = 0; bytes < kCommitQueueBytesMax; bytes += RecordBytes(payload)) {
    Append(payload);
  }
  EXPECT_EQ(Ask(8), Code::kOverloaded);
  EXPECT_EQ(committer_->queued_bytes(), kCommitQueueBytesMax);
  log_.LetGo();
  ASSERT_TRUE(Eventually([&] { return committer_->queued_bytes() == 0; }));
  EXPECT_EQ(Ask(8), Code::kOk);
  EXPECT_GT(progress_, 0);
}

TEST_F(CommitterTest, WhatWasReservedTooMuchIsGivenBack) {
  Start();
  log_.Hold();
  ASSERT_EQ(committer_->Reserve(1'000'000), Code::kOk);
  AppendReserved(8, 1'000'000);
  EXPECT_EQ(committer_->queued_bytes(), RecordBytes(8));
}

TEST_F(CommitterTest, OneRecordMayBeLargerThanTheQueue) {
  Start();
  ASSERT_EQ(committer_->Reserve(kCommitQueueBytesMax + 8), Code::kOk);
  EXPECT_EQ(Ask(8), Code::kOverloaded);
  committer_->Release(kCommitQueueBytesMax + 8);
  EXPECT_EQ(Ask(8), Code::kOk);
}

TEST_F(CommitterTest, FailedLogIsNamedAndTakesNothingMore) {
  Start();
  log_.Hold();
  Append();
  ASSERT_TRUE(log_.AwaitAppend(1));
  log_.Fail();
  ASSERT_TRUE(Eventually([&] { return committer_->failed(); }));
  EXPECT_TRUE(Eventually([&] { return progress_ > 0; }));
  EXPECT_EQ(committer_->failure(), "the disk is gone");
  EXPECT_EQ(Ask(8), Code::kUnavailable);
  EXPECT_FALSE(committer_->Passed({.open = 1}));
}

TEST_F(CommitterTest, FullDiskRefusesWritesAndEndsByItself) {
  Start();
  log_.SetFull(true);
  Append();
  ASSERT_TRUE(Eventually([&] { return Ask(8) == Code::kReadOnly; }));
  EXPECT_EQ(committer_->synced(), 0u);
  EXPECT_FALSE(committer_->failed());

  log_.SetFull(false);
  ASSERT_TRUE(Eventually([&] { return Ask(8) == Code::kOk; }));
  EXPECT_EQ(Append(), 2u);
  ASSERT_TRUE(Eventually([&] { return committer_->synced() == 2; }));
  EXPECT_EQ(log_.kept().size(), 2u);  // The record that waited was written once.
}

TEST_F(CommitterTest, WithoutSyncTheGateOpensAtWrittenUntilOneIsAskedFor) {
  Start({.kind = SyncPolicy::kNever});
  Append();
  ASSERT_TRUE(Eventually([&] { return committer_->open() == 1; }));
  EXPECT_EQ(committer_->synced(), 0u);
  EXPECT_EQ(log_.syncs(), 0u);
  EXPECT_FALSE(committer_->Passed({.open = 1, .synced = 1}));

  committer_->RequestSync();
  EXPECT_TRUE(Eventually([&] { return committer_->synced() == 1; }));
}

TEST_F(CommitterTest, GateOpensAtWhatIsOnDisk) {
  Start();
  log_.ForgetSyncs();
  Append();
  ASSERT_TRUE(Eventually([&] { return log_.groups() == 1 && progress_ > 0; }));
  EXPECT_EQ(committer_->open(), 0u);
  EXPECT_FALSE(committer_->Passed({.open = 1}));
}

TEST_F(CommitterTest, AnIntervalSyncsWithoutBeingAsked) {
  Start({.kind = SyncPolicy::kInterval, .interval_ms = 5});
  Append();
  EXPECT_TRUE(Eventually([&] { return committer_->synced() == 1; }));
}

TEST_F(CommitterTest, TimeInRecordsDoesNotFall) {
  Start();
  for (const int64_t now_ms : {kNowMs, kNowMs - 3'600'000, kNowMs + 5}) {
    now_ms_ = now_ms;
    Append();
  }
  ASSERT_TRUE(Eventually([&] { return committer_->synced() == 3; }));
  const std::vector<HeldLog::Kept> kept = log_.kept();
  EXPECT_EQ(kept[0].time_ms, kNowMs);
  EXPECT_EQ(kept[1].time_ms, kNowMs);
  EXPECT_EQ(kept[2].time_ms, kNowMs + 5);
}

TEST_F(CommitterTest, LogThatIsIdleIsMarkedOnce) {
  Start();
  Append();
  ASSERT_TRUE(Eventually([&] { return log_.marks() == 1; }));
  Append();
  EXPECT_TRUE(Eventually([&] { return log_.marks() == 2; }));
}

TEST(EngineClockTest, StaysWhereTheSystemsClockStepsBack) {
  ManualClock system(kNowMs);
  EngineClock clock(system);
  EXPECT_EQ(clock.NowMs(), kNowMs);
  system.Advance(-3'600'000);
  EXPECT_EQ(clock.NowMs(), kNowMs);
  clock.Raise(kNowMs + 1000);
  EXPECT_EQ(clock.NowMs(), kNowMs + 1000);
  clock.Raise(kNowMs);
  EXPECT_EQ(clock.NowMs(), kNowMs + 1000);
  system.Set(kNowMs + 2000);
  EXPECT_EQ(clock.NowMs(), kNowMs + 2000);
}

TEST_F(CommitterTest, StopWritesWhatIsQueued) {
  Start({.kind = SyncPolicy::kNever});
  log_.Hold();
  Append();
  ASSERT_TRUE(log_.AwaitAppend(1));
  Append();
  Append();
  log_.LetGo();
  committer_.reset();
  EXPECT_EQ(log_.kept().size(), 3u);
  EXPECT_GT(log_.syncs(), 0u);
}

}  // namespace
}  // namespace entrepot
