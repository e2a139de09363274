// Randomness from the system (getrandom(2)): seeds, session names, histories.
//
// Thread safety: any thread.
#pragma once

#include <sys/random.h>

#include <cstdint>
#include <string>

#include "base/status.h"

namespace entrepot {

inline uint64_t RandomUint64() {
  uint64_t value;
  CHECK(getrandom(&value, sizeof value, 0) ==
        sizeof value);  // Whole up to 256 bytes, getrandom(2).
  return value;
}

// `value` as 16 lower-case hexadecimal characters.
inline std::string Hex64(uint64_t value) {
  std::string text(16, '0');
  for (int i = 15; i >= 0; --i, value >>= 4) text[i] = "0123456789abcdef"[value & 15];
  return text;
}

}  // namespace entrepot
