// The watches of a client over connections that come and go, with a clock that the test turns.

#include "watches.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "watch_script.h"

namespace entrepot {
namespace {

using testing::Accepts;
using testing::InAWord;
using testing::Json;
using testing::Message;
using testing::MethodAndParams;
using testing::SetEvent;
using testing::SnapshotEvent;
using Words = std::vector<std::string>;

constexpr const char* kHistory = "0123456789abcdef";

// The exchange, as far as watches see it.
class WatchesTest : public ::testing::Test, public Watches::Host {
 protected:
  struct Asked {
    Json request;
    Answered answered;
  };

  void Ask(WireRequest request, milliseconds, int, Answered answered) override {
    asked_.push_back({MethodAndParams(request), std::move(answered)});
  }
  void Notify(uint64_t connection, const WireRequest& notification) override {
    if (connection == connection_) notified_.push_back(MethodAndParams(notification));
  }
  void Renew(uint64_t connection) override {
    EXPECT_EQ(connection, connection_);
    ++renewed_;
    LoseConnection();
  }
  uint64_t current_connection() const override { return connection_; }

  // Begins a watch; it has asked.
  std::shared_ptr<WatchQueue> Watch(const WatchOptions& options = {}) {
    const WatchNumber number = ++last_number_;
    auto queue = std::make_shared<WatchQueue>(
        options.credit,
        WatchQueue::Exchange{
            .taken = [this, number](uint64_t count) { watches_.Taken(number, count); },
            .close = [this, number] { watches_.Close(number); }});
    watches_.Start({.number = number,
                    .state = WatchState("", options),
                    .queue = queue,
                    .timeout = milliseconds(1000),
                    .retries = 1,
                    .begun = [this](const Status& status) { begun_.push_back(status); }});
    watches_.Turn(now_);
    return queue;
  }

  void Answer(const Reply& reply) {
    ASSERT_FALSE(asked_.empty()) << "nothing was asked";
    const Answered answered = std::move(asked_.front().answered);
    asked_.erase(asked_.begin());
    answered(reply, connection_, now_);
  }
  void AnswerError(StatusCode code, int64_t retry_after_ms = 0) {
    Answer(Status(code, "as the test says").SetRetryLater(retry_after_ms));
  }

  void Tell(WatchMessage message) { watches_.Take(connection_, std::move(message), now_); }

  void LoseConnection() { watches_.ConnectionGone(connection_++); }

  void Pass(milliseconds time) {
    now_ += time;
    watches_.Turn(now_);
  }

  // All that waits for the reader, and the error that ended it.
  static Words TakeAll(WatchQueue& queue) {
    Words words;
    while (true) {
      const Result<Event> event = queue.Take(TimePoint{});
      if (!event.ok()) {
        if (event.status().code() != StatusCode::kTimeout) {
          words.emplace_back(StatusCodeName(event.status().code()));
        }
        return words;
      }
      words.push_back(InAWord(*event));
    }
  }

