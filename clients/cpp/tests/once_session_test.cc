#include "once_session.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

namespace entrepot {
namespace {

class OnceSessionTest : public ::testing::Test {
 protected:
  void SetUp() override { session_.Begin("session", "history"); }

  OnceSession session_;
};

TEST_F(OnceSessionTest, NumbersRiseFromOne) {
  EXPECT_EQ(session_.Take().number, 1U);
  EXPECT_EQ(session_.Take().number, 2U);
}

TEST_F(OnceSessionTest, DoneStopsBelowTheFirstNumberThatIsAwaited) {
  const OnceSession::Ticket first = session_.Take();
  const OnceSession::Ticket second = session_.Take();
  session_.Release(second);
  EXPECT_EQ(session_.done(), 0U);
  session_.Release(first);
  EXPECT_EQ(session_.done(), 2U);
}

TEST_F(OnceSessionTest, GivesOutNoMoreThanTheWindow) {
  std::vector<OnceSession::Ticket> tickets;
  while (session_.HasRoom(1)) tickets.push_back(session_.Take());
  EXPECT_EQ(tickets.size(), kOnceWindow);
  session_.Release(tickets[1]);
  EXPECT_FALSE(session_.HasRoom(1)) << "the first number still holds the window";
  session_.Release(tickets[0]);
  EXPECT_TRUE(session_.HasRoom(2));
  EXPECT_FALSE(session_.HasRoom(3));
}

TEST_F(OnceSessionTest, ATicketOfAnEarlierSessionReleasesNothing) {
  const OnceSession::Ticket old = session_.Take();
  session_.Begin("another", "history");
  session_.Take();
  session_.Release(old);
  EXPECT_EQ(session_.done(), 0U);
  EXPECT_FALSE(session_.IsCurrent(old));
}

TEST_F(OnceSessionTest, AnEndedSessionIsNotKnown) {
  const OnceSession::Ticket ticket = session_.Take();
  session_.End();
  EXPECT_FALSE(session_.known());
  EXPECT_FALSE(session_.IsCurrent(ticket));
}

}  // namespace
}  // namespace entrepot
