// Counters and percentiles.

#include "server/metrics.h"

#include <algorithm>
#include <random>

#include <gtest/gtest.h>

namespace entrepot {
namespace {

TEST(MetricsTest, EveryTimeIsInABucketThatIsWithinAnEighth) {
  for (uint64_t micros = 0; micros < 100'000'000; micros += 1 + micros / 7) {
    const size_t bucket = LatencyHistogram::BucketOf(micros);
    const uint64_t upper = LatencyHistogram::UpperOf(bucket);
    EXPECT_GE(upper, micros);
    EXPECT_LE(upper, micros + micros / 8 + 1);
    if (bucket > 0) {
      EXPECT_LT(LatencyHistogram::UpperOf(bucket - 1), micros);
    }
  }
}

TEST(MetricsTest, PercentilesAgreeWithSortedSamples) {
  Metrics metrics;
  ThreadMetrics* const threads[] = {metrics.NewThread(), metrics.NewThread()};
  std::mt19937 random(1);
  std::vector<uint64_t> samples;
  for (int i = 0; i < 10'000; ++i) {
    samples.push_back(random() % 1'000 * (random() % 100));
    threads[i % 2]->latency.Record(samples.back());
  }
  std::sort(samples.begin(), samples.end());
  for (const double share : {0.5, 0.9, 0.99, 0.999, 1.0}) {
    const uint64_t exact = samples[static_cast<size_t>(share * 10'000) - 1];
    const uint64_t told = metrics.Sum().Percentile(share);
    EXPECT_GE(told, exact);
    EXPECT_LE(told, exact + exact / 8 + 1);
  }
}

TEST(MetricsTest, WithoutSamplesThereIsNoTime) { EXPECT_EQ(Metrics().Sum().Percentile(0.99), 0u); }

TEST(MetricsTest, CountsOfThreadsAddUp) {
  Metrics metrics;
  metrics.NewThread()->requests[static_cast<size_t>(Method::kGet)].Add(2);
  metrics.NewThread()->requests[static_cast<size_t>(Method::kGet)].Add(3);
  EXPECT_EQ(metrics.Sum().requests[static_cast<size_t>(Method::kGet)], 5u);
}

}  // namespace
}  // namespace entrepot
