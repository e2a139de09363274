// The little JSON that the server writes itself.
//
// Thread safety: functions over values.
#pragma once

#include <string>
#include <string_view>

#include <fmt/format.h>

namespace entrepot {

// `text`, which is UTF-8, as a JSON string with its quotes.
inline std::string JsonString(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (static_cast<unsigned char>(c) < ' ') {
      quoted += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

}  // namespace entrepot
