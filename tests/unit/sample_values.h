// Random values for tests of order, each with what it means, so that a test can hold the project's
// order against one that is computed differently.
//
// Thread safety: none.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "base/byte_buffer.h"
#include "base/limits.h"
#include "base/msgpack.h"
#include "base/random.h"

namespace entrepot {

// A seed of its own for each run, printed, or the one in the environment.
inline uint64_t TestSeed() {
  const char* const given = std::getenv("ENTREPOT_TEST_SEED");
  const uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : RandomUint64();
  std::printf("ENTREPOT_TEST_SEED=%llu repeats this run\n", static_cast<unsigned long long>(seed));
  return seed;
}

// A value: its msgpack encoding, and its meaning.
struct SampleValue {
  enum Type { kNil, kFalse, kTrue, kNumber, kNaN, kText, kUnordered };

  std::string encoded;
  Type type = kUnordered;
  long double number = 0;  // Holds every 64-bit integer and every double exactly.
  std::string text;

  bool ordered() const { return type != kUnordered; }
};
static_assert(std::numeric_limits<long double>::digits >= 64);

// Negative, zero, positive. The order of values, computed by a wider type and std::string; of texts
// the first `text_bytes` count.
inline int CompareSamples(const SampleValue& left, const SampleValue& right,
                          size_t text_bytes = std::string::npos) {
  if (left.type != right.type) return left.type < right.type ? -1 : 1;
  if (left.type == SampleValue::kNumber) {
    return left.number < right.number ? -1 : left.number > right.number;
  }
  return left.text.compare(0, text_bytes, right.text, 0, text_bytes);
}

class SampleValues {
 public:
  explicit SampleValues(uint64_t seed) : random_(seed) {}

  uint64_t Below(uint64_t bound) { return random_() % bound; }

  static SampleValue Nil() { return Make(SampleValue::kNil, PackNil); }
  static SampleValue Bool(bool value) {
    return Make(value ? SampleValue::kTrue : SampleValue::kFalse,
                [&](ByteBuffer* out) { PackBool(out, value); });
  }
  static SampleValue Unsigned(uint64_t value) {
    return Number(value, [&](ByteBuffer* out) { PackUnsigned(out, value); });
  }
  static SampleValue Signed(int64_t value) {
    return Number(value, [&](ByteBuffer* out) { PackSigned(out, value); });
  }
  static SampleValue Float(double value) {
    return Number(value, [&](ByteBuffer* out) { PackFloat(out, value); });
  }
  static SampleValue Float32(float value) {
    return Number(value, [&](ByteBuffer* out) {
      char bytes[5] = {'\xca'};
      StoreBig(bytes + 1, std::bit_cast<uint32_t>(value));
      out->Append(bytes, sizeof bytes);
    });
  }
  static SampleValue String(std::string_view text) {
    return Text(text, [&](ByteBuffer* out) { PackString(out, text); });
  }
  static SampleValue Binary(std::string_view text) {
    return Text(text, [&](ByteBuffer* out) { PackBinary(out, text); });
  }
  // An array of one; it has no place in the order.
  static SampleValue Array() {
    return Make(SampleValue::kUnordered, [](ByteBuffer* out) {
      PackArray(out, 1);
      PackNil(out);
    });
  }

  SampleValue Any() {
    switch (Below(16)) {
      case 0:
        return Nil();
      case 1:
        return Bool(Below(2) == 1);
      case 2:
        return Array();
      case 3:
      case 4:
      case 5:
      case 6:
        return AnyNumber();
      default:
        return AnyText();
    }
  }

  // Often near a border where one form of number ends or a double rounds.
  SampleValue AnyNumber() {
    constexpr std::array<uint64_t, 6> kBorders = {
        0, 127, uint64_t{1} << 32, uint64_t{1} << 53, uint64_t{1} << 63, ~uint64_t{0}};
    const uint64_t near = kBorders[Below(kBorders.size())] + Below(5) - 2;
    switch (Below(9)) {
      case 0:
        return Unsigned(near);
      case 1:
        return Signed(static_cast<int64_t>(near));
      case 2:
        return Signed(static_cast<int64_t>(0 - near));
      case 3:
        return Float(static_cast<double>(near));
      case 4:
        return Float(-static_cast<double>(near) + 0.5);
      case 5:
        return Float32(static_cast<float>(near) / 4);
      case 6:
        return Float(std::bit_cast<double>(random_()));
      case 7:
        return Unsigned(random_());
      default: {
        using Limits64 = std::numeric_limits<double>;
        constexpr std::array<double, 7> kSpecial = {0.0,
                                                    -0.0,
                                                    Limits64::quiet_NaN(),
                                                    -Limits64::quiet_NaN(),
                                                    Limits64::infinity(),
                                                    5e-324,
                                                    -Limits64::infinity()};
        return Float(kSpecial[Below(kSpecial.size())]);
      }
    }
  }

  SampleValue AnyText() {
    const std::string text = TextContent();
    return Below(2) == 0 ? String(text) : Binary(text);
  }

  // Few letters, so that many texts share much; with 0x00 and 0xff; some around kIndexedBytes.
  std::string TextContent() {
    std::string text;
    if (Below(4) == 0) text = std::string(Below(40), 'a');
    if (Below(12) == 0) text = std::string(kIndexedBytes + Below(7) - 3, 'a');
    for (uint64_t i = Below(6); i > 0; --i) {
      constexpr std::array<char, 6> kLetters = {'\0', 'a', 'b', '\x7f', '\x80', '\xff'};
      text += kLetters[Below(kLetters.size())];
    }
    return text;
  }

 private:
  template <typename Pack>
  static SampleValue Make(SampleValue::Type type, Pack pack) {
    ByteBuffer encoded;
    pack(&encoded);
    SampleValue value;
    value.encoded = encoded.view();
    value.type = type;
    return value;
  }
  template <typename Pack>
  static SampleValue Number(long double number, Pack pack) {
    const bool nan = std::isnan(number);
    SampleValue value = Make(nan ? SampleValue::kNaN : SampleValue::kNumber, pack);
    if (!nan) value.number = number;
    return value;
  }
  template <typename Pack>
  static SampleValue Text(std::string_view text, Pack pack) {
    SampleValue value = Make(SampleValue::kText, pack);
    value.text = text;
    return value;
  }

  std::mt19937_64 random_;
};

}  // namespace entrepot
