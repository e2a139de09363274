// The client over a network that loses, doubles, delays and cuts, and with servers that come and
// go: no call outlives its deadline, and counters are exact.

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "chaos_proxy.h"
#include "entrepot/client.h"
#include "server_process.h"

namespace entrepot {
namespace {

using testing::ChaosProxy;
using testing::Fates;
using testing::ServerProcess;
using testing::SharedServer;
using Clock = std::chrono::steady_clock;

int64_t MillisecondsSince(Clock::time_point begin) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin).count();
}

TEST(UnreachableTest, NothingListeningIsSaidClearlyAndQuickly) {
  Client client("tcp://127.0.0.1:1");
  const Clock::time_point begin = Clock::now();
  const Status status = client.Set("a", 1).status();
  EXPECT_EQ(status.code(), StatusCode::kUnreachable);
  EXPECT_EQ(status.message(), "Nothing is listening at tcp://127.0.0.1:1.");
  EXPECT_FALSE(status.maybe_applied());
  EXPECT_LT(MillisecondsSince(begin), 2500) << "half of the deadline at most";
}

TEST(UnreachableTest, IpcSaysTheSame) {
  Client client("ipc:///nowhere/entrepot.sock");
  EXPECT_EQ(client.Ping().status().message(),
            "Nothing is listening at ipc:///nowhere/entrepot.sock.");
}

TEST(UnreachableTest, AMalformedEndpointIsToldAtOnce) {
  for (const std::string endpoint :
       {"localhost:5555", "tcp://localhost", "tcp://:5555", "tcp://a:0", "tcp://a:b", "ipc://",
        "http://a:80", "tcp://*:5555"}) {
    Client client(endpoint);
    EXPECT_EQ(client.status().code(), StatusCode::kInvalidArgument) << endpoint;
    EXPECT_EQ(client.Ping().status().code(), StatusCode::kInvalidArgument) << endpoint;
  }
}

TEST(UnreachableTest, APeerThatNeverShakesHandsIsUnreachableAtTheDeadline) {
  ChaosProxy proxy(SharedServer().endpoint(), {}, 1);
  proxy.SetStalled(true);
  Client client(proxy.endpoint(), {.timeout_ms = 300});
  const Clock::time_point begin = Clock::now();
  EXPECT_EQ(client.Ping().status().code(), StatusCode::kUnreachable);
  EXPECT_GE(MillisecondsSince(begin), 300);
}

TEST(UnreachableTest, AServerThatComesLaterIsFoundByTheNextCall) {
  auto server = std::make_unique<ServerProcess>();
  const std::string endpoint = server->endpoint();
  server.reset();
  Client client(endpoint, {.connect_wait_ms = 50});
  EXPECT_EQ(client.Ping().status().code(), StatusCode::kUnreachable);
  ServerProcess again(endpoint);
  EXPECT_TRUE(client.Ping().ok());
}

TEST(ReconnectTest, ARestartedServerIsUsedByTheSameClient) {
  auto server = std::make_unique<ServerProcess>();
  const std::string endpoint = server->endpoint();
  Client client(endpoint);
  ASSERT_TRUE(client.Set("a", 1).ok());
  server.reset();
  ServerProcess again(endpoint);
  EXPECT_EQ(client.Set("a", 2)->status, OutcomeStatus::kCreated) << "it is another, empty store";
}

TEST(ReconnectTest, ACallWaitsForTheServerToComeBack) {
  auto server = std::make_unique<ServerProcess>();
  const std::string endpoint = server->endpoint();
  Client client(endpoint, {.timeout_ms = 60'000, .connect_wait_ms = 60'000});
  ASSERT_TRUE(client.Ping().ok());
  server.reset();
  std::future<Result<Outcome>> waiting = client.Start(request::Increment("n"));
  ServerProcess again(endpoint);
  EXPECT_EQ(waiting.get()->value, Value(1));
}

TEST(ReconnectTest, WithoutRetriesALostConnectionIsTold) {
  ServerProcess server;
  ChaosProxy proxy(server.endpoint(), {}, 1);
  Client client(proxy.endpoint(), {.retries = 0});
  ASSERT_TRUE(client.Ping().ok());
  proxy.SetStalled(true);
  std::future<Result<Outcome>> lost = client.Start(request::Increment("n"));
  std::future<Result<std::optional<Value>>> lost_read = client.Start(request::Get("n"));
  // Both are on their way when a later call has timed out unanswered behind them.
  EXPECT_EQ(client.Ping({.timeout_ms = 50}).status().code(), StatusCode::kTimeout);
  proxy.CutAll();
  const Status status = lost.get().status();
  EXPECT_EQ(status.code(), StatusCode::kConnectionLost);
  EXPECT_TRUE(status.maybe_applied());
  EXPECT_FALSE(lost_read.get().status().maybe_applied());
}

