#include "server/output_account.h"

#include <gtest/gtest.h>

namespace entrepot {
namespace {

constexpr uint64_t kSlow = 1, kGood = 2;

TEST(OutputAccountTest, PeerOverItsBoundIsRefusedAndNobodyElse) {
  OutputAccount account;
  const OutputAccount::Charge within = account.Add(kSlow, kOutputBytesRefuse);
  EXPECT_TRUE(account.TakesMore(kSlow));
  const OutputAccount::Charge over = account.Add(kSlow, 1);
  EXPECT_FALSE(account.TakesMore(kSlow));
  EXPECT_TRUE(account.TakesMore(kGood));
}

TEST(OutputAccountTest, WhatWasTakenMakesRoom) {
  OutputAccount account;
  {
    const OutputAccount::Charge charge = account.Add(kSlow, kOutputBytesRefuse + 1);
    EXPECT_FALSE(account.TakesMore(kSlow));
  }
  EXPECT_TRUE(account.TakesMore(kSlow));
  EXPECT_EQ(account.Waiting(kSlow), 0u);
  EXPECT_EQ(account.WaitingInAll(), 0u);
}

TEST(OutputAccountTest, AllTogetherHaveABoundThatHoldsThoseWhoHaveSomething) {
  OutputAccount account;
  std::vector<OutputAccount::Charge> charges;
  uint64_t connection = 100;
  for (size_t bytes = 0; bytes <= kOutputBytesInAll; bytes += kOutputBytesRefuse) {
    charges.push_back(account.Add(connection++, kOutputBytesRefuse));
  }
  EXPECT_FALSE(account.TakesMore(100));
  EXPECT_TRUE(account.TakesMore(kGood));
}

TEST(OutputAccountTest, EventsAreToldToWhoTakesThem) {
  OutputAccount account;
  OutputAccount::Charge charge = account.Add(kSlow, kOutputBytesOfPeer - 1);
  EXPECT_TRUE(account.TakesEvents(kSlow));
  charge = account.Add(kSlow, kOutputBytesOfPeer);
  EXPECT_FALSE(account.TakesEvents(kSlow));
  EXPECT_TRUE(account.TakesEvents(kGood));
  charge = {};
  // However little each of many has, together it is not more than a half of what there is.
  std::vector<OutputAccount::Charge> charges;
  for (uint64_t connection = 100; account.WaitingInAll() < kOutputBytesInAll / 2; ++connection) {
    charges.push_back(account.Add(connection, kOutputBytesOfPeer / 2));
  }
  EXPECT_FALSE(account.TakesEvents(100));
  EXPECT_TRUE(account.TakesEvents(kGood));
}

TEST(OutputAccountTest, ChargeOutlivesTheConnectionsPlaceInTheAccount) {
  OutputAccount::Charge charge;
  {
    OutputAccount account;
    charge = account.Add(kSlow, 10);
    account.Sweep();
    EXPECT_EQ(account.Waiting(kSlow), 10u);
  }
  charge = {};  // The account is gone; its counters are not.
}

TEST(OutputAccountTest, SweepForgetsOnlyThoseForWhomNothingWaits) {
  OutputAccount account;
  const OutputAccount::Charge charge = account.Add(kSlow, 10);
  account.Add(kGood, 20);
  account.Sweep();
  EXPECT_EQ(account.Waiting(kSlow), 10u);
  EXPECT_EQ(account.Waiting(kGood), 0u);
  EXPECT_EQ(account.WaitingInAll(), 10u);
}

}  // namespace
}  // namespace entrepot
