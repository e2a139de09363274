#include "wire_reader.h"

#include <bit>
#include <limits>
#include <msgpack.hpp>
#include <optional>
#include <string_view>

namespace entrepot {
namespace {

// The visitor that only notes whether the value was whole.
struct SkippingVisitor : msgpack::null_visitor {
  bool whole = true;
  void parse_error(size_t, size_t) { whole = false; }
  void insufficient_bytes(size_t, size_t) { whole = false; }
};

}  // namespace

int WireReader::Peek() const {
  if (failed_ || position_ >= bytes_.size()) return -1;
  return static_cast<unsigned char>(bytes_[position_]);
}

std::optional<uint64_t> WireReader::Take(size_t size) {
  if (failed_ || bytes_.size() - position_ < size) {
    Fail();
    return std::nullopt;
  }
  uint64_t number = 0;
  for (size_t i = 0; i < size; ++i) {
    number = number << 8 | static_cast<unsigned char>(bytes_[position_ + i]);
  }
  position_ += size;
  return number;
}

std::optional<std::string_view> WireReader::TakeBytes(uint64_t size) {
  if (failed_ || bytes_.size() - position_ < size) {
    Fail();
    return std::nullopt;
  }
  const std::string_view taken = bytes_.substr(position_, size);
  position_ += size;
  return taken;
}

std::optional<uint32_t> WireReader::ReadArray() {
  const int head = Peek();
  size_t length_size = 0;
  if (head >= 0x90 && head <= 0x9f) {
    ++position_;
    return head & 0x0f;
  }
  if (head == 0xdc) length_size = 2;
  if (head == 0xdd) length_size = 4;
  if (length_size == 0) {
    Fail();
    return std::nullopt;
  }
  ++position_;
  return Take(length_size);
}

std::optional<uint32_t> WireReader::ReadMap() {
  const int head = Peek();
  size_t length_size = 0;
  if (head >= 0x80 && head <= 0x8f) {
    ++position_;
    return head & 0x0f;
  }
  if (head == 0xde) length_size = 2;
  if (head == 0xdf) length_size = 4;
  if (length_size == 0) {
    Fail();
    return std::nullopt;
  }
  ++position_;
  return Take(length_size);
}

std::optional<std::string_view> WireReader::ReadString() {
  const int head = Peek();
  size_t length_size = 0;
  if (head >= 0xa0 && head <= 0xbf) {
    ++position_;
    return TakeBytes(head & 0x1f);
  }
  if (head == 0xc4 || head == 0xd9) length_size = 1;
  if (head == 0xc5 || head == 0xda) length_size = 2;
  if (head == 0xc6 || head == 0xdb) length_size = 4;
  if (length_size == 0) {
    Fail();
    return std::nullopt;
  }
  ++position_;
  const std::optional<uint64_t> length = Take(length_size);
  if (!length) return std::nullopt;
  return TakeBytes(*length);
}

std::optional<int64_t> WireReader::ReadInt() {
  const int head = Peek();
  if (head >= 0xd0 && head <= 0xd3) {
    ++position_;
    const size_t size = size_t{1} << (head - 0xd0);
    const std::optional<uint64_t> raw = Take(size);
    if (!raw) return std::nullopt;
    const unsigned unused_bits = 64 - 8 * size;
    return static_cast<int64_t>(*raw << unused_bits) >> unused_bits;
  }
  if (head >= 0xe0) {
    ++position_;
    return static_cast<int8_t>(head);
  }
  const std::optional<uint64_t> number = ReadUint();
  if (number && *number > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
    Fail();
    return std::nullopt;
  }
  return number;
}

std::optional<uint64_t> WireReader::ReadUint() {
  const int head = Peek();
  if (head >= 0 && head <= 0x7f) {
    ++position_;
    return head;
  }
  if (head >= 0xcc && head <= 0xcf) {
    ++position_;
    return Take(size_t{1} << (head - 0xcc));
  }
  if (head >= 0xd0 && head <= 0xd3) {
    const std::optional<int64_t> number = ReadInt();
    if (number && *number >= 0) return static_cast<uint64_t>(*number);
  }
  Fail();
  return std::nullopt;
}

std::optional<double> WireReader::ReadFloat() {
  const int head = Peek();
  if (head == 0xca) {
    ++position_;
    const std::optional<uint64_t> raw = Take(4);
    if (!raw) return std::nullopt;
    return std::bit_cast<float>(static_cast<uint32_t>(*raw));
  }
  if (head == 0xcb) {
    ++position_;
    const std::optional<uint64_t> raw = Take(8);
    if (!raw) return std::nullopt;
    return std::bit_cast<double>(*raw);
  }
  Fail();
  return std::nullopt;
}

std::optional<bool> WireReader::ReadBool() {
  const int head = Peek();
  if (head != 0xc2 && head != 0xc3) {
    Fail();
    return std::nullopt;
  }
  ++position_;
  return head == 0xc3;
}

bool WireReader::ReadNil() {
  if (Peek() != 0xc0) return false;
  ++position_;
  return true;
}

std::optional<std::string_view> WireReader::ReadValue() {
  if (failed_) return std::nullopt;
  const size_t begin = position_;
  SkippingVisitor visitor;
  const bool parsed = msgpack::parse(bytes_.data(), bytes_.size(), position_, visitor);
  if (!parsed || !visitor.whole) {
    position_ = begin;
    Fail();
    return std::nullopt;
  }
  return bytes_.substr(begin, position_ - begin);
}

}  // namespace entrepot
