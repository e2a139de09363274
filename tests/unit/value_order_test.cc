#include "store/value_order.h"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "unit/sample_values.h"

namespace entrepot {
namespace {

int Sign(int comparison) { return comparison < 0 ? -1 : comparison > 0; }

int Compare(const SampleValue& left, const SampleValue& right) {
  return Sign(CompareValues(*ReadOrderedValue(left.encoded), *ReadOrderedValue(right.encoded)));
}

void ExpectRising(const std::vector<SampleValue>& values) {
  for (size_t i = 0; i < values.size(); ++i) {
    for (size_t j = 0; j < values.size(); ++j) {
      EXPECT_EQ(Compare(values[i], values[j]), Sign(static_cast<int>(i) - static_cast<int>(j)))
          << "values " << i << " and " << j;
    }
  }
}

TEST(ValueOrderTest, NilFalseTrueNumbersTextsInThatOrder) {
  ExpectRising({SampleValues::Nil(), SampleValues::Bool(false), SampleValues::Bool(true),
                SampleValues::Signed(-1), SampleValues::Float(std::nan("")),
                SampleValues::String("")});
}

TEST(ValueOrderTest, IntegersAndFloatsCompareByExactValue) {
  constexpr uint64_t kTwoTo53 = uint64_t{1} << 53;
  constexpr uint64_t kTwoTo63 = uint64_t{1} << 63;
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  ExpectRising({
      SampleValues::Float(-kInfinity),
      SampleValues::Float(-9223372036854777856.0),  // The double below -2^63.
      SampleValues::Signed(std::numeric_limits<int64_t>::min()),
      SampleValues::Signed(-static_cast<int64_t>(kTwoTo53) - 1),
      SampleValues::Float(-9007199254740992.0),
      SampleValues::Signed(-static_cast<int64_t>(kTwoTo53) + 1),
      SampleValues::Float(-1.5),
      SampleValues::Signed(-1),
      SampleValues::Float(-0.5),
      SampleValues::Unsigned(0),
      SampleValues::Float(5e-324),
      SampleValues::Float32(0.25f),
      SampleValues::Unsigned(1),
      SampleValues::Float(1.5),
      SampleValues::Unsigned(kTwoTo53 - 1),
      SampleValues::Float(9007199254740992.0),
      SampleValues::Unsigned(kTwoTo53 + 1),
      SampleValues::Float(9007199254740994.0),
      SampleValues::Unsigned(kTwoTo63 - 1),
      SampleValues::Float(9223372036854775808.0),
      SampleValues::Unsigned(kTwoTo63 + 1),
      SampleValues::Unsigned(~uint64_t{0}),
      SampleValues::Float(18446744073709551616.0),
      SampleValues::Float(kInfinity),
      SampleValues::Float(std::nan("")),
  });
}

TEST(ValueOrderTest, NumbersOfOneValueAreEqualInEveryForm) {
  EXPECT_EQ(Compare(SampleValues::Float(-0.0), SampleValues::Unsigned(0)), 0);
  EXPECT_EQ(Compare(SampleValues::Float(-0.0), SampleValues::Float(0.0)), 0);
  EXPECT_EQ(Compare(SampleValues::Float32(2.0f), SampleValues::Unsigned(2)), 0);
  EXPECT_EQ(Compare(SampleValues::Float(-3.0), SampleValues::Signed(-3)), 0);
  EXPECT_EQ(Compare(SampleValues::Float(std::nan("1")), SampleValues::Float(-std::nan(""))), 0);
  // Five, as a signed 8-bit integer and as a fixint.
  EXPECT_EQ(CompareValues(*ReadOrderedValue("\xd0\x05"), *ReadOrderedValue("\x05")), 0);
}

TEST(ValueOrderTest, TextsCompareByUnsignedBytesWhetherStrOrBin) {
  ExpectRising({SampleValues::String(""), SampleValues::Binary(std::string(1, '\0')),
                SampleValues::String(std::string("\0a", 2)), SampleValues::Binary("a"),
                SampleValues::String(std::string("a\0", 2)), SampleValues::String("aa"),
                SampleValues::Binary("\x7f"), SampleValues::String("\x80"),
                SampleValues::Binary("\xff"), SampleValues::Binary("\xff\xff")});
  EXPECT_EQ(Compare(SampleValues::String("abc"), SampleValues::Binary("abc")), 0);
}

TEST(ValueOrderTest, ContainersAndExtensionsHaveNoPlace) {
  EXPECT_FALSE(ReadOrderedValue(SampleValues::Array().encoded));
  EXPECT_FALSE(ReadOrderedValue("\x81\x01\x02"));  // {1: 2}
  EXPECT_FALSE(ReadOrderedValue("\xd4\x05x"));     // Extension 5.
  EXPECT_FALSE(ReadOrderedValue(""));
  EXPECT_FALSE(
      ReadOrderedValue("\xa5"
                       "abc"));  // A str that ends too early.
}

class ValueOrderPropertyTest : public testing::Test {
 protected:
  SampleValue AnyOrdered() {
    for (;;) {
      SampleValue value = samples_.Any();
      if (value.ordered()) return value;
    }
  }

