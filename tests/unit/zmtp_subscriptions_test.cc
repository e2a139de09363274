#include "zmtp/subscriptions.h"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace entrepot::zmtp {
namespace {

std::set<Subscriber*> Matches(SubscriptionIndex& index, std::string_view topic) {
  std::set<Subscriber*> found;
  index.Match(topic, [&](Subscriber* subscriber) {
    EXPECT_TRUE(found.insert(subscriber).second) << "visited twice for " << topic;
  });
  return found;
}

TEST(ZmtpSubscriptionsTest, AnEmptyPrefixMatchesEverything) {
  SubscriptionIndex index;
  Subscriber all(nullptr);
  index.Add(&all, "");
  EXPECT_EQ(Matches(index, "").size(), 1u);
  EXPECT_EQ(Matches(index, "any").size(), 1u);
  index.RemoveAll(&all);
}

TEST(ZmtpSubscriptionsTest, NestedPrefixesReachASubscriberOnce) {
  SubscriptionIndex index;
  Subscriber subscriber(nullptr);
  for (const char* prefix : {"", "a", "ab", "abc", "b"}) index.Add(&subscriber, prefix);
  EXPECT_EQ(Matches(index, "abcd").size(), 1u);
  index.RemoveAll(&subscriber);
  EXPECT_TRUE(index.empty());
}

// RFC 37: "Subscribing to "A" and "A" counts as two subscriptions, and would require two CANCEL
// commands to undo."
TEST(ZmtpSubscriptionsTest, SubscriptionsAreCounted) {
  SubscriptionIndex index;
  Subscriber subscriber(nullptr);
  index.Add(&subscriber, "A");
  index.Add(&subscriber, "A");
  EXPECT_EQ(subscriber.subscriptions(), 2u);
  index.Remove(&subscriber, "A");
  EXPECT_EQ(Matches(index, "A1").size(), 1u);
  index.Remove(&subscriber, "A");
  EXPECT_TRUE(Matches(index, "A1").empty());
  EXPECT_EQ(subscriber.held_bytes(), 0u);
  index.Remove(&subscriber, "A");
  EXPECT_EQ(subscriber.subscriptions(), 0u);
}

TEST(ZmtpSubscriptionsTest, BytesCompareUnsigned) {
  SubscriptionIndex index;
  Subscriber high(nullptr), low(nullptr);
  index.Add(&high, "\xff");
  index.Add(&low, std::string_view("\0", 1));
  EXPECT_EQ(Matches(index, "\xff\xff"), std::set<Subscriber*>{&high});
  EXPECT_EQ(Matches(index, std::string_view("\0\xff", 2)), std::set<Subscriber*>{&low});
  index.RemoveAll(&high);
  index.RemoveAll(&low);
}

// Random subscriptions over a small alphabet, where prefixes nest often, against a list of them.
TEST(ZmtpSubscriptionsTest, AgreesWithAList) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  const auto word = [&](size_t length_max) {
    std::string text(random() % (length_max + 1), 'a');
    for (char& c : text) c = static_cast<char>('a' + random() % 3);
    return text;
  };
  SubscriptionIndex index;
  std::vector<std::unique_ptr<Subscriber>> subscribers;
  for (int i = 0; i < 8; ++i) subscribers.push_back(std::make_unique<Subscriber>(nullptr));
  std::map<std::pair<Subscriber*, std::string>, int> model;

  for (int step = 0; step < 20'000; ++step) {
    Subscriber* const subscriber = subscribers[random() % subscribers.size()].get();
    const std::string prefix = word(5);
    const auto key = std::pair(subscriber, prefix);
    if (random() % 200 == 0) {
      index.RemoveAll(subscriber);
      std::erase_if(model, [&](const auto& entry) { return entry.first.first == subscriber; });
    } else if (random() % 2 == 0) {
      index.Add(subscriber, prefix);
      ++model[key];
    } else {
      index.Remove(subscriber, prefix);
      if (model.contains(key) && --model[key] == 0) model.erase(key);
    }
    const std::string topic = word(7);
    std::set<Subscriber*> expected;
    for (const auto& [entry, times] : model) {
      if (topic.starts_with(entry.second)) expected.insert(entry.first);
    }
    ASSERT_EQ(Matches(index, topic), expected) << topic;
  }
  for (const auto& subscriber : subscribers) {
    index.RemoveAll(subscriber.get());
    EXPECT_EQ(subscriber->held_bytes(), 0u);
  }
  EXPECT_TRUE(index.empty());
}

}  // namespace
}  // namespace entrepot::zmtp
