#include "feed/ring.h"

#include <atomic>
#include <random>
#include <thread>

#include <gtest/gtest.h>

#include "unit/feed_records.h"

namespace entrepot {
namespace {

using Outcome = Ring::Outcome;

class RingTest : public ::testing::Test {
 protected:
  // Appends changes of one key each, up to `revision`, with values of `bytes`.
  void AppendUpTo(uint64_t revision, size_t bytes = 10) {
    const std::string value(bytes, 'v');
    while (last_ < revision) {
      ring_.Append(ChangeRecord(++last_, {{ChangeOp::kSet, Cause::kClient, "key", value}}));
    }
  }
  // The revisions that a reader behind `cursor` is handed.
  std::vector<uint64_t> ReadAll(Ring::Cursor* cursor, Outcome wanted = Outcome::kEnd,
                                uint64_t through = UINT64_MAX) {
    std::vector<uint64_t> revisions;
    EXPECT_EQ(ring_.Read(cursor, through, SIZE_MAX,
                         [&](const Record& record) {
                           revisions.push_back(record.revision);
                           return true;
                         }),
              wanted);
    return revisions;
  }

  uint64_t last_ = 100;
  Ring ring_{100, size_t{1} << 20};
};

TEST_F(RingTest, ShowsNothingBeforeItIsPublished) {
  AppendUpTo(103);
  Ring::Cursor cursor(100);
  EXPECT_TRUE(ReadAll(&cursor).empty());
  EXPECT_EQ(cursor.revision(), 100);
  ring_.Publish(102);
  EXPECT_EQ(ReadAll(&cursor), (std::vector<uint64_t>{101, 102}));
  ring_.Publish(103);
  EXPECT_EQ(ReadAll(&cursor), (std::vector<uint64_t>{103}));
}

TEST_F(RingTest, StopsWhereTheReaderHasHadEnough) {
  AppendUpTo(105);
  ring_.Publish(105);
  Ring::Cursor cursor(100);
  EXPECT_EQ(ring_.Read(&cursor, UINT64_MAX, SIZE_MAX,
                       [](const Record& record) { return record.revision < 102; }),
            Outcome::kMore);
  EXPECT_EQ(cursor.revision(), 102);
  EXPECT_EQ(ReadAll(&cursor, Outcome::kEnd, 104), (std::vector<uint64_t>{103, 104}));
  EXPECT_EQ(ReadAll(&cursor), (std::vector<uint64_t>{105}));
}

TEST_F(RingTest, LeavesOutWhatIsNoChange) {
  ring_.Append(ChangeRecord(100, {}, RecordType::kOutcome) +
               ChangeRecord(101, {{ChangeOp::kDelete, Cause::kClient, "key", ""}}) +
               ChangeRecord(101, {}, RecordType::kSession));
  ring_.Publish(101);
  Ring::Cursor cursor(100);
  EXPECT_EQ(ReadAll(&cursor), (std::vector<uint64_t>{101}));
}

TEST_F(RingTest, ForgetsTheOldestAndSaysSo) {
  AppendUpTo(200, /*bytes=*/100'000);
  ring_.Publish(200);
  EXPECT_GT(ring_.oldest(), 180);
  Ring::Cursor forgotten(ring_.oldest() - 1), known(ring_.oldest());
  EXPECT_TRUE(ReadAll(&forgotten, Outcome::kLost).empty());
  EXPECT_EQ(ReadAll(&known).front(), ring_.oldest() + 1);
}

TEST_F(RingTest, HoldsARecordLargerThanItself) {
  AppendUpTo(101, /*bytes=*/3 << 20);
  AppendUpTo(102);
  ring_.Publish(102);
  Ring::Cursor cursor(ring_.oldest());
  EXPECT_EQ(ReadAll(&cursor).back(), 102);
}

// Readers of any speed are handed an unbroken run, or are told that they have lost.
TEST_F(RingTest, ReadersBesideAWriterMissNothing) {
  constexpr uint64_t kEnd = 20'000;
  std::atomic<bool> broken{false};
  const auto read = [&](uint32_t seed) {
    std::mt19937 random(seed);
    Ring::Cursor cursor(100);
    while (cursor.revision() < kEnd) {
      uint64_t expected = cursor.revision();
      const Outcome outcome =
          ring_.Read(&cursor, UINT64_MAX, random() % 5000, [&](const Record& record) {
            if (record.revision != ++expected) broken = true;
            return random() % 50 != 0;
          });
      if (outcome == Outcome::kLost) cursor = Ring::Cursor(ring_.oldest());
    }
  };
  std::thread first([&] { read(1); }), second([&] { read(2); });
  while (last_ < kEnd) {
    AppendUpTo(last_ + 1, last_ % 500);
    ring_.Publish(last_);
  }
  first.join();
  second.join();
  EXPECT_FALSE(broken);
}

}  // namespace
}  // namespace entrepot
