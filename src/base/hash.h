// SipHash-1-3 of a key, under a secret drawn at start: peers cannot choose keys that collide.
//
// J.-P. Aumasson, D. J. Bernstein, "SipHash: a fast short-input PRF" (2012), with one compression
// and three finalization rounds, as the hash tables of Rust, Ruby and CPython use it. A faster hash
// without a secret would let one client make every look-up of a stripe linear.
//
// Thread safety: pure.
#pragma once

#include <bit>
#include <cstdint>
#include <string_view>

#include "base/coding.h"

namespace entrepot {

struct HashSecret {
  uint64_t k0;
  uint64_t k1;
};

inline uint64_t HashKey(std::string_view key, HashSecret secret) {
  uint64_t v0 = secret.k0 ^ 0x736f6d6570736575, v1 = secret.k1 ^ 0x646f72616e646f6d;
  uint64_t v2 = secret.k0 ^ 0x6c7967656e657261, v3 = secret.k1 ^ 0x7465646279746573;
  const auto round = [&] {
    v0 += v1, v1 = std::rotl(v1, 13) ^ v0, v0 = std::rotl(v0, 32);
    v2 += v3, v3 = std::rotl(v3, 16) ^ v2;
    v0 += v3, v3 = std::rotl(v3, 21) ^ v0;
    v2 += v1, v1 = std::rotl(v1, 17) ^ v2, v2 = std::rotl(v2, 32);
  };
  const char* at = key.data();
  const char* const end = at + (key.size() & ~size_t{7});
  for (; at != end; at += 8) {
    const uint64_t word = LoadLittle<uint64_t>(at);
    v3 ^= word;
    round();
    v0 ^= word;
  }
  uint64_t last = static_cast<uint64_t>(key.size()) << 56;
  for (size_t i = 0; i < (key.size() & 7); ++i) {
    last |= static_cast<uint64_t>(static_cast<unsigned char>(at[i])) << (8 * i);
  }
  v3 ^= last;
  round();
  v0 ^= last;
  v2 ^= 0xff;
  round();
  round();
  round();
  return v0 ^ v1 ^ v2 ^ v3;
}

}  // namespace entrepot
