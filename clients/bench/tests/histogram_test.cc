#include "bench/run/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "bench/run/measurement.h"
#include "bench/workload/random.h"

namespace entrepot::bench {
namespace {

uint64_t NearestRank(const std::vector<uint64_t>& sorted, double share) {
  const double rank = std::ceil(share * static_cast<double>(sorted.size()));
  return sorted[static_cast<size_t>(std::max(1.0, rank)) - 1];
}

TEST(HistogramTest, QuantilesAgreeWithSortedSamples) {
  Random random(7);
  Histogram histogram;
  std::vector<uint64_t> samples;
  for (int i = 0; i < 100'000; ++i) {
    // From nanoseconds to minutes, each magnitude as often as the other.
    const uint64_t sample = random.Next() >> (27 + random.Below(36));
    samples.push_back(std::min(sample, Histogram::kDurationMax));
    histogram.Record(sample, 1);
  }
  std::sort(samples.begin(), samples.end());
  for (const double share : {0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999}) {
    const double exact = static_cast<double>(NearestRank(samples, share));
    EXPECT_NEAR(static_cast<double>(histogram.Quantile(share)), exact, exact * 0.002 + 0.5)
        << share;
  }
  EXPECT_EQ(histogram.Quantile(1), samples.back());
  EXPECT_EQ(histogram.max(), samples.back());
}

TEST(HistogramTest, SmallDurationsAreExact) {
  Histogram histogram;
  for (uint64_t duration = 0; duration < 512; ++duration) histogram.Record(duration, 1);
  for (uint64_t rank = 1; rank <= 512; ++rank) {
    EXPECT_EQ(histogram.Quantile(static_cast<double>(rank) / 512), rank - 1);
  }
}

TEST(HistogramTest, CountsWeighAndMergingAdds) {
  Histogram one, two;
  one.Record(1000, 99);
  two.Record(1'000'000, 1);
  one.Merge(two);
  EXPECT_EQ(one.count(), 100u);
  EXPECT_NEAR(static_cast<double>(one.Quantile(0.99)), 1000, 2);
  EXPECT_EQ(one.Quantile(0.991), 1'000'000u);
  EXPECT_NEAR(one.mean(), (99 * 1000 + 1'000'000) / 100.0, 0.01);
}

TEST(HistogramTest, LongerThanTheMaximumCountsAsTheMaximum) {
  Histogram histogram;
  histogram.Record(UINT64_MAX, 3);
  EXPECT_EQ(histogram.count(), 3u);
  EXPECT_EQ(histogram.Quantile(0.5), Histogram::kDurationMax);
}

TEST(HistogramTest, AnEmptyOneSaysZero) {
  EXPECT_EQ(Histogram().Quantile(0.99), 0u);
  EXPECT_EQ(Histogram().mean(), 0);
}

class MeasurementTest : public testing::Test {
 protected:
  static constexpr uint64_t kSecond = 1'000'000'000;

  static Measurement Make(bool open_loop) {
    Measurement measurement(open_loop, /*raw_samples=*/true);
    Window window;
    window.from_ns = 10 * kSecond;
    window.to_ns = 20 * kSecond;
    measurement.SetWindow(window);
    return measurement;
  }

  static Batch Started(uint64_t at_ns, uint32_t requests) {
    Batch batch;
    batch.started_ns = at_ns;
    batch.requests = requests;
    return batch;
  }
};

TEST_F(MeasurementTest, ClosedLoopCountsWhatIsAnsweredInTheWindow) {
  Measurement measurement = Make(/*open_loop=*/false);
  measurement.Finish(Started(9 * kSecond, 1), 9 * kSecond + 1);
  measurement.Finish(Started(9 * kSecond, 2), 11 * kSecond);
  measurement.Finish(Started(19 * kSecond, 4), 20 * kSecond);
  EXPECT_EQ(measurement.requests, 2u);
  EXPECT_EQ(measurement.raw(), (std::vector<uint64_t>{2 * kSecond, 2 * kSecond}));
  EXPECT_EQ(measurement.all_requests, 7u);
}

TEST_F(MeasurementTest, OpenLoopMeasuresWhatWasDueInTheWindow) {
  Measurement measurement = Make(/*open_loop=*/true);
  measurement.Finish(Started(9 * kSecond, 1), 11 * kSecond);   // Due too early.
  measurement.Finish(Started(19 * kSecond, 1), 25 * kSecond);  // Answered late.
  EXPECT_EQ(measurement.requests, 1u);
  EXPECT_EQ(measurement.raw(), (std::vector<uint64_t>{6 * kSecond}));
}

TEST_F(MeasurementTest, WhatIsGivenUpCountsWithTheTimeItWaited) {
  Measurement measurement = Make(/*open_loop=*/true);
  measurement.GiveUp(15 * kSecond, 3, 25 * kSecond);
  measurement.GiveUp(20 * kSecond, 1, 25 * kSecond);  // Due after the window.
  EXPECT_EQ(measurement.unfinished, 3u);
  EXPECT_EQ(measurement.Total().count(), 3u);
  EXPECT_EQ(measurement.Total().max(), 10 * kSecond);
}

}  // namespace
}  // namespace entrepot::bench
