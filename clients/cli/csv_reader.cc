#include "csv_reader.h"

#include <cstdio>
#include <optional>
#include <string>
#include <vector>

namespace entrepot::cli {

Result<std::optional<std::vector<std::string>>> CsvReader::Read() {
  using Record = std::optional<std::vector<std::string>>;
  std::vector<std::string> fields(1);
  bool quoted = false;
  bool any = false;
  line_ = lines_read_ + 1;
  int character = EOF;
  while ((character = std::fgetc(in_)) != EOF) {
    any = true;
    if (character == '\n') ++lines_read_;
    if (quoted) {
      if (character != '"') {
        fields.back().push_back(static_cast<char>(character));
        continue;
      }
      const int next = std::fgetc(in_);
      if (next == '"') {
        fields.back().push_back('"');
        continue;
      }
      quoted = false;
      if (next != EOF) std::ungetc(next, in_);
    } else if (character == '"' && fields.back().empty()) {
      quoted = true;
    } else if (character == ',') {
      fields.emplace_back();
    } else if (character == '\n') {
      return Record(std::move(fields));
    } else if (character != '\r') {
      fields.back().push_back(static_cast<char>(character));
    }
  }
  if (quoted) return Status(StatusCode::kInvalidArgument, "a quote is not closed");
  if (!any) return Record();
  return Record(std::move(fields));
}

}  // namespace entrepot::cli
