// What the client does when answers do not come, come late, or say "not now": the rules of
// docs/CLIENTS.md, one by one, against a server that answers as the test says.

#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "entrepot/client.h"
#include "scripted_server.h"

namespace entrepot {
namespace {

using testing::ScriptedServer;
using Call = ScriptedServer::Call;
using Answer = ScriptedServer::Answer;
using Json = ScriptedServer::Json;
using Clock = std::chrono::steady_clock;

const Answer kCreated{.result = {{"status", "created"}, {"version", 1}}};

// A script that lets the first `count` bodies go unanswered.
ScriptedServer::Script SilentFor(int count) {
  return [count, seen = 0](const Call&) mutable -> std::optional<Answer> {
    if (seen++ < count) return std::nullopt;
    return kCreated;
  };
}

// What each call that has arrived carried as `once`.
std::vector<Json> OnceOf(const ScriptedServer& server) {
  std::vector<Json> once;
  for (const Call& call : server.calls()) once.push_back(call.once());
  return once;
}

int64_t MillisecondsSince(Clock::time_point begin) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin).count();
}

TEST(RetryTest, ACallWithoutAnAnswerIsSentAgainWithTheSameBytes) {
  ScriptedServer server(SilentFor(2));
  Client client(server.endpoint(), {.timeout_ms = 2000});
  EXPECT_EQ(client.Set("a", 1)->status, OutcomeStatus::kCreated);
  const std::vector<std::string> bodies = server.bodies();
  ASSERT_EQ(bodies.size(), 3U);
  EXPECT_EQ(bodies[0], bodies[1]);
  EXPECT_EQ(bodies[0], bodies[2]);
}

TEST(RetryTest, EveryWriteCarriesOnceAndNoReadDoes) {
  ScriptedServer server([](const Call&) { return std::optional(kCreated); });
  Client client(server.endpoint());
  ASSERT_TRUE(client.Set("a", 1).ok());
  ASSERT_TRUE(client.Increment("a").ok());
  ASSERT_TRUE(client.Delete("a").ok());
  ASSERT_TRUE(client.Call(request::Raw(WireRequest("get").AddKey("a"))).ok());
  EXPECT_EQ(OnceOf(server), (std::vector<Json>{{"s1", 1, 0}, {"s1", 2, 1}, {"s1", 3, 2}, nullptr}));
}

TEST(RetryTest, AttemptsAreEqualSharesOfTheDeadline) {
  ScriptedServer server(SilentFor(1000));
  Client client(server.endpoint(), {.timeout_ms = 800, .retries = 3});
  const Clock::time_point begin = Clock::now();
  const Result<Outcome> outcome = client.Set("a", 1);
  EXPECT_EQ(outcome.status().code(), StatusCode::kTimeout);
  EXPECT_TRUE(outcome.status().maybe_applied());
  EXPECT_GE(MillisecondsSince(begin), 800);
  EXPECT_EQ(server.bodies().size(), 4U);
}

TEST(RetryTest, AReadThatTimesOutHasAppliedNothing) {
  ScriptedServer server(SilentFor(1000));
  Client client(server.endpoint(), {.timeout_ms = 100});
  const Status status = client.Get("a").status();
  EXPECT_EQ(status.code(), StatusCode::kTimeout);
  EXPECT_FALSE(status.maybe_applied());
}

TEST(RetryTest, WithoutRetriesNothingIsSentTwiceAndNothingCarriesOnce) {
  ScriptedServer server(SilentFor(1000));
  Client client(server.endpoint(), {.timeout_ms = 300, .retries = 0});
  EXPECT_EQ(client.Set("a", 1).status().code(), StatusCode::kTimeout);
  EXPECT_EQ(OnceOf(server), std::vector<Json>{nullptr});
}

