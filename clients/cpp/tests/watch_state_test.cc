// The state machine of a watch, told what a server might say.

#include "watch_state.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "watch_script.h"

namespace entrepot {
namespace {

using testing::Accepts;
using testing::InWords;
using testing::Json;
using testing::Message;
using testing::MethodAndParams;
using testing::SetEvent;
using testing::SnapshotEvent;
using Phase = WatchState::Phase;
using Words = std::vector<std::string>;

constexpr const char* kHistory = "0123456789abcdef";

Json OptionsOf(WatchState& state) { return MethodAndParams(state.Request())[1][0]; }

Status Says(StatusCode code) { return Status(code, "as the test says"); }

// A watch that has been accepted as number 1 of revision 10.
WatchState Begun(const WatchOptions& options = {}) {
  WatchState state("a:", options);
  state.Request();
  EXPECT_EQ(state.Accepted(Accepts(1, kHistory, 10)), 1U);
  return state;
}

TEST(WatchStateTest, ASnapshotIsAskedForUnlessTheCallerSaysOtherwise) {
  WatchState with_snapshot("a:", {});
  EXPECT_EQ(OptionsOf(with_snapshot),
            Json({{"key_prefix", "a:"}, {"snapshot", true}, {"values", true}, {"credit", 1024}}));
  WatchState from_now("", {.snapshot = false, .values = false, .credit = 7});
  EXPECT_EQ(OptionsOf(from_now), Json({{"values", false}, {"credit", 7}}));
  WatchState since("", {.query = Query("red"), .since = Token{kHistory, 5}});
  EXPECT_EQ(OptionsOf(since),
            Json({{"query", "red"}, {"since", {kHistory, 5}}, {"values", true}, {"credit", 1024}}));
}

TEST(WatchStateTest, ASnapshotHasNoTokenBeforeItIsWhole) {
  WatchState state = Begun();
  const WatchBatch first = state.Told(Message(1, {SnapshotEvent("a:1", 1, 3)}, 10));
  EXPECT_EQ(InWords(first.events), Words{"snapshot a:1"});
  EXPECT_EQ(first.token, std::nullopt);
  EXPECT_EQ(state.phase(), Phase::kTelling);
  const WatchBatch last = state.Told(Message(1, {SetEvent("a:1", 2, 11, 3)}, 12, true));
  EXPECT_EQ(InWords(last.events), (Words{"set a:1@11", "synced 12"}));
  EXPECT_EQ(last.token, (Token{kHistory, 12}));
  EXPECT_EQ(state.phase(), Phase::kLive);
}

TEST(WatchStateTest, ACutOffWatchGoesOnBehindWhatItWasTold) {
  WatchState state = Begun();
  state.Told(Message(1, {}, 10, true));
  state.Told(Message(1, {SetEvent("a:1", 1, 11)}, 15));
  EXPECT_TRUE(state.CutOff().events.empty());
  EXPECT_EQ(OptionsOf(state)["since"], Json({kHistory, 15}));
  state.Accepted(Accepts(2, kHistory, 20));
  const WatchBatch resumed = state.Told(Message(2, {}, 20, true));
  EXPECT_EQ(InWords(resumed.events), Words{"synced 20"});
  EXPECT_EQ(std::get<event::Synced>(resumed.events[0]).resumed_after, 15U);
}

TEST(WatchStateTest, ProgressMovesTheTokenOn) {
  WatchState state = Begun({.snapshot = false});
  EXPECT_EQ(state.token(), (Token{kHistory, 10})) << "the begin, before anything was told";
  const WatchBatch progress = state.Told(Message(1, {}, 17));
  EXPECT_TRUE(progress.events.empty());
  EXPECT_EQ(progress.token, (Token{kHistory, 17}));
}

TEST(WatchStateTest, AnInterruptedSnapshotIsTakenAgainAndSaidSo) {
  WatchState state = Begun();
  state.Told(Message(1, {SnapshotEvent("a:1", 1, 3)}, 10));
  EXPECT_EQ(InWords(state.CutOff().events), Words{"resync interrupted"});
  EXPECT_EQ(OptionsOf(state)["snapshot"], true);
}

TEST(WatchStateTest, ACutWhileAskingSaysNothing) {
  WatchState state("a:", {});
  EXPECT_TRUE(state.CutOff().events.empty());
}

TEST(WatchStateTest, WhenTheHistoryIsGoneASnapshotFollows) {
  for (const StatusCode code : {StatusCode::kHistoryLost, StatusCode::kUnknownHistory}) {
    WatchState state("a:", {.since = Token{kHistory, 5}, .snapshot = false});
    state.Request();
    const std::optional<WatchBatch> batch = state.Refused(Says(code));
    ASSERT_TRUE(batch);
    EXPECT_EQ(InWords(batch->events), Words{"resync " + std::string(StatusCodeName(code))});
    EXPECT_EQ(batch->token, std::nullopt);
    const Json options = OptionsOf(state);
    EXPECT_EQ(options["snapshot"], true);
    EXPECT_FALSE(options.contains("since"));
  }
}

TEST(WatchStateTest, OtherErrorsAreNotForASnapshot) {
  WatchState state = Begun();
  EXPECT_FALSE(state.Refused(Says(StatusCode::kOverloaded)));
  EXPECT_EQ(InWords(state.CutOff().events), Words{"resync interrupted"});
}

TEST(WatchStateTest, AnAnswerThatLacksSomethingIsNotOfTheProtocol) {
  WatchState state("", {});
  state.Request();
  EXPECT_EQ(state.Accepted(testing::Pack({{"watch", 1}, {"version", 3}})), std::nullopt);
  EXPECT_FALSE(state.has_begun());
}

TEST(WatchStateTest, TheServerIsAllowedMoreWhenHalfWasTaken) {
  WatchState state = Begun({.snapshot = false, .credit = 4});
  state.Told(Message(
      1, {SetEvent("a", 1, 11), SetEvent("b", 1, 12), SetEvent("c", 1, 13), SetEvent("d", 1, 14)},
      14));
  EXPECT_EQ(state.TakeCreditDue(), 0U) << "none was taken";
  state.Taken(1);
  EXPECT_EQ(state.TakeCreditDue(), 0U);
  state.Taken(1);
  EXPECT_EQ(state.TakeCreditDue(), 2U);
  EXPECT_EQ(state.TakeCreditDue(), 0U) << "it is given once";
}

TEST(WatchStateTest, AnOverdrawnTransactionIsPaidBackFirst) {
  WatchState state = Begun({.snapshot = false, .credit = 2});
  std::vector<Json> transaction;
  for (int i = 0; i < 6; ++i) transaction.push_back(SetEvent(std::to_string(i), i, 11));
  state.Told(Message(1, transaction, 11));
  state.Taken(5);
  EXPECT_EQ(state.TakeCreditDue(), 5U) << "four that it took too many, and one to come";
}

TEST(WatchStateTest, WhatWasNotTakenCountsWhenItAsksAgain) {
  WatchState state = Begun({.snapshot = false, .credit = 4});
  state.Told(Message(1, {SetEvent("a", 1, 11), SetEvent("b", 1, 12), SetEvent("c", 1, 13)}, 13));
  state.CutOff();
  EXPECT_EQ(OptionsOf(state)["credit"], 1);
  EXPECT_EQ(state.TakeCreditDue(), 0U) << "there is no watch to allow anything";
}

TEST(WatchStateTest, EventsOfAnUnknownKindUseUpCreditAndAreLeftOut) {
  WatchState state = Begun({.snapshot = false, .credit = 2});
  Json unknown = SetEvent("a", 1, 11);
  unknown["op"] = "renamed";
  EXPECT_TRUE(state.Told(Message(1, {unknown, unknown}, 11)).events.empty());
  EXPECT_EQ(state.TakeCreditDue(), 2U);
}

}  // namespace
}  // namespace entrepot
