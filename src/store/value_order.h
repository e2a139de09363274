// The order of values: nil < false < true < numbers < str and bin by their bytes.
//
// Numbers compare by exact value, integers and floats together; -0 equals 0; NaN comes after all
// numbers and equals itself. Arrays, maps and extensions have no place in it.
// (docs/PROTOCOL.md, "Search by value".)
//
// Thread safety: pure functions.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/byte_buffer.h"

namespace entrepot {

// A value with a place in the order. Views the msgpack bytes that it was read from.
struct OrderedValue {
  enum class Class : uint8_t { kNil, kFalse, kTrue, kNumber, kText };

  Class type;
  // Of kNumber: how `number` (or `real`) is to be read.
  enum class Number : uint8_t { kUnsigned, kNegative, kFloat } form;
  union {
    uint64_t number;  // kUnsigned; kNegative as two's complement.
    double real;      // kFloat
  };
  std::string_view text;  // kText: the content of the str or bin.

  static OrderedValue OfText(std::string_view text) { return {Class::kText, {}, {}, text}; }
};

// The value that the msgpack item `encoded` stands for; nothing where it has no place.
std::optional<OrderedValue> ReadOrderedValue(std::string_view encoded);

// Appends a msgpack item that ReadOrderedValue() reads as an equal value; a text as bin.
void PackOrderedValue(ByteBuffer* out, const OrderedValue& value);

// Negative, zero or positive, as memcmp() answers. Whole texts are compared.
int CompareValues(const OrderedValue& left, const OrderedValue& right);

// Sixteen bytes of a value, as a number.
struct Head {
  uint64_t high;
  uint64_t low;
  auto operator<=>(const Head&) const = default;
};

// The head of a value. Heads agree with the order inside one class: left < right in CompareValues()
// never has HeadOf(left) > HeadOf(right). For texts: the 16 bytes behind the first `skip`, zeros
// where it ends before; requires that all texts compared share those first `skip` bytes.
Head HeadOf(const OrderedValue& value, size_t skip);

}  // namespace entrepot