TEST(RetryTest, ACallMayChooseItsOwnTimeAndRetries) {
  ScriptedServer server(SilentFor(1000));
  Client client(server.endpoint(), {.timeout_ms = 60'000});
  const Clock::time_point begin = Clock::now();
  EXPECT_EQ(client.Get("a", {.call = {.timeout_ms = 100, .retries = 1}}).status().code(),
            StatusCode::kTimeout);
  EXPECT_LT(MillisecondsSince(begin), 30'000);
  EXPECT_EQ(server.bodies().size(), 2U);
}

TEST(RetryTest, OverloadedIsSentAgainUntilItRuns) {
  ScriptedServer server([refused = 0](const Call&) mutable -> std::optional<Answer> {
    if (refused++ < 3) return ScriptedServer::Error("overloaded", "later");
    return kCreated;
  });
  Client client(server.endpoint());
  EXPECT_EQ(client.Set("a", 1)->status, OutcomeStatus::kCreated);
  const std::vector<std::string> bodies = server.bodies();
  EXPECT_EQ(std::set<std::string>(bodies.begin(), bodies.end()).size(), 1U);
}

TEST(RetryTest, OverloadedIsRaisedAtTheDeadlineAndWithoutRetries) {
  ScriptedServer server(
      [](const Call&) { return std::optional(ScriptedServer::Error("overloaded", "later")); });
  Client client(server.endpoint(), {.timeout_ms = 200});
  const Status late = client.Set("a", 1).status();
  EXPECT_EQ(late.code(), StatusCode::kOverloaded);
  EXPECT_TRUE(late.retry_later());
  const size_t sent = server.bodies().size();
  EXPECT_GT(sent, 1U);
  EXPECT_EQ(client.Get("a", {.call = {.retries = 0}}).status().code(), StatusCode::kOverloaded);
  EXPECT_EQ(server.bodies().size(), sent + 1);
}

TEST(RetryTest, InAPipelineOnlyTheRefusedTailIsSentAgain) {
  ScriptedServer server(
      [runs = std::map<std::string, int>()](const Call& call) mutable -> std::optional<Answer> {
        const std::string key = call.params[0];
        if (key == "middle" || (key.starts_with("tail") && ++runs[key] == 1)) {
          return ScriptedServer::Error("overloaded", "later");
        }
        return kCreated;
      });
  Client client(server.endpoint());
  Pipeline pipeline = client.Pipeline();
  auto first = pipeline.Add(request::Set("first", 1));
  auto middle = pipeline.Add(request::Set("middle", 1));
  auto third = pipeline.Add(request::Set("third", 1));
  auto tail = pipeline.Add(request::Set("tail", 1));
  auto tail_end = pipeline.Add(request::Set("tail-end", 1));
  ASSERT_TRUE(pipeline.Send().ok());
  EXPECT_TRUE(first.get().ok());
  EXPECT_EQ(middle.get().status().code(), StatusCode::kOverloaded);
  EXPECT_TRUE(third.get().ok());
  EXPECT_TRUE(tail.get().ok());
  EXPECT_TRUE(tail_end.get().ok());
  std::vector<std::string> keys;
  for (const Call& call : server.calls()) keys.push_back(call.params[0]);
  EXPECT_EQ(keys, (std::vector<std::string>{"first", "middle", "third", "tail", "tail-end", "tail",
                                            "tail-end"}));
}

TEST(RetryTest, AnExpiredSessionIsRenewedUnseen) {
  ScriptedServer server([](const Call& call) -> std::optional<Answer> {
    if (call.once()[0] == "s1") return ScriptedServer::Error("session_expired");
    return kCreated;
  });
  Client client(server.endpoint());
  EXPECT_TRUE(client.Set("a", 1).ok());
  EXPECT_EQ(OnceOf(server), (std::vector<Json>{{"s1", 1, 0}, {"s2", 1, 0}}));
}

// The first attempt is not answered, the second one meets a session that is gone.
ScriptedServer::Script LosesTheSessionAfterSilence() {
  return [seen = 0](const Call& call) mutable -> std::optional<Answer> {
    if (call.once()[0] != "s1") return kCreated;
    if (seen++ == 0) return std::nullopt;
    return ScriptedServer::Error("session_expired");
  };
}

TEST(RetryTest, AnOpenOutcomeInTheSameHistoryIsUnknown) {
  ScriptedServer server(LosesTheSessionAfterSilence());
  Client client(server.endpoint(), {.timeout_ms = 2000});
  const Status status = client.Increment("a").status();
  EXPECT_EQ(status.code(), StatusCode::kOutcomeUnknown);
  EXPECT_TRUE(status.maybe_applied());
}

TEST(RetryTest, AnOpenOutcomeOfAnotherHistoryIsTriedAgain) {
  ScriptedServer server(LosesTheSessionAfterSilence(), ScriptedServer::Histories::kOneASession);
  Client client(server.endpoint(), {.timeout_ms = 2000});
  EXPECT_TRUE(client.Increment("a").ok());
}

TEST(RetryTest, ASessionThatAlwaysExpiresIsTold) {
  ScriptedServer server(
      [](const Call&) { return std::optional(ScriptedServer::Error("session_expired")); });
  Client client(server.endpoint());
  EXPECT_EQ(client.Set("a", 1).status().code(), StatusCode::kSessionExpired);
}

TEST(RetryTest, OtherErrorsAreRaisedAtOnce) {
  ScriptedServer server(
      [](const Call&) { return std::optional(ScriptedServer::Error("read_only", "later")); });
  Client client(server.endpoint());
  EXPECT_EQ(client.Set("a", 1).status().code(), StatusCode::kReadOnly);
  EXPECT_EQ(server.bodies().size(), 1U);
}

TEST(RetryTest, AnAnswerThatIsNotOfTheProtocolIsABadReply) {
  ScriptedServer server([](const Call&) { return std::optional(Answer{.result = "what?"}); });
  Client client(server.endpoint());
  EXPECT_EQ(client.Set("a", 1).status().code(), StatusCode::kBadReply);
}

TEST(RetryTest, ReplayedIsHandedOn) {
  ScriptedServer server([](const Call&) {
    return std::optional(
        Answer{.result = {{"status", "updated"}, {"version", 9}, {"replayed", true}}});
  });
  Client client(server.endpoint());
  EXPECT_TRUE(client.Set("a", 1)->replayed);
}

TEST(RetryTest, AHundredCallsThatAreAnsweredLateAllEnd) {
  ScriptedServer server(SilentFor(100));
  Client client(server.endpoint(), {.timeout_ms = 8000});
  std::vector<std::future<Result<Outcome>>> writes;
  for (int i = 0; i < 100; ++i) writes.push_back(client.Start(request::Set("a", i)));
  for (std::future<Result<Outcome>>& write : writes) EXPECT_TRUE(write.get().ok());
}

}  // namespace
}  // namespace entrepot
