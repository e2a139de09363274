// A query over values: which values it matches, and where in the order of values they stand.
//
// Thread safety: a value; const calls from any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "store/index_range.h"

namespace entrepot {

class Query {
 public:
  // Reads the msgpack item `encoded` in one of the forms of docs/PROTOCOL.md, "Queries".
  // Errors: kInvalidArgument.
  static Result<Query> Read(std::string_view encoded);

  // Whether it matches a value, given as its msgpack encoding.
  bool Matches(std::string_view value) const;
  // Where the values that it matches stand. Others may stand there too.
  IndexRange Range() const;

 private:
  enum class Kind : uint8_t { kPrefix, kEquals, kRange };

  Kind kind_ = Kind::kPrefix;
  std::string prefix_;               // kPrefix: the bytes.
  std::optional<std::string> from_;  // kRange, and kEquals, as msgpack encodings of scalars.
  std::optional<std::string> to_;    // kRange
};

}  // namespace entrepot
