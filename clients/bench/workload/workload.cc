#include "bench/workload/workload.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace entrepot::bench {
namespace {

// Fillers start anywhere in the first kilobyte of the pool, which is that much longer than a value.
constexpr uint32_t kFillerOffsets = 1024;

constexpr std::array<char, 512> MakeHexPairs() {
  std::array<char, 512> pairs{};
  for (int byte = 0; byte < 256; ++byte) {
    pairs[2 * byte] = "0123456789abcdef"[byte >> 4];
    pairs[2 * byte + 1] = "0123456789abcdef"[byte & 15];
  }
  return pairs;
}
constexpr std::array<char, 512> kHexPairs = MakeHexPairs();

// The lowest `digits` (an even number) hexadecimal digits of `value`.
template <int digits>
char* WriteHex(uint64_t value, char* out) {
  for (int at = digits - 2; at >= 0; at -= 2, value >>= 8) {
    std::memcpy(out + at, &kHexPairs[2 * (value & 255)], 2);
  }
  return out + digits;
}

}  // namespace

Workload::Workload(const WorkloadOptions& options)
    : options_(options),
      chooser_(options.distribution, options.keys),
      key_filler_(options.key_bytes - kKeyDigits, 'k') {
  value_filler_.resize(options.value_bytes_max + kFillerOffsets);
  Random random(options.seed);
  for (char& character : value_filler_) character = static_cast<char>('a' + random.Below(26));
}

char* Workload::WriteKey(Kind kind, uint64_t key, char* out) const {
  std::memcpy(out, key_filler_.data(), key_filler_.size());
  if (kind == Kind::kIncrement) *out = 'n';
  return WriteHex<kKeyDigits>(key, out + key_filler_.size());
}

char* Workload::WriteGroup(uint64_t key, char* out) const {
  // Odd, so that the product is a bijection on 48 bits and no two groups share their characters.
  constexpr uint64_t kScatter = 0x9e3779b97f4b;
  return WriteHex<kGroupBytes>(key / options_.hits * kScatter, out);
}

char* Workload::WriteValue(uint64_t key, uint64_t nonce, uint32_t value_bytes, char* out) const {
  char head[kVerifiedValueBytesMin];
  WriteHex<16>(nonce, WriteGroup(key, head));
  const uint32_t head_bytes = std::min(value_bytes, kVerifiedValueBytesMin);
  std::memcpy(out, head, head_bytes);
  std::memcpy(out + head_bytes, value_filler_.data() + nonce % kFillerOffsets,
              value_bytes - head_bytes);
  return out + value_bytes;
}

std::string Workload::KeyText(Kind kind, uint64_t key) const {
  std::string text(options_.key_bytes, '\0');
  WriteKey(kind, key, text.data());
  return text;
}

std::string Workload::ValueText(uint64_t key, uint64_t nonce) const {
  std::string text(ValueBytes(nonce), '\0');
  WriteValue(key, nonce, ValueBytes(nonce), text.data());
  return text;
}

std::string Workload::GroupText(uint64_t key) const {
  std::string text(kGroupBytes, '\0');
  WriteGroup(key, text.data());
  return text;
}

}  // namespace entrepot::bench
