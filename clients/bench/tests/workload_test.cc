#include "bench/workload/workload.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <vector>

#include "bench/run/schedule.h"
#include "bench/workload/request_source.h"
#include "bench/workload/verifier.h"

namespace entrepot::bench {
namespace {

WorkloadOptions Small(uint64_t keys) {
  WorkloadOptions options;
  options.keys = keys;
  return options;
}

TEST(MixTest, SharesAreKept) {
  Random random(3);
  const Result<Mix> mix = Mix::Parse("get=80,set=15,find=5");
  ASSERT_TRUE(mix.ok());
  std::map<Kind, int> drawn;
  constexpr int kDraws = 200'000;
  for (int i = 0; i < kDraws; ++i) ++drawn[mix->Draw(&random)];
  EXPECT_NEAR(drawn[Kind::kGet], 0.80 * kDraws, 0.01 * kDraws);
  EXPECT_NEAR(drawn[Kind::kSet], 0.15 * kDraws, 0.01 * kDraws);
  EXPECT_NEAR(drawn[Kind::kFind], 0.05 * kDraws, 0.01 * kDraws);
  EXPECT_EQ(drawn.size(), 3u);
}

TEST(MixTest, PresetsAreThoseOfYcsb) {
  EXPECT_EQ(Mix::Parse("ycsb-a")->ToString(), "get=50,set=50");
  EXPECT_EQ(Mix::Parse("ycsb-b")->ToString(), "get=95,set=5");
  EXPECT_EQ(Mix::Parse("ycsb-c")->ToString(), "get=100");
}

TEST(MixTest, NonsenseIsRefused) {
  for (const char* const text : {"", "get=0", "get=-1", "get=", "index_add=1", "get=1,put=2"}) {
    EXPECT_FALSE(Mix::Parse(text).ok()) << text;
  }
}

// The share of the hottest key under zipf is 1 / zeta(keys, 0.99).
TEST(KeyChooserTest, ZipfHasItsHead) {
  constexpr uint64_t kKeys = 1000;
  constexpr int kDraws = 200'000;
  double zeta = 0;
  for (uint64_t rank = 1; rank <= kKeys; ++rank) {
    zeta += std::pow(1.0 / static_cast<double>(rank), KeyChooser::kZipfExponent);
  }
  const KeyChooser chooser(Distribution::kZipf, kKeys);
  Random random(5);
  std::map<uint64_t, int> drawn;
  for (int i = 0; i < kDraws; ++i) ++drawn[chooser.Draw(kKeys, &random)];
  int most = 0;
  for (const auto& [key, count] : drawn) {
    EXPECT_LT(key, kKeys);
    most = std::max(most, count);
  }
  EXPECT_NEAR(most, kDraws / zeta, 0.05 * kDraws / zeta);
}

TEST(KeyChooserTest, LatestPrefersTheNewestKey) {
  const KeyChooser chooser(Distribution::kLatest, 1000);
  Random random(5);
  std::map<uint64_t, int> drawn;
  for (int i = 0; i < 100'000; ++i) ++drawn[chooser.Draw(1500, &random)];
  EXPECT_EQ(drawn.rbegin()->first, 1499u);
  for (const auto& [key, count] : drawn) EXPECT_LE(count, drawn[1499]) << key;
}

TEST(WorkloadTest, GroupsAreTheFirstCharactersOfTheirValuesAndDiffer) {
  const Workload workload(Small(1000));
  std::set<std::string> groups;
  for (uint64_t key = 0; key < 1000; ++key) {
    const std::string value = workload.ValueText(key, workload.LoadNonce(key));
    EXPECT_EQ(value.size(), 32u);
    EXPECT_TRUE(value.starts_with(workload.GroupText(key)));
    groups.insert(workload.GroupText(key));
  }
  EXPECT_EQ(groups.size(), 100u);
}

TEST(WorkloadTest, ValuesDifferByTheirNonce) {
  const Workload workload(Small(10));
  EXPECT_NE(workload.ValueText(3, 1), workload.ValueText(3, 2));
  EXPECT_NE(workload.ValueText(3, 1), workload.ValueText(3, 1 + 1024));
}

TEST(RequestSourceTest, LoadingTouchesEachKeyOnce) {
  Workload workload(Small(1001));
  const Mix mix;
  std::multiset<uint64_t> keys;
  for (uint64_t client = 0; client < 7; ++client) {
    RequestSource source(&workload, &mix, RequestSource::Keys::kLoading, client, 7);
    for (Request request; source.Next(&request);) keys.insert(request.key);
  }
  EXPECT_EQ(keys.size(), 1001u);
  EXPECT_EQ(std::set<uint64_t>(keys.begin(), keys.end()).size(), 1001u);
}

TEST(RequestSourceTest, PartitionsAreDisjointAndCoverAll) {
  Workload workload(Small(100));
  const Mix mix;
  std::set<uint64_t> all;
  for (uint64_t client = 0; client < 7; ++client) {
    RequestSource source(&workload, &mix, RequestSource::Keys::kPartitioned, client, 7);
    std::set<uint64_t> mine;
    Request request;
    for (int i = 0; i < 5000 && source.Next(&request); ++i) mine.insert(request.key);
    for (const uint64_t key : mine) {
      EXPECT_LT(key, 100u);
      EXPECT_TRUE(all.insert(key).second) << key << " belongs to two clients";
    }
  }
  EXPECT_EQ(all.size(), 100u);
}

TEST(ScheduleTest, ArrivalsKeepTheirRate) {
  for (const Arrival arrival : {Arrival::kConstant, Arrival::kPoisson}) {
    Schedule schedule(arrival, 1000, 5'000'000, 11);
    uint64_t before = 5'000'000;
    for (int i = 0; i < 100'000; ++i) {
      EXPECT_GE(schedule.due_ns(), before);
      before = schedule.due_ns();
      schedule.Advance();
    }
    EXPECT_NEAR(static_cast<double>(before), 100e9, 1e9);
  }
}

class VerifierTest : public testing::Test {
 protected:
  VerifierTest() : workload_(Small(100)), verifier_(&workload_, /*exact_finds=*/true) {}

  Expectation Expect(Kind kind, uint64_t key, uint64_t nonce = 0) {
    return verifier_.Expect({kind, 32, key, nonce});
  }

  bool Accepts(const Expectation& expectation, Outcome outcome, std::string_view value = "",
               int64_t number = 0) {
    Reply reply;
    reply.outcome = outcome;
    reply.value = value;
    reply.number = number;
    reply.found = &found_;
    return !verifier_.Check(expectation, reply).has_value();
  }

  Workload workload_;
  Verifier verifier_;
  std::vector<std::string_view> found_;
};

TEST_F(VerifierTest, AGetShowsTheLastSetBeforeIt) {
  const Expectation loaded = Expect(Kind::kGet, 5);
  const Expectation set = Expect(Kind::kSet, 5, 42);
  const Expectation changed = Expect(Kind::kGet, 5);
  const std::string old_value = workload_.ValueText(5, workload_.LoadNonce(5));
  const std::string new_value = workload_.ValueText(5, 42);
  EXPECT_TRUE(Accepts(loaded, Outcome::kFound, old_value));
  EXPECT_FALSE(Accepts(loaded, Outcome::kFound, new_value));
  EXPECT_FALSE(Accepts(loaded, Outcome::kNotFound));
  EXPECT_TRUE(Accepts(set, Outcome::kUpdated));
  EXPECT_FALSE(Accepts(set, Outcome::kCreated));
  EXPECT_TRUE(Accepts(changed, Outcome::kFound, new_value));
  EXPECT_FALSE(Accepts(changed, Outcome::kFound, old_value));
}

TEST_F(VerifierTest, WhatWasDeletedIsGone) {
  EXPECT_TRUE(Accepts(Expect(Kind::kDelete, 5), Outcome::kDeleted));
  const Expectation get = Expect(Kind::kGet, 5);
  EXPECT_TRUE(Accepts(get, Outcome::kNotFound));
  EXPECT_FALSE(Accepts(get, Outcome::kFound, workload_.ValueText(5, workload_.LoadNonce(5))));
  EXPECT_FALSE(Accepts(Expect(Kind::kDelete, 5), Outcome::kDeleted));
  EXPECT_TRUE(Accepts(Expect(Kind::kSet, 5, 1), Outcome::kCreated));
}

TEST_F(VerifierTest, AnIncrementCountsOnce) {
  EXPECT_TRUE(Accepts(Expect(Kind::kIncrement, 5), Outcome::kOk, "", 1001));
  EXPECT_TRUE(Accepts(Expect(Kind::kIncrement, 5), Outcome::kOk, "", 1002));
  EXPECT_FALSE(Accepts(Expect(Kind::kIncrement, 5), Outcome::kOk, "", 1002));
}

}  // namespace
}  // namespace entrepot::bench
