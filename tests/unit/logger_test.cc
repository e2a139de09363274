#include "server/logger.h"

#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "base/clock.h"
#include "base/limits.h"

namespace entrepot {
namespace {

constexpr int64_t kNoon = 1'795'521'600'000;  // 2026-11-24 12:00:00 UTC.

class LoggerTest : public testing::Test {
 protected:
  Logger::Sink Collect() {
    return [this](std::string_view line) { lines_.emplace_back(line); };
  }

  // Refuses `count` inputs in the same instant.
  static void RefuseMany(Logger& logger, int count) {
    for (int i = 0; i < count; ++i) logger.Refused("input {} refused", i);
  }

  std::vector<std::string> lines_;
  ManualClock clock_{kNoon};
};

TEST_F(LoggerTest, LineHasHourLevelAndMessage) {
  Logger logger(LogLevel::kInfo, Collect(), clock_);
  clock_.Advance(7);
  logger.Info("ready on {}", "tcp://127.0.0.1:5555");
  ASSERT_EQ(lines_.size(), 1u);
  EXPECT_EQ(lines_[0], "2026-11-24T12:00:00.007Z info    ready on tcp://127.0.0.1:5555\n");
}

TEST_F(LoggerTest, LevelsBelowTheLowestAreNotWritten) {
  Logger logger(LogLevel::kWarning, Collect(), clock_);
  logger.Debug("a");
  logger.Info("b");
  logger.Warning("c");
  logger.Error("d");
  ASSERT_EQ(lines_.size(), 2u);
  EXPECT_EQ(lines_[0], "2026-11-24T12:00:00.000Z warning c\n");
  EXPECT_EQ(lines_[1], "2026-11-24T12:00:00.000Z error   d\n");
}

TEST_F(LoggerTest, ControlCharactersCannotForgeALine) {
  Logger logger(LogLevel::kInfo, Collect(), clock_);
  logger.Info("client \"{}\"", "a\n2026 error b\x1b[2J\x7f é");
  ASSERT_EQ(lines_.size(), 1u);
  EXPECT_EQ(lines_[0],
            "2026-11-24T12:00:00.000Z info    "
            "client \"a\\x0a2026 error b\\x1b[2J\\x7f é\"\n");
}

TEST_F(LoggerTest, RefusedInputIsBoundedWithinASecondAndTheRestIsCounted) {
  Logger logger(LogLevel::kInfo, Collect(), clock_);
  RefuseMany(logger, kRefusedInputLines + 90);
  EXPECT_EQ(lines_.size(), static_cast<size_t>(kRefusedInputLines));
  clock_.Advance(999);
  logger.Refused("still the same second");
  EXPECT_EQ(lines_.size(), static_cast<size_t>(kRefusedInputLines));
  clock_.Advance(1);
  logger.Refused("the next second");
  ASSERT_EQ(lines_.size(), static_cast<size_t>(kRefusedInputLines) + 2);
  EXPECT_NE(lines_[kRefusedInputLines].find("and 91 more inputs refused"), std::string::npos);
  EXPECT_NE(lines_.back().find("the next second"), std::string::npos);
}

TEST_F(LoggerTest, OtherLinesAreNotLimitedByRefusedInput) {
  Logger logger(LogLevel::kInfo, Collect(), clock_);
  RefuseMany(logger, kRefusedInputLines + 1);
  logger.Error("the disk is full");
  EXPECT_NE(lines_.back().find("the disk is full"), std::string::npos);
}

TEST_F(LoggerTest, TimerTellsTheRestOnceTheSecondIsOver) {
  Logger logger(LogLevel::kInfo, Collect(), clock_);
  RefuseMany(logger, kRefusedInputLines + 3);
  logger.TellRefused();
  EXPECT_EQ(lines_.size(), static_cast<size_t>(kRefusedInputLines));
  clock_.Advance(1000);
  logger.TellRefused();
  logger.TellRefused();
  ASSERT_EQ(lines_.size(), static_cast<size_t>(kRefusedInputLines) + 1);
  EXPECT_NE(lines_.back().find("and 3 more inputs refused"), std::string::npos);
}

TEST_F(LoggerTest, DestructionTellsTheRest) {
  {
    Logger logger(LogLevel::kInfo, Collect(), clock_);
    RefuseMany(logger, kRefusedInputLines + 2);
  }
  EXPECT_NE(lines_.back().find("and 2 more inputs refused"), std::string::npos);
}

TEST_F(LoggerTest, ClockSetBackDoesNotSilenceRefusedInput) {
  Logger logger(LogLevel::kInfo, Collect(), clock_);
  RefuseMany(logger, kRefusedInputLines + 1);
  clock_.Advance(-3'600'000);
  logger.Refused("after the step");
  EXPECT_NE(lines_.back().find("after the step"), std::string::npos);
}

TEST_F(LoggerTest, RefusedInputIsSilentAboveWarning) {
  {
    Logger logger(LogLevel::kError, Collect(), clock_);
    RefuseMany(logger, kRefusedInputLines * 2);
  }
  EXPECT_TRUE(lines_.empty());
}

TEST_F(LoggerTest, LinesOfManyThreadsAreWholeAndNoneIsLost) {
  constexpr int kThreads = 4, kLines = 200;
  Logger logger(LogLevel::kInfo, Collect(), clock_);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&logger, t] {
      for (int i = 0; i < kLines; ++i) logger.Info("thread {} line {}", t, i);
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_EQ(lines_.size(), static_cast<size_t>(kThreads) * kLines);
  std::vector<int> next(kThreads, 0);
  for (const std::string& line : lines_) {
    const int t = line.at(line.find("thread ") + 7) - '0';
    EXPECT_TRUE(line.ends_with(fmt::format("thread {} line {}\n", t, next.at(t)++))) << line;
  }
}

}  // namespace
}  // namespace entrepot
