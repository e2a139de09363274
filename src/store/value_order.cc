#include "store/value_order.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/coding.h"
#include "base/msgpack.h"

namespace entrepot {

namespace {

using Number = OrderedValue::Number;

constexpr double kTwoTo63 = 9223372036854775808.0;
constexpr double kTwoTo64 = 18446744073709551616.0;

template <typename T>
int Compare(T left, T right) {
  return left < right ? -1 : left > right;
}

int CompareFloats(double left, double right) {
  if (std::isnan(left) || std::isnan(right)) return Compare(std::isnan(left), std::isnan(right));
  return Compare(left, right);
}

// The comparisons of a float with an integer are exact: neither is rounded to the other's form.
int CompareFloatWithUnsigned(double left, uint64_t right) {
  if (std::isnan(left) || left >= kTwoTo64) return 1;
  if (left < 0) return -1;
  const uint64_t whole = static_cast<uint64_t>(left);
  if (whole != right) return Compare(whole, right);
  return left > std::trunc(left) ? 1 : 0;
}

int CompareFloatWithNegative(double left, int64_t right) {
  if (std::isnan(left) || left >= 0) return 1;
  if (left < -kTwoTo63) return -1;
  const int64_t whole = static_cast<int64_t>(left);
  if (whole != right) return Compare(whole, right);
  return left < std::trunc(left) ? -1 : 0;
}

int CompareFloatWithInteger(double left, const OrderedValue& right) {
  return right.form == Number::kUnsigned
             ? CompareFloatWithUnsigned(left, right.number)
             : CompareFloatWithNegative(left, static_cast<int64_t>(right.number));
}

int CompareNumbers(const OrderedValue& left, const OrderedValue& right) {
  const bool left_is_float = left.form == Number::kFloat;
  const bool right_is_float = right.form == Number::kFloat;
  if (left_is_float && right_is_float) return CompareFloats(left.real, right.real);
  if (left_is_float) return CompareFloatWithInteger(left.real, right);
  if (right_is_float) return -CompareFloatWithInteger(right.real, left);
  if (left.form != right.form) return left.form == Number::kNegative ? -1 : 1;
  // Two's complement keeps the order of integers of one sign.
  return Compare(left.number, right.number);
}

// The bits of the nearest double, made to rise with it. Rounding to the nearest never turns an
// order round, so this agrees with CompareNumbers().
uint64_t HeadOfNumber(const OrderedValue& value) {
  double real = value.form == Number::kFloat ? value.real
                : value.form == Number::kUnsigned
                    ? static_cast<double>(value.number)
                    : static_cast<double>(static_cast<int64_t>(value.number));
  if (std::isnan(real)) return ~uint64_t{0};
  real += 0.0;  // -0 becomes 0.
  const uint64_t bits = std::bit_cast<uint64_t>(real);
  constexpr uint64_t kSign = uint64_t{1} << 63;
  return (bits & kSign) != 0 ? ~bits : bits | kSign;
}

Head LoadHead(const char* bytes) {
  return {LoadBig<uint64_t>(bytes), LoadBig<uint64_t>(bytes + sizeof(uint64_t))};
}

Head HeadOfText(std::string_view text, size_t skip) {
  if (text.size() >= skip + sizeof(Head)) return LoadHead(text.data() + skip);
  if (text.size() <= skip) return {};
  char padded[sizeof(Head)] = {};
  std::copy(text.begin() + static_cast<ptrdiff_t>(skip), text.end(), padded);
  return LoadHead(padded);
}

}  // namespace

std::optional<OrderedValue> ReadOrderedValue(std::string_view encoded) {
  MsgpackReader reader(encoded);
  Token token;
  if (!reader.Next(&token)) return std::nullopt;
  OrderedValue value{};
  switch (token.type) {
    case Token::kNil:
      value.type = OrderedValue::Class::kNil;
      return value;
    case Token::kFalse:
      value.type = OrderedValue::Class::kFalse;
      return value;
    case Token::kTrue:
      value.type = OrderedValue::Class::kTrue;
      return value;
    case Token::kUnsigned:
    case Token::kNegative:
      value.type = OrderedValue::Class::kNumber;
      value.form = token.type == Token::kUnsigned ? Number::kUnsigned : Number::kNegative;
      value.number = token.number;
      return value;
    case Token::kFloat:
      value.type = OrderedValue::Class::kNumber;
      value.form = Number::kFloat;
      value.real = token.real;
      return value;
    case Token::kString:
    case Token::kBinary:
      return OrderedValue::OfText(token.bytes);
    case Token::kArray:
    case Token::kMap:
    case Token::kExtension:
      return std::nullopt;
  }
  return std::nullopt;
}

void PackOrderedValue(ByteBuffer* out, const OrderedValue& value) {
  switch (value.type) {
    case OrderedValue::Class::kNil:
      return PackNil(out);
    case OrderedValue::Class::kFalse:
      return PackBool(out, false);
    case OrderedValue::Class::kTrue:
      return PackBool(out, true);
    case OrderedValue::Class::kText:
      return PackBinary(out, value.text);
    case OrderedValue::Class::kNumber:
      break;
  }
  switch (value.form) {
    case Number::kUnsigned:
      return PackUnsigned(out, value.number);
    case Number::kNegative:
      return PackSigned(out, static_cast<int64_t>(value.number));
    case Number::kFloat:
      return PackFloat(out, value.real);
  }
}

int CompareValues(const OrderedValue& left, const OrderedValue& right) {
  if (left.type != right.type) return left.type < right.type ? -1 : 1;
  switch (left.type) {
    case OrderedValue::Class::kNumber:
      return CompareNumbers(left, right);
    case OrderedValue::Class::kText:
      return left.text.compare(right.text);
    default:
      return 0;
  }
}

Head HeadOf(const OrderedValue& value, size_t skip) {
  switch (value.type) {
    case OrderedValue::Class::kNumber:
      return {HeadOfNumber(value), 0};
    case OrderedValue::Class::kText:
      return HeadOfText(value.text, skip);
    default:
      return {};
  }
}

}  // namespace entrepot
