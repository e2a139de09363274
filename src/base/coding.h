// Integers as bytes, in both orders, at any alignment: big-endian for msgpack and ZMTP,
// little-endian for files.
//
// Thread safety: pure functions.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>

namespace entrepot {

static_assert(std::endian::native == std::endian::little,
              "files are little-endian and are read in place");

template <std::unsigned_integral T>
T ByteSwap(T value) {
  if constexpr (sizeof(T) == 1) return value;
  if constexpr (sizeof(T) == 2) return static_cast<T>(__builtin_bswap16(value));
  if constexpr (sizeof(T) == 4) return __builtin_bswap32(value);
  if constexpr (sizeof(T) == 8) return __builtin_bswap64(value);
}

template <std::unsigned_integral T>
T LoadLittle(const void* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}

template <std::unsigned_integral T>
void StoreLittle(void* to, T value) {
  std::memcpy(to, &value, sizeof(T));
}

template <std::unsigned_integral T>
T LoadBig(const void* from) {
  return ByteSwap(LoadLittle<T>(from));
}

template <std::unsigned_integral T>
void StoreBig(void* to, T value) {
  StoreLittle<T>(to, ByteSwap(value));
}

}  // namespace entrepot
