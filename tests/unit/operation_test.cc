// What the single-key methods mean, without a store around them.

#include "engine/operation.h"

#include <cmath>

#include <gtest/gtest.h>
#include <msgpack.hpp>

#include "engine/transaction.h"

namespace entrepot {
namespace {

template <typename T>
std::string Item(const T& value) {
  msgpack::sbuffer buffer;
  msgpack::pack(buffer, value);
  return {buffer.data(), buffer.size()};
}

class OperationTest : public testing::Test {
 protected:
  ~OperationTest() override { Forget(); }

  // The entry that the key has; empty: none.
  void Present(const std::string& value, int64_t expires_at_ms = 0) {
    Forget();
    live_ = Entry::New("key", value, expires_at_ms);
    live_->set_version(7);
  }

  // Runs it at the time 1000; the effect becomes what is present.
  OperationResult Run(Operation operation) {
    operation.key = "key";
    OperationResult result;
    Effect effect;
    Entry* const prepared = PrepareEntry(operation, kNow);
    status_ = RunWrite(operation, live_, prepared, kNow, limits_, &result, &effect);
    if (prepared != nullptr && effect.fresh != prepared) Entry::Delete(prepared);
    effect_ = effect.kind;
    if (effect.kind != Effect::kNone) {
      Forget();
      live_ = effect.fresh;
    }
    return result;
  }
  OperationResult Increment(Number by, std::optional<Number> max = {}) {
    return Run({.method = Method::kIncrement, .by = by, .max = max});
  }

  static constexpr int64_t kNow = 1000;
  Limits limits_;
  Entry* live_ = nullptr;
  Status status_;
  Effect::Kind effect_ = Effect::kNone;

 private:
  void Forget() {
    if (live_ != nullptr) Entry::Delete(live_);
    live_ = nullptr;
  }
};

TEST_F(OperationTest, SetKeepsTheTtlOnlyWhenAsked) {
  const std::string value = Item("v");
  Present(value, 5000);
  Run({.method = Method::kSet, .value = value, .keep_ttl = true});
  EXPECT_EQ(live_->expires_at_ms(), 5000);
  Run({.method = Method::kSet, .value = value, .ttl_ms = 10});
  EXPECT_EQ(live_->expires_at_ms(), kNow + 10);
  Run({.method = Method::kSet, .value = value});
  EXPECT_EQ(live_->expires_at_ms(), 0);
}

TEST_F(OperationTest, ConflictTellsWhatIsThereAndHasNoEffect) {
  const std::string value = Item("new");
  Present(Item("old"));
  const OperationResult result = Run({.method = Method::kSet, .value = value, .if_version = 6});
  EXPECT_EQ(result.outcome, Outcome::kConflict);
  EXPECT_EQ(result.version, 7u);
  EXPECT_EQ(result.value->bytes(), Item("old"));
  EXPECT_EQ(effect_, Effect::kNone);
}

TEST_F(OperationTest, IncrementNeverWraps) {
  Present(Item(INT64_MAX));
  EXPECT_EQ(Increment(int64_t{1}).outcome, Outcome::kConflict);
  Present(Item(INT64_MIN));
  EXPECT_EQ(Increment(int64_t{-1}).outcome, Outcome::kConflict);
  Present(std::string("\xcb\x7f\xef\xff\xff\xff\xff\xff\xff", 9));  // The largest double.
  EXPECT_EQ(Increment(1e308).outcome, Outcome::kConflict);
}

TEST_F(OperationTest, IncrementMakesAFloatOfAFloat) {
  Present(Item(1));
  EXPECT_EQ(std::get<double>(*Increment(0.5).number), 1.5);
  EXPECT_EQ(std::get<double>(*Increment(int64_t{1}).number), 2.5);
}

TEST_F(OperationTest, BoundsHoldForTheSumThatCreates) {
  EXPECT_EQ(Increment(int64_t{5}, Number(int64_t{4})).outcome, Outcome::kConflict);
  EXPECT_EQ(live_, nullptr);
  EXPECT_EQ(Increment(int64_t{4}, Number(4.0)).outcome, Outcome::kCreated);
}

TEST_F(OperationTest, IncrementOfWhatIsNoNumberIsWrongType) {
  Present(Item("text"));
  Increment(int64_t{1});
  EXPECT_EQ(status_.code(), Code::kWrongType);
  Present(Item(uint64_t{INT64_MAX} + 1));
  Increment(int64_t{1});
  EXPECT_EQ(status_.code(), Code::kWrongType);
}

TEST_F(OperationTest, AppendKeepsTypeAndTtlAndItsBound) {
  const std::string more = Item("!");
  Present(std::string("\xc4\x01", 2) + "b", 9000);
  EXPECT_EQ(*Run({.method = Method::kAppend, .value = more}).length, 2u);
  EXPECT_EQ(live_->value(), std::string("\xc4\x02", 2) + "b!");
  EXPECT_EQ(live_->expires_at_ms(), 9000);
  limits_.value_bytes = 4;
  Run({.method = Method::kPrepend, .value = more});
  EXPECT_EQ(status_.code(), Code::kTooLarge);
}

TEST_F(OperationTest, TouchSharesTheBlockOfALargeValue) {
  Present(Item(std::string(kBlockBytesMin, 'v')));
  const ValueBlock* const block = live_->block();
  ASSERT_NE(block, nullptr);
  EXPECT_EQ(Run({.method = Method::kTouch, .ttl_ms = 5}).outcome, Outcome::kUpdated);
  EXPECT_EQ(live_->block(), block);
  EXPECT_EQ(live_->expires_at_ms(), kNow + 5);
}

TEST_F(OperationTest, ConditionsOnWhatDoesNotExist) {
  using Comparison = Condition::Comparison;
  const std::string operand = Item(1);
  for (const Comparison comparison :
       {Comparison::kEqual, Comparison::kLess, Comparison::kGreater}) {
    EXPECT_FALSE(
        (Condition{.field = Condition::Field::kValue, .comparison = comparison, .value = operand}
             .Holds(nullptr)));
  }
  EXPECT_TRUE((Condition{
      .field = Condition::Field::kValue, .comparison = Comparison::kNotEqual, .value = operand}
                   .Holds(nullptr)));
  EXPECT_TRUE((Condition{.field = Condition::Field::kVersion, .version = 0}.Holds(nullptr)));
  EXPECT_FALSE((Condition{.field = Condition::Field::kExists, .exists = true}.Holds(nullptr)));
}

TEST_F(OperationTest, ConditionOnArraysComparesTheirBytes) {
  Present(Item(std::vector<int>{1, 2}));
  const std::string same = Item(std::vector<int>{1, 2}), other = Item(std::vector<int>{1, 3});
  Condition condition{.field = Condition::Field::kValue, .value = same};
  EXPECT_TRUE(condition.Holds(live_));
  condition.value = other;
  EXPECT_FALSE(condition.Holds(live_));
  condition.comparison = Condition::Comparison::kLess;
  EXPECT_FALSE(condition.Holds(live_));
}

}  // namespace
}  // namespace entrepot
