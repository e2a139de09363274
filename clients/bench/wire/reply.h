// One answer of a server, in the words that all protocols share.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace entrepot::bench {

enum class Outcome : uint8_t {
  kOk,  // Done; the protocol says no more.
  kFound,
  kNotFound,
  kCreated,
  kUpdated,
  kDeleted,
  kConflict,
  kError,
};

// Valid while the bytes that were parsed are.
struct Reply {
  Outcome outcome = Outcome::kOk;
  std::string_view value;  // kFound of a get.
  int64_t number = 0;      // Of an increment.
  uint32_t hits = 0;       // Of a find or a scan.
  std::vector<std::string_view>*
      found;  // Of a find or a scan: its keys, or values if `found_values`.
  bool found_values = false;
  std::string_view error;  // kError: the code or the first word of the message.
};

}  // namespace entrepot::bench
