#include "engine/retries.h"

#include <vector>

#include <gtest/gtest.h>

#include "protocol/message.h"

namespace entrepot {
namespace {

constexpr int64_t kNowMs = 1'000'000;

class RetriesTest : public testing::Test {
 protected:
  SessionId Open(uint64_t creator = 1, int64_t now_ms = kNowMs) {
    const Result<SessionId> session = retries_.OpenSession(creator, now_ms);
    EXPECT_TRUE(session.ok()) << session.status().message();
    return *session;
  }
  // Runs a write to its end, with this outcome. False: it had run before.
  bool Run(const Once& once, Outcome outcome = Outcome::kCreated, uint64_t version = 1) {
    const auto attempt = retries_.Begin(once, kNowMs);
    EXPECT_TRUE(attempt.ok()) << attempt.status().message();
    if ((*attempt)->replayed() != nullptr) return false;
    (*attempt)->outcome()->outcome = static_cast<uint8_t>(outcome);
    (*attempt)->outcome()->version = version;
    (*attempt)->Remember();
    return true;
  }
  Code RefusalOf(const Once& once, int64_t now_ms = kNowMs) {
    return retries_.Begin(once, now_ms).status().code();
  }

  Retries retries_;
};

TEST_F(RetriesTest, SessionIsThirtyTwoHexadecimalCharacters) {
  const SessionId session = Open();
  const std::string text = session.ToString();
  EXPECT_EQ(text.size(), 32u);
  SessionId parsed;
  ASSERT_TRUE(SessionId::Parse(text, &parsed));
  EXPECT_EQ(parsed, session);
  EXPECT_FALSE(SessionId::Parse(text.substr(1), &parsed));
  EXPECT_FALSE(SessionId::Parse(std::string(32, 'g'), &parsed));
  EXPECT_FALSE(SessionId::Parse(std::string(31, '0') + "-", &parsed));
}

TEST_F(RetriesTest, SameNumberAgainGetsTheFirstOutcome) {
  const SessionId session = Open();
  ASSERT_TRUE(Run({session, 1, 0}, Outcome::kConflict, 42));
  const auto again = retries_.Begin({session, 1, 0}, kNowMs);
  ASSERT_TRUE(again.ok());
  ASSERT_NE((*again)->replayed(), nullptr);
  EXPECT_EQ((*again)->replayed()->outcome, static_cast<uint8_t>(Outcome::kConflict));
  EXPECT_EQ((*again)->replayed()->version, 42u);
}

TEST_F(RetriesTest, WhatIsNotRememberedMayRunAgain) {
  const SessionId session = Open();
  {
    const auto failed = retries_.Begin({session, 1, 0}, kNowMs);
    ASSERT_TRUE(failed.ok());
  }
  EXPECT_TRUE(Run({session, 1, 0}));
  EXPECT_EQ(retries_.outcomes(), 1u);
}

TEST_F(RetriesTest, SessionsDoNotShareNumbers) {
  const SessionId one = Open(), other = Open();
  EXPECT_TRUE(Run({one, 1, 0}));
  EXPECT_TRUE(Run({other, 1, 0}));
}

TEST_F(RetriesTest, WhatTheClientHasDoneIsForgottenAndDoesNotRunAgain) {
  const SessionId session = Open();
  for (uint64_t number = 1; number <= 10; ++number) Run({session, number, 0});
  EXPECT_EQ(retries_.outcomes(), 10u);
  EXPECT_TRUE(Run({session, 11, 7}));
  EXPECT_EQ(retries_.outcomes(), 4u);
  EXPECT_EQ(RefusalOf({session, 7, 0}), Code::kOutcomeUnknown);
  EXPECT_FALSE(Run({session, 8, 0}));
}

TEST_F(RetriesTest, NumberFarAboveDoneIsOverloaded) {
  const SessionId session = Open();
  EXPECT_TRUE(Run({session, kOnceWindow, 0}));
  EXPECT_EQ(RefusalOf({session, kOnceWindow + 1, 0}), Code::kOverloaded);
  EXPECT_TRUE(Run({session, kOnceWindow + 1, 1}));
}

TEST_F(RetriesTest, UnknownSessionIsExpired) {
  EXPECT_EQ(RefusalOf({{1, 2}, 1, 0}), Code::kSessionExpired);
}

TEST_F(RetriesTest, IdleSessionIsForgottenWithItsOutcomes) {
  const SessionId session = Open();
  Run({session, 1, 0});
  retries_.ForgetIdle(kNowMs + kSessionIdleMs - 1);
  EXPECT_EQ(retries_.sessions(), 1u);
  retries_.ForgetIdle(kNowMs + kSessionIdleMs);
  EXPECT_EQ(retries_.sessions(), 0u);
  EXPECT_EQ(retries_.outcomes(), 0u);
  EXPECT_EQ(RefusalOf({session, 1, 0}), Code::kSessionExpired);
}

TEST_F(RetriesTest, UseKeepsASessionAlive) {
  const SessionId session = Open();
  ASSERT_TRUE(retries_.Begin({session, 1, 0}, kNowMs + kSessionIdleMs - 1).ok());
  retries_.ForgetIdle(kNowMs + kSessionIdleMs + 1);
  EXPECT_EQ(retries_.sessions(), 1u);
}

TEST_F(RetriesTest, SessionInUseIsNotForgotten) {
  const SessionId session = Open();
  const auto attempt = retries_.Begin({session, 1, 0}, kNowMs);
  ASSERT_TRUE(attempt.ok());
  retries_.ForgetIdle(kNowMs + 10 * kSessionIdleMs);
  EXPECT_EQ(retries_.sessions(), 1u);
}

TEST_F(RetriesTest, ConnectionHasABoundOfSessionsThatForgettingFrees) {
  for (size_t i = 0; i < kSessionsOfConnection; ++i) Open(/*creator=*/7);
  EXPECT_EQ(retries_.OpenSession(7, kNowMs).status().code(), Code::kOverloaded);
  Open(/*creator=*/8);
  retries_.ForgetIdle(kNowMs + kSessionIdleMs);
  Open(/*creator=*/7);
  EXPECT_EQ(retries_.sessions(), 1u);
}

TEST_F(RetriesTest, SessionsHaveABoundInAll) {
  for (uint64_t i = 0; i < kSessionsMax; ++i) Open(/*creator=*/i);
  EXPECT_EQ(retries_.OpenSession(kSessionsMax, kNowMs).status().code(), Code::kOverloaded);
  EXPECT_EQ(retries_.sessions(), kSessionsMax);
}

TEST_F(RetriesTest, OutcomesHaveABoundInAllAndReplaysGoOn) {
  std::vector<SessionId> sessions;
  for (size_t left = kOutcomesMax; left > 0;) {
    sessions.push_back(Open(/*creator=*/sessions.size()));
    for (uint64_t number = 1; number <= kOnceWindow && left > 0; ++number, --left) {
      Run({sessions.back(), number, 0});
    }
  }
  EXPECT_EQ(retries_.outcomes(), kOutcomesMax);
  const SessionId fresh = Open(/*creator=*/sessions.size());
  EXPECT_EQ(RefusalOf({fresh, 1, 0}), Code::kOverloaded);
  EXPECT_FALSE(Run({sessions.front(), 1, 0}));
  // What a client says it has done makes room.
  Run({sessions.front(), kOnceWindow, kOnceWindow - 1});
  EXPECT_TRUE(Run({fresh, 1, 0}));
}

TEST_F(RetriesTest, WhileAnAttemptIsSuspendedOthersOfItsSessionRun) {
  const SessionId session = Open();
  {
    const auto slow = retries_.Begin({session, 1, 0}, kNowMs);
    ASSERT_TRUE(slow.ok());
    (*slow)->Suspend();
    EXPECT_TRUE(Run({session, 2, 0}));
    {
      const auto again = retries_.Begin({session, 1, 0}, kNowMs);
      ASSERT_TRUE(again.ok());
      EXPECT_TRUE((*again)->runs_elsewhere());
      EXPECT_EQ((*again)->replayed(), nullptr);
    }
    (*slow)->Resume();
    (*slow)->Remember();
  }
  EXPECT_FALSE(Run({session, 1, 0}));
  EXPECT_EQ(retries_.outcomes(), 2u);
}

TEST_F(RetriesTest, WhatIsDoneBeforeItEndedIsNotRemembered) {
  const SessionId session = Open();
  {
    const auto slow = retries_.Begin({session, 1, 0}, kNowMs);
    ASSERT_TRUE(slow.ok());
    (*slow)->Suspend();
    EXPECT_TRUE(Run({session, 2, 1}));
    (*slow)->Resume();
    (*slow)->Remember();
  }
  EXPECT_EQ(retries_.outcomes(), 1u);
  EXPECT_EQ(RefusalOf({session, 1, 1}), Code::kOutcomeUnknown);
}

}  // namespace
}  // namespace entrepot
