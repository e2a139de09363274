#include "output.h"

#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "json_text.h"

namespace entrepot::cli {
namespace {

void Write(std::string_view text, std::FILE* out) { std::fwrite(text.data(), 1, text.size(), out); }

std::string HexByte(unsigned char byte) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  return {'\\', 'x', kDigits[byte >> 4], kDigits[byte & 0xf]};
}

std::string EntryToJson(const Entry& entry, EntryPrinter::Columns columns) {
  if (columns == EntryPrinter::Columns::kKeys) return KeyToJson(entry.key);
  std::string json = "{\"key\":" + KeyToJson(entry.key) + ",\"value\":" + ToExactJson(entry.value) +
                     ",\"version\":" + std::to_string(entry.version);
  if (entry.ttl_ms) json += ",\"ttl_ms\":" + std::to_string(*entry.ttl_ms);
  return json + "}";
}

}  // namespace

std::string ToPlain(const Value& value) {
  if (const Result<std::string_view> content = value.AsString(); content.ok()) {
    return std::string(*content);
  }
  return ToReadableJson(value);
}

std::string EscapeLine(std::string_view text) {
  const bool utf8 = IsUtf8(text);
  std::string line;
  for (const unsigned char byte : text) {
    if (byte == '\n') {
      line += "\\n";
    } else if (byte == '\t') {
      line += "\\t";
    } else if (byte == '\\') {
      line += "\\\\";
    } else if (byte < 0x20 || byte == 0x7f || (byte >= 0x80 && !utf8)) {
      line += HexByte(byte);
    } else {
      line.push_back(static_cast<char>(byte));
    }
  }
  return line;
}

std::string CsvField(std::string_view text) {
  if (text.find_first_of("\",\r\n") == std::string_view::npos) return std::string(text);
  std::string field = "\"";
  for (const char character : text) {
    if (character == '"') field.push_back('"');
    field.push_back(character);
  }
  return field + "\"";
}

void EntryPrinter::WriteLine(std::string_view line) {
  Write(line, out_);
  Write("\n", out_);
}

void EntryPrinter::BeginItem() {
  if (format_ == Format::kJson) Write(count_ == 0 ? "[\n" : ",\n", out_);
  if (format_ == Format::kCsv && count_ == 0) {
    WriteLine(columns_ == Columns::kKeys ? "key" : "key,value,version");
  }
  ++count_;
}

void EntryPrinter::Print(const Entry& entry) {
  BeginItem();
  switch (format_) {
    case Format::kPlain:
      if (columns_ == Columns::kKeys) {
        WriteLine(EscapeLine(entry.key));
      } else {
        WriteLine(EscapeLine(entry.key) + "\t" + EscapeLine(ToPlain(entry.value)));
      }
      return;
    case Format::kJson:
      Write(EntryToJson(entry, columns_), out_);
      return;
    case Format::kJsonLines:
      WriteLine(EntryToJson(entry, columns_));
      return;
    case Format::kCsv:
      if (columns_ == Columns::kKeys) {
        WriteLine(CsvField(entry.key));
      } else {
        WriteLine(CsvField(entry.key) + "," + CsvField(ToPlain(entry.value)) + "," +
                  std::to_string(entry.version));
      }
      return;
  }
}

void EntryPrinter::PrintMissing(std::string_view key) {
  if (format_ == Format::kPlain) return;
  BeginItem();
  if (format_ == Format::kCsv) {
    WriteLine(CsvField(key) + ",,0");
    return;
  }
  Write("{\"key\":" + KeyToJson(key) + ",\"version\":0}", out_);
  if (format_ == Format::kJsonLines) Write("\n", out_);
}

void EntryPrinter::Finish() {
  if (format_ == Format::kJson) Write(count_ == 0 ? "[]\n" : "\n]\n", out_);
}

void PrintFields(Format format, const std::vector<std::pair<std::string, Value>>& fields,
                 std::string_view plain_field, std::FILE* out) {
  std::string text;
  std::string second_line;
  for (const auto& [name, value] : fields) {
    switch (format) {
      case Format::kPlain:
        if (plain_field.empty()) {
          text += name + "\t" + EscapeLine(ToPlain(value)) + "\n";
        } else if (name == plain_field) {
          text += EscapeLine(ToPlain(value)) + "\n";
        }
        break;
      case Format::kJson:
      case Format::kJsonLines:
        text += (text.empty() ? "{" : ",") + KeyToJson(name) + ":" + ToExactJson(value);
        break;
      case Format::kCsv:
        if (!text.empty()) text += ",", second_line += ",";
        text += CsvField(name);
        second_line += CsvField(ToPlain(value));
        break;
    }
  }
  if (format == Format::kCsv) text += "\n" + second_line + "\n";
  if (format == Format::kJson || format == Format::kJsonLines) text += "}\n";
  Write(text, out);
}

}  // namespace entrepot::cli
