#include "entrepot/value.h"

#include <bit>
#include <cstdint>
#include <msgpack.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "wire_reader.h"

namespace entrepot {
namespace {

// Where msgpack-cxx writes to.
class StringSink {
 public:
  void write(const char* data, size_t size) { bytes_.append(data, size); }
  std::string Take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

template <typename T>
std::string Encode(const T& value) {
  StringSink sink;
  msgpack::pack(sink, value);
  return sink.Take();
}

}  // namespace

Value::Value() : encoded_(1, '\xc0') {}

// By hand: msgpack-cxx packs a float without a fraction as an integer.
Value::Value(double value) : encoded_(1, '\xcb') {
  const auto bits = std::bit_cast<uint64_t>(value);
  for (int shift = 56; shift >= 0; shift -= 8) encoded_.push_back(static_cast<char>(bits >> shift));
}

Value::Value(std::string_view text) {
  StringSink sink;
  msgpack::packer<StringSink> packer(sink);
  packer.pack_str(text.size());
  packer.pack_str_body(text.data(), text.size());
  encoded_ = sink.Take();
}

Value Value::Bytes(std::string_view bytes) {
  StringSink sink;
  msgpack::packer<StringSink> packer(sink);
  packer.pack_bin(bytes.size());
  packer.pack_bin_body(bytes.data(), bytes.size());
  return Value(Encoded(), sink.Take());
}

Value Value::TextOrBytes(std::string_view content) {
  return IsUtf8(content) ? Value(content) : Bytes(content);
}

Result<Value> Value::FromEncoded(std::string encoded) {
  WireReader reader(encoded);
  if (!reader.ReadValue() || !reader.AtEnd()) {
    return Status(StatusCode::kMalformed, "the bytes are not one msgpack value");
  }
  return Value(Encoded(), std::move(encoded));
}

std::string Value::EncodeSigned(int64_t value) { return Encode(value); }

std::string Value::EncodeUnsigned(uint64_t value) { return Encode(value); }

Value::Type Value::type() const {
  const unsigned char head = encoded_[0];
  if (head <= 0x7f || head >= 0xe0) return Type::kInteger;
  if (head <= 0x8f) return Type::kMap;
  if (head <= 0x9f) return Type::kArray;
  if (head <= 0xbf) return Type::kString;
  switch (head) {
    case 0xc2:
    case 0xc3:
      return Type::kBool;
    case 0xc4:
    case 0xc5:
    case 0xc6:
      return Type::kBytes;
    case 0xca:
    case 0xcb:
      return Type::kFloat;
    case 0xd9:
    case 0xda:
    case 0xdb:
      return Type::kString;
    case 0xdc:
    case 0xdd:
      return Type::kArray;
    case 0xde:
    case 0xdf:
      return Type::kMap;
    default:
      break;
  }
  if (head >= 0xcc && head <= 0xd3) return Type::kInteger;
  if ((head >= 0xc7 && head <= 0xc9) || (head >= 0xd4 && head <= 0xd8)) return Type::kExt;
  return Type::kNil;
}

Status Value::WrongType(std::string_view wanted) const {
  std::string message = "the value is of type ";
  message.append(TypeName(type())).append(", not ").append(wanted);
  return Status(StatusCode::kWrongType, std::move(message));
}

Result<std::string_view> Value::AsString() const {
  WireReader reader(encoded_);
  if (const std::optional<std::string_view> content = reader.ReadString()) return *content;
  return WrongType("str or bin");
}

Result<int64_t> Value::AsInt() const {
  WireReader reader(encoded_);
  if (const std::optional<int64_t> number = reader.ReadInt()) return *number;
  return WrongType("an integer that fits 64 bits with a sign");
}

Result<uint64_t> Value::AsUint() const {
  WireReader reader(encoded_);
  if (const std::optional<uint64_t> number = reader.ReadUint()) return *number;
  return WrongType("an integer that fits 64 bits without a sign");
}

Result<double> Value::AsDouble() const {
  if (type() == Type::kInteger) {
    if (const Result<int64_t> number = AsInt(); number.ok()) return static_cast<double>(*number);
    return static_cast<double>(*AsUint());
  }
  WireReader reader(encoded_);
  if (const std::optional<double> number = reader.ReadFloat()) return *number;
  return WrongType("a number");
}

Result<bool> Value::AsBool() const {
  WireReader reader(encoded_);
  if (const std::optional<bool> truth = reader.ReadBool()) return *truth;
  return WrongType("bool");
}

std::string_view TypeName(Value::Type type) {
  switch (type) {
    case Value::Type::kNil:
      return "nil";
    case Value::Type::kBool:
      return "bool";
    case Value::Type::kInteger:
      return "integer";
    case Value::Type::kFloat:
      return "float";
    case Value::Type::kString:
      return "str";
    case Value::Type::kBytes:
      return "bin";
    case Value::Type::kArray:
      return "array";
    case Value::Type::kMap:
      return "map";
    case Value::Type::kExt:
      return "ext";
  }
  return "nil";
}

bool IsUtf8(std::string_view bytes) {
  size_t i = 0;
  while (i < bytes.size()) {
    const unsigned char lead = bytes[i];
    size_t continuation = 0;
    uint32_t smallest = 0;
    uint32_t code_point = 0;
    if (lead < 0x80) {
      ++i;
      continue;
    }
    if (lead >= 0xc2 && lead <= 0xdf) {
      continuation = 1, smallest = 0x80, code_point = lead & 0x1f;
    } else if (lead >= 0xe0 && lead <= 0xef) {
      continuation = 2, smallest = 0x800, code_point = lead & 0x0f;
    } else if (lead >= 0xf0 && lead <= 0xf4) {
      continuation = 3, smallest = 0x10000, code_point = lead & 0x07;
    } else {
      return false;
    }
    if (bytes.size() - i <= continuation) return false;
    for (size_t k = 1; k <= continuation; ++k) {
      const unsigned char next = bytes[i + k];
      if ((next & 0xc0) != 0x80) return false;
      code_point = code_point << 6 | (next & 0x3f);
    }
    const bool surrogate = code_point >= 0xd800 && code_point <= 0xdfff;
    if (code_point < smallest || surrogate || code_point > 0x10ffff) return false;
    i += continuation + 1;
  }
  return true;
}

}  // namespace entrepot