  SampleValues samples_{TestSeed()};
};

TEST_F(ValueOrderPropertyTest, ComparisonAgreesWithAWiderType) {
  for (int i = 0; i < 200'000; ++i) {
    const SampleValue left = AnyOrdered(), right = AnyOrdered();
    ASSERT_EQ(Compare(left, right), Sign(CompareSamples(left, right)))
        << static_cast<double>(left.number) << " and " << static_cast<double>(right.number)
        << " or texts of " << left.text.size() << " and " << right.text.size() << " bytes";
  }
}

TEST_F(ValueOrderPropertyTest, HeadsAgreeWithTheOrder) {
  for (int i = 0; i < 200'000; ++i) {
    SampleValue left = AnyOrdered(), right = AnyOrdered();
    if (left.type > right.type) std::swap(left, right);
    const size_t skip = samples_.Below(2) * samples_.Below(40);
    if (left.type == SampleValue::kText && skip > 0) {
      const std::string shared(skip, 'x');
      left = SampleValues::String(shared + left.text);
      right = SampleValues::String(shared + right.text);
    }
    const OrderedValue first = *ReadOrderedValue(left.encoded);
    const OrderedValue second = *ReadOrderedValue(right.encoded);
    if (first.type != second.type) continue;
    const int order = Sign(CompareSamples(left, right));
    if (order <= 0) {
      ASSERT_LE(HeadOf(first, skip), HeadOf(second, skip));
    }
    if (order >= 0) {
      ASSERT_GE(HeadOf(first, skip), HeadOf(second, skip));
    }
  }
}

TEST_F(ValueOrderPropertyTest, PackedValuesAreReadBackEqual) {
  for (int i = 0; i < 50'000; ++i) {
    const SampleValue value = AnyOrdered();
    const OrderedValue read = *ReadOrderedValue(value.encoded);
    ByteBuffer packed;
    PackOrderedValue(&packed, read);
    ASSERT_EQ(CompareValues(*ReadOrderedValue(packed.view()), read), 0);
  }
}

TEST(ValueOrderTest, HeadsOfShortTextsArePaddedWithZeros) {
  EXPECT_EQ(HeadOf(OrderedValue::OfText("ab"), 0), (Head{0x6162000000000000, 0}));
  EXPECT_EQ(HeadOf(OrderedValue::OfText("abcdefghij"), 0), (Head{0x6162636465666768, 0x696a000000000000}));
  EXPECT_EQ(HeadOf(OrderedValue::OfText("abcdefghij"), 2), (Head{0x636465666768696a, 0}));
  EXPECT_EQ(HeadOf(OrderedValue::OfText("abcdefghij"), 9), (Head{0x6a00000000000000, 0}));
  EXPECT_EQ(HeadOf(OrderedValue::OfText("ab"), 2), Head{});
}

}  // namespace
}  // namespace entrepot
