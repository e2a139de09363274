// What the Redis and memcached codecs share: writing and reading CRLF-terminated text.
//
// Thread safety: pure functions.
#pragma once

#include <charconv>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace entrepot::bench {

inline constexpr std::string_view kCrLf = "\r\n";
inline constexpr size_t kDecimalDigitsMax = 20;

inline char* WriteText(std::string_view text, char* out) {
  std::memcpy(out, text.data(), text.size());
  return out + text.size();
}

inline char* WriteDecimal(uint64_t value, char* out) {
  return std::to_chars(out, out + kDecimalDigitsMax, value).ptr;
}

// The line at the front of `in` without its end; false while it is not whole. A line that ends
// without a carriage return is handed back empty: no protocol here has either.
inline bool ReadLine(std::string_view in, std::string_view* line) {
  const void* const end = std::memchr(in.data(), '\n', in.size());
  if (end == nullptr) return false;
  const size_t size = static_cast<size_t>(static_cast<const char*>(end) - in.data());
  const bool whole = size > 0 && in[size - 1] == '\r';
  *line = whole ? in.substr(0, size - 1) : std::string_view();
  return true;
}

// False if `text` is not wholly a number.
inline bool ReadDecimal(std::string_view text, int64_t* value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace entrepot::bench
