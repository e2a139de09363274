// Import and export: entries from and to a file.
//
//    jsonl   {"key": "a", "value": [1, 2], "ttl_ms": 5000}, a line each; exact (json_text.h)
//    csv     RFC 4180 with a header line that names key and value; every value is text
//
// An export is a walk, not a snapshot: an entry that did not change meanwhile is in it exactly
// once. An import that stops has written the lines before the one it names; importing again is
// harmless.
//
// Thread safety: none.

#pragma once

#include <cstdint>
#include <string>

#include "exit_status.h"
#include "session.h"

namespace entrepot::cli {

enum class FileFormat : uint8_t { kJsonLines, kCsv };

struct ImportCommand {
  std::string file = "-";
  FileFormat format = FileFormat::kJsonLines;
  std::string prefix;  // Put in front of every key.
  std::string ttl;     // For entries that name none.
  ExitStatus Run(Session& session) const;
};

struct ExportCommand {
  std::string prefix;
  std::string file = "-";
  FileFormat format = FileFormat::kJsonLines;
  bool with_ttl = false;  // One more round trip a page.
  ExitStatus Run(Session& session) const;
};

}  // namespace entrepot::cli
