// What the words of a command line stand for: values, durations, lines of words.
//
// Thread safety: functions on plain values; ReadValue() may read a file or stdin.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "entrepot/result.h"
#include "entrepot/value.h"

namespace entrepot::cli {

// How the VALUE of a command is written.
struct ValueSyntax {
  bool json = false;     // As JSON text, whatever it comes from.
  bool bytes = false;    // Store a bin even where the content is valid UTF-8.
  bool literal = false;  // A leading @ and a lone - mean themselves.
};

// `word` itself, or the content of a file (`@path`), or stdin (`-`). Text is stored as a str, and
// what is no UTF-8 as a bin. `invalid_argument` with the reason otherwise.
Result<Value> ReadValue(std::string_view word, const ValueSyntax& syntax);

// The whole content of a file; `-` is stdin.
Result<std::string> ReadFile(const std::string& path);

// "1500" (milliseconds), "250ms", "30s", "5m", "2h", "7d"; at least one millisecond.
Result<int64_t> ParseDuration(std::string_view text);

// Splits a line of the prompt as a shell would: blanks separate, '…' and "…" and \ quote.
// `invalid_argument` where a quote is left open.
Result<std::vector<std::string>> SplitWords(std::string_view line);

}  // namespace entrepot::cli
