// Value: one msgpack value, kept as the bytes it has on the wire.
//
// The store hands every value back byte for byte, so a Value read and written again is the same
// value, ext types and unusual encodings included. It is read through accessors that never throw
// and never convert silently: what is asked for must be what is there. For arrays, maps and your
// own types see entrepot/msgpack.h.
//
//    Value text = "hello";                    // msgpack str
//    Value bytes = Value::Bytes("\x00\x01");  // msgpack bin
//    Result<int64_t> number = value.AsInt();
//
// Thread safety: as a plain value.

#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "entrepot/result.h"

namespace entrepot {

class Value {
 public:
  enum class Type : uint8_t { kNil, kBool, kInteger, kFloat, kString, kBytes, kArray, kMap, kExt };

  // nil.
  Value();
  Value(std::nullptr_t) : Value() {}
  Value(char) = delete;  // A number or a text? Say int{c} or std::string(1, c).
  Value(std::same_as<bool> auto value) : encoded_(1, value ? '\xc3' : '\xc2') {}
  Value(std::signed_integral auto value) requires(!std::same_as<decltype(value), char>)
      : encoded_(EncodeSigned(value)) {}
  Value(std::unsigned_integral auto value) requires(!std::same_as<decltype(value), bool> &&
                                                    !std::same_as<decltype(value), char>)
      : encoded_(EncodeUnsigned(value)) {}
  Value(double value);
  // A msgpack str. For bytes that are no text use Bytes().
  Value(std::string_view text);
  Value(const std::string& text) : Value(std::string_view(text)) {}
  Value(const char* text) : Value(std::string_view(text)) {}

  // A msgpack bin.
  static Value Bytes(std::string_view bytes);

  // A str when `content` is valid UTF-8, else a bin: for content of unknown nature.
  static Value TextOrBytes(std::string_view content);

  // Takes over one encoded msgpack value; `malformed` when `encoded` is anything else.
  static Result<Value> FromEncoded(std::string encoded);

  // The msgpack bytes.
  const std::string& encoded() const { return encoded_; }

  Type type() const;
  bool is_nil() const { return type() == Type::kNil; }

  // The content of a str or bin. The view lives as long as this value is unchanged.
  // `wrong_type` for all else.
  Result<std::string_view> AsString() const;
  // `wrong_type` for what is no integer and for one that does not fit.
  Result<int64_t> AsInt() const;
  Result<uint64_t> AsUint() const;
  // Floats, and integers as the nearest double.
  Result<double> AsDouble() const;
  Result<bool> AsBool() const;

  // Equality is on the bytes: 1 and 1.0 differ, as they do for `value` conditions.
  friend bool operator==(const Value& a, const Value& b) { return a.encoded_ == b.encoded_; }

 private:
  struct Encoded {};
  Value(Encoded, std::string encoded) : encoded_(std::move(encoded)) {}

  static std::string EncodeSigned(int64_t value);
  static std::string EncodeUnsigned(uint64_t value);

  Status WrongType(std::string_view wanted) const;

  std::string encoded_;
};

// "nil", "bool", "integer", "float", "str", "bin", "array", "map", "ext".
std::string_view TypeName(Value::Type type);

// Whether `bytes` are valid UTF-8 (RFC 3629: no surrogates, nothing over-long).
bool IsUtf8(std::string_view bytes);

}  // namespace entrepot