TEST(ReconnectTest, ACutConnectionIsNoticedAndNotWaitedFor) {
  ChaosProxy proxy(SharedServer().endpoint(), {}, 1);
  Client client(proxy.endpoint(), {.timeout_ms = 60'000});
  ASSERT_TRUE(client.Ping().ok());
  proxy.SetStalled(true);
  std::future<Result<Outcome>> write = client.Start(request::Increment("cut:n"));
  EXPECT_EQ(client.Ping({.timeout_ms = 50, .retries = 0}).status().code(), StatusCode::kTimeout);
  const Clock::time_point begin = Clock::now();
  proxy.CutAll();
  proxy.SetStalled(false);
  EXPECT_TRUE(write.get().ok());
  EXPECT_LT(MillisecondsSince(begin), 15'000) << "before the first attempt has timed out";
}

TEST(DeadlineTest, NoCallOutlivesItWhateverTheNetworkDoes) {
  ChaosProxy proxy(SharedServer().endpoint(), {.lose = 30, .cut = 20, .delay = 10}, 7);
  Client client(proxy.endpoint(), {.timeout_ms = 300, .connect_wait_ms = 100});
  for (int i = 0; i < 40; ++i) {
    const Clock::time_point begin = Clock::now();
    const Status status = client.Set("deadline:a", i).status();
    EXPECT_LT(MillisecondsSince(begin), 1500) << status;
    const bool expected = status.ok() || status.code() == StatusCode::kTimeout ||
                          status.code() == StatusCode::kUnreachable;
    EXPECT_TRUE(expected) << status;
  }
  EXPECT_GT(proxy.harmed(), 0);
}

struct Weather {
  const char* name;
  Fates fates;
};

class CounterTest : public ::testing::TestWithParam<Weather> {};

TEST_P(CounterTest, IncrementsCountOnceEach) {
  constexpr int kThreads = 4;
  constexpr int kIncrements = 60;
  const std::string key = std::string("counter:") + GetParam().name;
  ChaosProxy proxy(SharedServer().endpoint(), GetParam().fates, 20261124);
  {
    Client client(proxy.endpoint(), {.timeout_ms = 60'000, .retries = 200});
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < kIncrements; ++i) {
          const Result<Outcome> sum = client.Increment(key);
          ASSERT_TRUE(sum.ok()) << sum.status();
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  EXPECT_GT(proxy.harmed(), 0) << "the weather was too good to test anything";
  Client direct(SharedServer().endpoint());
  EXPECT_EQ(**direct.Get(key), Value(kThreads * kIncrements));
}

INSTANTIATE_TEST_SUITE_P(Weather, CounterTest,
                         ::testing::Values(Weather{"loses", {.lose = 4}},
                                           Weather{"doubles", {.twice = 20}},
                                           Weather{"cuts", {.cut = 5}},
                                           Weather{"all", {3, 5, 3, 5}}),
                         [](const auto& weather) { return std::string(weather.param.name); });

TEST(PipelineNetworkTest, APipelineThroughBadWeatherIsExact) {
  ChaosProxy proxy(SharedServer().endpoint(), {.lose = 10, .twice = 5, .cut = 10}, 5);
  Client client(proxy.endpoint(), {.timeout_ms = 60'000, .retries = 200});
  for (int round = 0; round < 20; ++round) {
    Pipeline pipeline = client.Pipeline();
    std::vector<std::future<Result<Outcome>>> sums;
    for (int i = 0; i < 100; ++i) sums.push_back(pipeline.Add(request::Increment("pipeline:n")));
    ASSERT_TRUE(pipeline.Send().ok());
    for (std::future<Result<Outcome>>& sum : sums) EXPECT_TRUE(sum.get().ok());
  }
  EXPECT_GT(proxy.harmed(), 0);
  Client direct(SharedServer().endpoint());
  EXPECT_EQ(**direct.Get("pipeline:n"), Value(2000));
}

TEST(PipelineNetworkTest, AnUnansweredBodyFailsTheRestUnsent) {
  ChaosProxy proxy(SharedServer().endpoint(), {}, 1);
  Client client(proxy.endpoint(), {.timeout_ms = 200});
  ASSERT_TRUE(client.Ping().ok());
  proxy.SetStalled(true);
  Pipeline pipeline = client.Pipeline();
  std::vector<std::future<Result<Outcome>>> writes;
  for (int i = 0; i < 600; ++i) writes.push_back(pipeline.Add(request::Set("unanswered", i)));
  const Status sent = pipeline.Send();
  EXPECT_FALSE(sent.ok());
  EXPECT_EQ(writes.front().get().status().code(), sent.code());
  EXPECT_EQ(writes.back().get().status().code(), sent.code());
}

}  // namespace
}  // namespace entrepot