  TimePoint now_{std::chrono::hours(1)};
  uint64_t connection_ = 1;
  int renewed_ = 0;
  WatchNumber last_number_ = 0;
  std::vector<Asked> asked_;
  std::vector<Json> notified_;
  std::vector<Status> begun_;
  Watches watches_{this};
};

TEST_F(WatchesTest, ItBeginsWhenTheServerHasAccepted) {
  const auto queue = Watch();
  EXPECT_TRUE(begun_.empty());
  Answer(Accepts(5, kHistory, 10));
  ASSERT_EQ(begun_.size(), 1U);
  EXPECT_TRUE(begun_[0].ok());
  EXPECT_FALSE(queue->is_live());
  Tell(Message(5, {SnapshotEvent("a", 1, 3)}, 10, true));
  EXPECT_EQ(TakeAll(*queue), (Words{"snapshot a", "synced 10"}));
  EXPECT_TRUE(queue->is_live());
  EXPECT_EQ(queue->token(), (Token{kHistory, 10}));
}

TEST_F(WatchesTest, TheFirstErrorIsTheCallers) {
  Watch();
  AnswerError(StatusCode::kUnreachable);
  ASSERT_EQ(begun_.size(), 1U);
  EXPECT_EQ(begun_[0].code(), StatusCode::kUnreachable);
  EXPECT_EQ(watches_.NextTurn(), TimePoint::max());
}

TEST_F(WatchesTest, ALostConnectionIsResumedAtOnce) {
  const auto queue = Watch();
  Answer(Accepts(5, kHistory, 10));
  Tell(Message(5, {}, 10, true));
  LoseConnection();
  EXPECT_FALSE(queue->is_live());
  Pass(milliseconds(0));
  ASSERT_EQ(asked_.size(), 1U);
  EXPECT_EQ(asked_[0].request[1][0]["since"], Json({kHistory, 10}));
  Answer(Accepts(1, kHistory, 12));
  Tell(Message(1, {SetEvent("a", 1, 11)}, 12, true));
  EXPECT_EQ(TakeAll(*queue), (Words{"synced 10", "set a@11", "synced 12"}));
}

TEST_F(WatchesTest, SilenceOfThreeSecondsRenewsTheConnection) {
  const auto queue = Watch();
  Answer(Accepts(5, kHistory, 10));
  Pass(milliseconds(2500));
  Tell(Message(5, {}, 11, true));
  Pass(milliseconds(2500));
  EXPECT_EQ(renewed_, 0) << "it was heard 2.5 s ago";
  Pass(milliseconds(500));
  EXPECT_EQ(renewed_, 1);
  EXPECT_FALSE(queue->is_live());
  ASSERT_EQ(asked_.size(), 1U);
  EXPECT_EQ(asked_[0].request[1][0]["since"], Json({kHistory, 11}));
}

TEST_F(WatchesTest, SilenceRenewsOnceForAllWhoLiveThere) {
  const auto first = Watch();
  Answer(Accepts(1, kHistory, 10));
  const auto second = Watch();
  Answer(Accepts(2, kHistory, 10));
  Pass(milliseconds(3000));
  EXPECT_EQ(renewed_, 1);
  EXPECT_EQ(asked_.size(), 2U);
}

TEST_F(WatchesTest, AnAnswerOverAnOldConnectionIsAskedForAgain) {
  const auto queue = Watch({.since = Token{kHistory, 5}});
  ++connection_;
  ASSERT_EQ(asked_.size(), 1U);
  const Answered answered = asked_[0].answered;
  asked_.clear();
  answered(Reply(Accepts(5, kHistory, 10)), connection_ - 1, now_);
  Pass(milliseconds(0));
  ASSERT_EQ(asked_.size(), 1U);
  EXPECT_EQ(asked_[0].request[1][0]["since"], Json({kHistory, 5}));
  EXPECT_TRUE(begun_.at(0).ok());
}

TEST_F(WatchesTest, AServerThatIsAwayIsAskedMoreAndMoreRarely) {
  Watch();
  Answer(Accepts(5, kHistory, 10));
  LoseConnection();
  Pass(milliseconds(0));
  for (const int pause_ms : {20, 40, 80, 160, 320, 640, 1000, 1000}) {
    AnswerError(StatusCode::kUnreachable);
    Pass(milliseconds(pause_ms - 1));
    EXPECT_TRUE(asked_.empty()) << pause_ms;
    Pass(milliseconds(1));
    ASSERT_EQ(asked_.size(), 1U) << pause_ms;
  }
  AnswerError(StatusCode::kOverloaded, 5000);
  Pass(milliseconds(4999));
  EXPECT_TRUE(asked_.empty());
  Pass(milliseconds(1));
  EXPECT_EQ(asked_.size(), 1U);
}

TEST_F(WatchesTest, ALostHistoryIsFollowedByASnapshotAtOnce) {
  const auto queue = Watch();
  Answer(Accepts(5, kHistory, 10));
  Tell(Message(5, {}, 10, true));
  Tell(Message(5, {}, 10, false,
               {{"code", "history_lost"}, {"message", "m"}, {"retry", "never"}, {"oldest", 90}}));
  Pass(milliseconds(0));
  ASSERT_EQ(asked_.size(), 1U);
  EXPECT_EQ(asked_[0].request[1][0]["snapshot"], true);
  EXPECT_EQ(TakeAll(*queue), (Words{"synced 10", "resync history_lost"}));
  EXPECT_EQ(queue->token(), std::nullopt);
}

TEST_F(WatchesTest, AnErrorInTheMiddleOfASnapshotIsSaidBeforeTheNext) {
  const auto queue = Watch();
  Answer(Accepts(5, kHistory, 10));
  Tell(Message(5, {SnapshotEvent("a", 1, 3)}, 10, false,
               {{"code", "unavailable"}, {"message", "stopping"}, {"retry", "later"}}));
  Pass(milliseconds(20));
  EXPECT_EQ(asked_.size(), 1U);
  EXPECT_EQ(TakeAll(*queue), (Words{"snapshot a", "resync interrupted"}));
}

TEST_F(WatchesTest, AnErrorThatStaysEndsIt) {
  const auto queue = Watch();
  Answer(Accepts(5, kHistory, 10));
  Tell(Message(5, {}, 10, true));
  LoseConnection();
  Pass(milliseconds(0));
  AnswerError(StatusCode::kDenied);
  EXPECT_EQ(TakeAll(*queue), (Words{"synced 10", "denied"}));
  EXPECT_EQ(watches_.NextTurn(), TimePoint::max());
}

TEST_F(WatchesTest, AMessageThatCannotBeReadEndsIt) {
  const auto queue = Watch();
  Answer(Accepts(5, kHistory, 10));
  Tell(Message(5, {Json::object({{"key", "a"}})}, 10));
  EXPECT_EQ(TakeAll(*queue), Words{"bad_reply"});
  EXPECT_EQ(notified_, std::vector<Json>{Json({"unwatch", {5}})});
}

TEST_F(WatchesTest, TakingEventsAllowsTheServerMore) {
  const auto queue = Watch({.snapshot = false, .credit = 2});
  Answer(Accepts(5, kHistory, 10));
  Tell(Message(5, {SetEvent("a", 1, 11), SetEvent("b", 1, 12)}, 12));
  EXPECT_TRUE(notified_.empty());
  EXPECT_EQ(TakeAll(*queue), (Words{"set a@11", "set b@12"}));
  EXPECT_EQ(notified_, (std::vector<Json>{{"credit", {5, 1}}, {"credit", {5, 1}}}));
}

TEST_F(WatchesTest, ClosingTellsTheServer) {
  const auto queue = Watch();
  Answer(Accepts(5, kHistory, 10));
  queue->Close();
  EXPECT_EQ(notified_, std::vector<Json>{Json({"unwatch", {5}})});
  EXPECT_EQ(TakeAll(*queue), Words{"closed"});
  Tell(Message(5, {}, 11));
  EXPECT_EQ(notified_.size(), 2U) << "a message that was on its way is answered once more";
}

TEST_F(WatchesTest, ClosingWhileItAsksTellsTheServerLater) {
  const auto queue = Watch();
  Answer(Accepts(5, kHistory, 10));
  LoseConnection();
  Pass(milliseconds(0));
  queue->Close();
  Answer(Accepts(1, kHistory, 11));
  EXPECT_TRUE(notified_.empty());
  Tell(Message(1, {}, 11, true));
  EXPECT_EQ(notified_, std::vector<Json>{Json({"unwatch", {1}})});
}

TEST_F(WatchesTest, AClosedClientEndsThemAll) {
  const auto queue = Watch();
  Answer(Accepts(5, kHistory, 10));
  Tell(Message(5, {SnapshotEvent("a", 1, 3)}, 10));
  const auto asking = Watch();
  watches_.CloseAll(Status(StatusCode::kClosed, "the client was closed"));
  EXPECT_EQ(TakeAll(*queue), (Words{"snapshot a", "closed"}));
  EXPECT_EQ(begun_.at(1).code(), StatusCode::kClosed);
  Answer(Accepts(6, kHistory, 10));
  EXPECT_EQ(TakeAll(*asking), Words{}) << "nobody has it";
}

}  // namespace
}  // namespace entrepot
