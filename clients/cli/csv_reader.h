// Records of a CSV file (RFC 4180), read one by one.
//
// Thread safety: none.

#pragma once

#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "entrepot/result.h"

namespace entrepot::cli {

class CsvReader {
 public:
  explicit CsvReader(std::FILE* in) : in_(in) {}

  // The next record; nothing at the end. `invalid_argument` for a quote that is not closed.
  Result<std::optional<std::vector<std::string>>> Read();

  // The line on which the last record began, from 1.
  uint64_t line() const { return line_; }

 private:
  std::FILE* const in_;
  uint64_t line_ = 0;
  uint64_t lines_read_ = 0;
};

}  // namespace entrepot::cli
