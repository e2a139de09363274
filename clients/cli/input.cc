#include "input.h"

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "json_text.h"

namespace entrepot::cli {
namespace {

struct Unit {
  std::string_view name;
  int64_t milliseconds;
};

constexpr std::array<Unit, 6> kUnits = {{
    {"", 1},
    {"ms", 1},
    {"s", 1000},
    {"m", 60'000},
    {"h", 3'600'000},
    {"d", 86'400'000},
}};

// A hundred years: beyond it a TTL is a typing mistake.
constexpr int64_t kDurationMaxMs = 36'525 * int64_t{86'400'000};

Status Invalid(std::string message) {
  return Status(StatusCode::kInvalidArgument, std::move(message));
}

}  // namespace

Result<std::string> ReadFile(const std::string& path) {
  const bool from_stdin = path == "-";
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(
      from_stdin ? stdin : std::fopen(path.c_str(), "rb"),
      from_stdin ? [](std::FILE*) { return 0; } : std::fclose);
  if (file == nullptr) return Invalid("cannot open " + path + ": " + std::strerror(errno));
  std::string content;
  std::array<char, 65'536> block;
  size_t taken = 0;
  while ((taken = std::fread(block.data(), 1, block.size(), file.get())) > 0) {
    content.append(block.data(), taken);
  }
  if (std::ferror(file.get()) != 0) {
    return Invalid("cannot read " + path + ": " + std::strerror(errno));
  }
  return content;
}

Result<Value> ReadValue(std::string_view word, const ValueSyntax& syntax) {
  std::string content(word);
  if (!syntax.literal && (word == "-" || word.starts_with('@'))) {
    Result<std::string> read = ReadFile(word == "-" ? "-" : std::string(word.substr(1)));
    if (!read.ok()) return read.status();
    content = *std::move(read);
  }
  if (syntax.json) {
    Result<Value> value = FromJson(content);
    if (!value.ok()) return Invalid("the value is no JSON: " + value.status().message());
    return value;
  }
  return syntax.bytes ? Value::Bytes(content) : Value::TextOrBytes(content);
}

Result<int64_t> ParseDuration(std::string_view text) {
  int64_t number = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string_view unit_name(rest, text.data() + text.size() - rest);
  for (const Unit& unit : kUnits) {
    if (error != std::errc() || unit.name != unit_name) continue;
    if (number < 1 || number > kDurationMaxMs / unit.milliseconds) break;
    return number * unit.milliseconds;
  }
  return Invalid("\"" + std::string(text) +
                 "\" is no duration; say 1500, 250ms, 30s, 5m, 2h or 7d");
}

Result<std::vector<std::string>> SplitWords(std::string_view line) {
  std::vector<std::string> words;
  bool in_word = false;
  char quote = '\0';
  for (size_t i = 0; i < line.size(); ++i) {
    const char character = line[i];
    if (quote == '\0' && (character == ' ' || character == '\t')) {
      in_word = false;
      continue;
    }
    if (!in_word) words.emplace_back();
    in_word = true;
    if (quote == '\0' && (character == '\'' || character == '"')) {
      quote = character;
    } else if (character == quote && quote != '\0') {
      quote = '\0';
    } else if (character == '\\' && quote != '\'') {
      if (++i == line.size()) return Invalid("a backslash ends the line");
      words.back().push_back(line[i]);
    } else {
      words.back().push_back(character);
    }
  }
  if (quote != '\0') return Invalid(std::string("a ") + quote + " is left open");
  return words;
}

}  // namespace entrepot::cli
