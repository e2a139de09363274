// Subscriptions to the PUB endpoint: the state machine told what may come, a feed that the test
// publishes, and the whole against a real server.

#include "entrepot/subscription.h"

#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>
#include <zmq.hpp>

#include "entrepot/client.h"
#include "server_process.h"
#include "subscription_state.h"
#include "watch_script.h"

namespace entrepot {
namespace {

using testing::InAWord;
using testing::Json;
using testing::Pack;
using testing::ServerProcess;
using testing::SetEvent;
using testing::SharedServer;
using Gap = SubscriptionState::Gap;

// Long enough for a sanitizer's build on a busy machine; reached only when a test fails.
constexpr milliseconds kPatience{60'000};
constexpr TimePoint kBegin{std::chrono::hours(1)};
constexpr const char* kHistory = "0123456789abcdef";

Event Set(const std::string& key, uint64_t version, uint64_t previous_version) {
  return event::Set{key, Value(), version, previous_version};
}

void ExpectGap(const std::optional<Gap>& gap, uint64_t since, uint64_t until,
               const std::string& key_prefix, bool of_one_key) {
  ASSERT_TRUE(gap);
  EXPECT_EQ(gap->since, (Token{kHistory, since}));
  EXPECT_EQ(gap->until, until);
  EXPECT_EQ(gap->key_prefix, key_prefix);
  EXPECT_EQ(gap->of_one_key, of_one_key);
}

// A state that has begun at revision 10.
SubscriptionState Begun(size_t keys_max = 100) {
  SubscriptionState state("a", keys_max);
  EXPECT_FALSE(state.IsNew(Set("a", 50, 0))) << "nothing is told before it has begun";
  EXPECT_FALSE(state.Heartbeat({kHistory, 10}, kBegin));
  return state;
}

TEST(SubscriptionStateTest, AnUnbrokenChainIsTold) {
  SubscriptionState state = Begun();
  for (const auto& [version, previous] : {std::pair{11, 3}, {12, 11}, {15, 12}}) {
    const Event change = Set("a", version, previous);
    EXPECT_TRUE(state.IsNew(change));
    EXPECT_FALSE(state.GapBefore(change));
    state.Tell(change);
    EXPECT_FALSE(state.IsNew(change)) << "twice";
  }
  EXPECT_FALSE(state.IsNew(Set("b", 10, 0))) << "from before the begin";
}

TEST(SubscriptionStateTest, ABrokenChainIsAGapOfThatKey) {
  SubscriptionState state = Begun();
  state.Tell(Set("a", 11, 0));
  ExpectGap(state.GapBefore(Set("a", 15, 13)), 11, 14, "a", true);
  ExpectGap(state.GapBefore(Set("b", 15, 13)), 10, 14, "b", true);
}

TEST(SubscriptionStateTest, MissedHeartbeatsAreAGapOfAllKeys) {
  SubscriptionState state = Begun();
  EXPECT_FALSE(state.Heartbeat({kHistory, 12}, kBegin + milliseconds(2999)));
  ExpectGap(state.Heartbeat({kHistory, 20}, kBegin + milliseconds(5999)), 12, 20, "a", false);
  EXPECT_FALSE(state.Heartbeat({kHistory, 20}, kBegin + milliseconds(9000))) << "nothing happened";
}

TEST(SubscriptionStateTest, ANewConnectionIsAGapOfAllKeys) {
  SubscriptionState state = Begun();
  state.Interrupted();
  ExpectGap(state.Heartbeat({kHistory, 11}, kBegin + milliseconds(100)), 10, 11, "a", false);
  EXPECT_FALSE(state.Heartbeat({kHistory, 12}, kBegin + milliseconds(200)));
}

TEST(SubscriptionStateTest, AnotherHistoryIsALoss) {
  SubscriptionState state = Begun();
  state.Tell(Set("a", 11, 0));
  EXPECT_FALSE(state.TakeResync());
  EXPECT_FALSE(state.Heartbeat({"fedcba9876543210", 2}, kBegin + milliseconds(100)));
  EXPECT_EQ(state.TakeResync()->reason, "unknown_history");
  EXPECT_FALSE(state.TakeResync()) << "it is said once";
  EXPECT_TRUE(state.IsNew(Set("a", 3, 0)));
}

TEST(SubscriptionStateTest, ALossIsSaidWhenItHasBegunAgain) {
  SubscriptionState state = Begun();
  state.Lose("history_lost");
  EXPECT_FALSE(state.TakeResync());
  EXPECT_FALSE(state.IsNew(Set("a", 11, 0)));
  EXPECT_FALSE(state.Heartbeat({kHistory, 90}, kBegin + milliseconds(100)));
  EXPECT_EQ(state.TakeResync()->reason, "history_lost");
}

TEST(SubscriptionStateTest, TheOldestKeysAreForgottenWithoutBeingToldTwice) {
  SubscriptionState state = Begun(2);
  state.Tell(Set("a", 11, 0));
  state.Tell(Set("b", 12, 0));
  state.Tell(Set("a", 13, 11));
  state.Tell(Set("c", 14, 0));
  EXPECT_FALSE(state.IsNew(Set("b", 12, 0)));
  EXPECT_FALSE(state.GapBefore(Set("b", 15, 12)));
}

// A feed that says what the test says, beside a real server that knows what is missing.
class ScriptedFeed {
 public:
  ScriptedFeed() : socket_(context_, zmq::socket_type::xpub) {
    socket_.set(zmq::sockopt::linger, 0);
    socket_.bind("tcp://127.0.0.1:*");
  }

  std::string endpoint() const { return socket_.get(zmq::sockopt::last_endpoint); }

  // Both subscriptions of a subscriber have arrived.
  void WaitForSubscriber() {
    for (int i = 0; i < 2; ++i) {
      zmq::message_t subscription;
      ASSERT_TRUE(socket_.recv(subscription));
    }
  }

  void Heartbeat(const Token& token) {
    Publish("$heartbeat", {{"history", token.history}, {"version", token.revision}});
  }

  void Publish(const std::string& key, const Json& event) {
    socket_.send(zmq::buffer(key), zmq::send_flags::sndmore);
    socket_.send(zmq::buffer(Pack(event)));
  }

 private:
  zmq::context_t context_;
  zmq::socket_t socket_;
};

Token Now(Client& client) {
  const ServerInfo hello = *client.Hello();
  return {hello.history, hello.version};
}

TEST(SubscriptionTest, WhatIsMissingIsFetchedAndToldBefore) {
  Client client(SharedServer().endpoint());
  ScriptedFeed feed;
  std::thread first_heartbeat([&] {
    feed.WaitForSubscriber();
    feed.Heartbeat(Now(client));
  });
  Result<Subscription> subscription =
      client.Subscribe("s:gap:", {.feed = feed.endpoint(), .call = {.timeout_ms = 60'000}});
  first_heartbeat.join();
  ASSERT_TRUE(subscription.ok()) << subscription.status();
  const uint64_t first = client.Set("s:gap:a", 1)->version;
  const uint64_t second = client.Set("s:gap:a", 2)->version;
  const uint64_t third = client.Set("s:gap:a", 3)->version;
  // Only the last change comes through.
  feed.Publish("s:gap:a", SetEvent("s:gap:a", 3, third, second));
  for (const uint64_t version : {first, second, third}) {
    const Result<Event> event = subscription->Next(kPatience);
    ASSERT_TRUE(event.ok()) << event.status();
    EXPECT_EQ(InAWord(*event), "set s:gap:a@" + std::to_string(version));
  }
  feed.Publish("s:gap:a", SetEvent("s:gap:a", 3, third, second));
  EXPECT_EQ(subscription->Next(milliseconds(50)).status().code(), StatusCode::kTimeout);
  feed.Heartbeat({"0000000000000000", 1});
  const Result<Event> resync = subscription->Next(kPatience);
  ASSERT_TRUE(resync.ok());
  EXPECT_EQ(InAWord(*resync), "resync unknown_history");
}

TEST(SubscriptionTest, WhatIsNoEventEndsIt) {
  Client client(SharedServer().endpoint());
  ScriptedFeed feed;
  std::thread first_heartbeat([&] {
    feed.WaitForSubscriber();
    feed.Heartbeat(Now(client));
  });
  Result<Subscription> subscription =
      client.Subscribe("", {.feed = feed.endpoint(), .call = {.timeout_ms = 60'000}});
  first_heartbeat.join();
  ASSERT_TRUE(subscription.ok()) << subscription.status();
  feed.Publish("a", "what?");
  EXPECT_EQ(subscription->Next(kPatience).status().code(), StatusCode::kBadReply);
  EXPECT_EQ(subscription->status().code(), StatusCode::kBadReply);
}

TEST(SubscriptionTest, ItsBeginIsACallLikeAnyOther) {
  Client silent(SharedServer().endpoint(), {.timeout_ms = 100});
  ScriptedFeed feed;
  EXPECT_EQ(silent.Subscribe("", {.feed = feed.endpoint()}).status().code(), StatusCode::kTimeout);
  EXPECT_EQ(silent.Subscribe().status().code(), StatusCode::kInvalidArgument) << "it has no feed";
  EXPECT_EQ(silent.Subscribe("", {.feed = "nonsense"}).status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(Client("tcp://127.0.0.1:1", {.connect_wait_ms = 50}).Subscribe().status().code(),
            StatusCode::kUnreachable);
}

TEST(SubscriptionTest, AKilledServerIsFoundAgainAndNothingIsMissing) {
  ServerProcess server("tcp://127.0.0.1:0", ServerProcess::Data::kFolder, ServerProcess::Feed::kOn);
  Client client(server.endpoint(), {.timeout_ms = 60'000, .connect_wait_ms = 60'000});
  Result<Subscription> subscription = client.Subscribe("a");
  ASSERT_TRUE(subscription.ok()) << subscription.status();
  ASSERT_TRUE(client.Set("b", 1).ok());
  std::vector<std::string> expected;
  for (int i = 0; i < 20; ++i) {
    if (i == 10) {
      server.Kill();
      server.Restart();
    }
    const uint64_t version = client.Set("a:" + std::to_string(i % 3), i)->version;
    expected.push_back("set a:" + std::to_string(i % 3) + "@" + std::to_string(version));
  }
  std::vector<std::string> told;
  while (told.size() < expected.size()) {
    const Result<Event> event = subscription->Next(kPatience);
    ASSERT_TRUE(event.ok()) << event.status();
    told.push_back(InAWord(*event));
  }
  EXPECT_EQ(told, expected);
}

TEST(SubscriptionTest, ClosingEndsAReaderThatWaits) {
  ServerProcess server("tcp://127.0.0.1:0", ServerProcess::Data::kMemory, ServerProcess::Feed::kOn);
  Client client(server.endpoint());
  Result<Subscription> subscription = client.Subscribe();
  ASSERT_TRUE(subscription.ok()) << subscription.status();
  ASSERT_TRUE(client.Set("a", 1).ok());
  std::promise<void> reading;
  std::thread reader([&] {
    for ([[maybe_unused]] const Event& event : *subscription) reading.set_value();
  });
  reading.get_future().wait();
  subscription->Close();
  reader.join();
  EXPECT_TRUE(subscription->status().ok()) << "it was asked for";
  EXPECT_EQ(subscription->Next().status().code(), StatusCode::kClosed);
}

}  // namespace
}  // namespace entrepot
