// What commands print, in the four formats of `-o`.
//
//    plain   for people: key, tab, value; control characters as \n, \t, \\, \x00
//    json    one JSON document
//    jsonl   one JSON document a line
//    csv     RFC 4180 with a header line
//
// Thread safety: none.

#pragma once

#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "entrepot/types.h"
#include "entrepot/value.h"

namespace entrepot::cli {

enum class Format : uint8_t { kPlain, kJson, kJsonLines, kCsv };

// The content of a str or bin, else readable JSON.
std::string ToPlain(const Value& value);

// `text` on one line: control characters, backslash and what is no UTF-8 as escapes.
std::string EscapeLine(std::string_view text);

// A field of a CSV line, quoted where it must be.
std::string CsvField(std::string_view text);

// Prints entries one after the other.
class EntryPrinter {
 public:
  enum class Columns : uint8_t { kKeys, kEntries };

  EntryPrinter(Format format, Columns columns, std::FILE* out)
      : format_(format), columns_(columns), out_(out) {}

  void Print(const Entry& entry);
  // A key that has no entry.
  void PrintMissing(std::string_view key);
  // Ends the document; call it once, also when nothing was printed.
  void Finish();

 private:
  void BeginItem();
  void WriteLine(std::string_view line);

  const Format format_;
  const Columns columns_;
  std::FILE* const out_;
  size_t count_ = 0;
};

// One result as fields: in plain only the field named `plain_field`, or every field as "name value"
// lines where that is empty. Texts of fields are JSON.
void PrintFields(Format format, const std::vector<std::pair<std::string, Value>>& fields,
                 std::string_view plain_field, std::FILE* out);

}  // namespace entrepot::cli
