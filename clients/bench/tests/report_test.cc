#include <gtest/gtest.h>

#include "bench/report/objectives.h"
#include "bench/report/plot.h"
#include "bench/report/table.h"
#include "bench/run/runner.h"

namespace entrepot::bench {
namespace {

TEST(FormatDurationTest, ThreeDigitsAndAUnit) {
  EXPECT_EQ(FormatDuration(812), "812 ns");
  EXPECT_EQ(FormatDuration(1250), "1.25 µs");
  EXPECT_EQ(FormatDuration(45'600'000), "45.6 ms");
  EXPECT_EQ(FormatDuration(2e9), "2.00 s");
}

TEST(ObjectivesTest, UnitsScaleDurations) {
  const auto objectives = ParseObjectives("p99<2ms,p99.9<1s,rate>100000");
  ASSERT_TRUE(objectives.ok());
  ASSERT_EQ(objectives->size(), 3u);
  EXPECT_EQ((*objectives)[0].limit, 2e6);
  EXPECT_EQ((*objectives)[1].field, "p99_9");
  EXPECT_FALSE((*objectives)[2].below);
}

nlohmann::json RowWithP99(double p99, nlohmann::json void_reason) {
  nlohmann::json row = {{"name", "main"},
                        {"swept", nlohmann::json::object()},
                        {"latency_ns", {{"p99", p99}}},
                        {"rate", 10.0}};
  row["void"] = std::move(void_reason);
  return {{"rows", {row}}};
}

TEST(ObjectivesTest, AVoidRowMeetsNothing) {
  const auto objectives = ParseObjectives("p99<2ms");
  EXPECT_TRUE(FindMissed(*objectives, RowWithP99(1e6, nullptr)).empty());
  EXPECT_EQ(FindMissed(*objectives, RowWithP99(3e6, nullptr)).size(), 1u);
  EXPECT_EQ(FindMissed(*objectives, RowWithP99(1e6, "the tester was the limit")).size(), 1u);
}

class VoidReasonTest : public testing::Test {
 protected:
  VoidReasonTest() {
    plan_.groups.emplace_back();
    plan_.server_pid = 1;
    result_.groups.emplace_back(/*open_loop=*/true, /*raw_samples=*/false);
    Window window;
    window.to_ns = 1'000'000'000;
    result_.groups[0].SetWindow(window);
    result_.seconds = 1;
  }

  std::string Reason(double server_busy, double tester_busy) {
    result_.server_cpu_seconds = server_busy;
    result_.tester_cpu_seconds = tester_busy;
    return FindVoidReason(plan_, result_);
  }

  RunPlan plan_;
  RunResult result_;
};

TEST_F(VoidReasonTest, ABusyTesterBesideAnIdleServerIsTheLimit) {
  EXPECT_NE(Reason(0.5, 0.97), "");
  EXPECT_EQ(Reason(0.97, 0.97), "");
  EXPECT_EQ(Reason(0.5, 0.5), "");
}

TEST_F(VoidReasonTest, EachThreadOfTheTesterHasACore) {
  plan_.threads = 2;
  EXPECT_EQ(Reason(0.5, 1.0), "");
  EXPECT_NE(Reason(0.5, 1.95), "");
}

TEST_F(VoidReasonTest, ABusyTesterBesideAnUnknownServerIsTheLimit) {
  plan_.server_pid = 0;
  EXPECT_NE(Reason(0, 0.97), "");
  EXPECT_EQ(Reason(0, 0.5), "");
}

TEST_F(VoidReasonTest, LatenciesThatAreTheTestersOwnDelayAreVoid) {
  Batch batch;
  batch.started_ns = 1000;
  batch.requests = 1;
  result_.groups[0].Finish(batch, 101'000);
  result_.groups[0].NoteLate(1000, 31'000);
  EXPECT_EQ(Reason(0.1, 0.1), "");
  result_.groups[0].NoteLate(1000, 91'000);
  EXPECT_NE(Reason(0.1, 0.1), "");
}

TEST(PlotTest, NothingMeasuredIsSaid) {
  EXPECT_NE(DrawPlot(Plot()).find("Nothing was measured."), std::string::npos);
}

TEST(PlotTest, NamesAreEscaped) {
  Plot plot;
  plot.title = "<a & b>";
  EXPECT_NE(DrawPlot(plot).find("&lt;a &amp; b&gt;"), std::string::npos);
}

}  // namespace
}  // namespace entrepot::bench
