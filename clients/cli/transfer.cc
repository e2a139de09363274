#include "transfer.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "csv_reader.h"
#include "entrepot/request.h"
#include "input.h"
#include "json_text.h"
#include "output.h"

namespace entrepot::cli {
namespace {

// Entries that go into one body of an import.
constexpr size_t kBatchEntries = 512;
// Bytes of them, so that large values do not pile up.
constexpr size_t kBatchBytes = 4 * 1024 * 1024;
constexpr uint32_t kPageLimit = 1000;
constexpr std::chrono::milliseconds kProgressEvery{200};

using FilePointer = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

FilePointer OpenFile(const std::string& path, const char* mode, std::FILE* standard) {
  if (path == "-") return FilePointer(standard, [](std::FILE* file) { return std::fflush(file); });
  return FilePointer(std::fopen(path.c_str(), mode), std::fclose);
}

// A line of progress on stderr, at a terminal only.
class Progress {
 public:
  Progress(const Console& console, std::string_view verb)
      : out_(console.error_is_terminal ? console.error : nullptr), verb_(verb) {}
  ~Progress() {
    if (shown_) std::fputs("\r\x1b[K", out_);
  }

  void Show(uint64_t entries) {
    const Clock::time_point now = Clock::now();
    if (out_ == nullptr || now - last_ < kProgressEvery) return;
    const std::chrono::duration<double> elapsed = now - begin_;
    std::fprintf(out_, "\r%.*s %llu entries, %.0f a second\x1b[K", static_cast<int>(verb_.size()),
                 verb_.data(), static_cast<unsigned long long>(entries),
                 static_cast<double>(entries) / std::max(elapsed.count(), 0.001));
    std::fflush(out_);
    last_ = now;
    shown_ = true;
  }

 private:
  using Clock = std::chrono::steady_clock;
  std::FILE* const out_;
  const std::string_view verb_;
  const Clock::time_point begin_ = Clock::now();
  Clock::time_point last_ = begin_;
  bool shown_ = false;
};

// Where entries come from: one a call, nothing at the end.
using NextEntry = std::function<Result<std::optional<JsonEntry>>()>;

// Entries of a file of JSON lines. `line` counts; empty lines are passed over.
NextEntry ReadJsonLines(std::FILE* in, uint64_t* line) {
  return [in, line]() -> Result<std::optional<JsonEntry>> {
    std::string text;
    int character = EOF;
    while ((character = std::fgetc(in)) != EOF) {
      if (character != '\n') {
        text.push_back(static_cast<char>(character));
        continue;
      }
      ++*line;
      if (!text.empty()) break;
    }
    if (text.empty()) return std::optional<JsonEntry>();
    if (character == EOF) ++*line;
    Result<JsonEntry> entry = EntryFromJson(text);
    if (!entry.ok()) return entry.status();
    return std::optional(*std::move(entry));
  };
}

NextEntry ReadCsv(std::FILE* in, uint64_t* line) {
  struct State {
    CsvReader reader;
    size_t key_column = 0;
    size_t value_column = 0;
    size_t columns = 0;
  };
  const auto state = std::make_shared<State>(State{CsvReader(in)});
  return [state, line]() -> Result<std::optional<JsonEntry>> {
    while (true) {
      Result<std::optional<std::vector<std::string>>> record = state->reader.Read();
      *line = state->reader.line();
      if (!record.ok()) return record.status();
      if (!*record) return std::optional<JsonEntry>();
      std::vector<std::string>& fields = **record;
      if (state->columns == 0) {
        const auto key = std::find(fields.begin(), fields.end(), "key");
        const auto value = std::find(fields.begin(), fields.end(), "value");
        if (key == fields.end() || value == fields.end()) {
          return Status(StatusCode::kInvalidArgument, "the header does not name key and value");
        }
        state->columns = fields.size();
        state->key_column = key - fields.begin();
        state->value_column = value - fields.begin();
        continue;
      }
      if (fields.size() != state->columns) {
        return Status(StatusCode::kInvalidArgument,
                      "the header has " + std::to_string(state->columns) + " fields, the record " +
                          std::to_string(fields.size()));
      }
      return std::optional(JsonEntry{.key = std::move(fields[state->key_column]),
                                     .value = Value::TextOrBytes(fields[state->value_column])});
    }
  };
}

}  // namespace

ExitStatus ImportCommand::Run(Session& session) const {
  std::optional<int64_t> default_ttl_ms;
  if (!ttl.empty()) {
    const Result<int64_t> parsed = ParseDuration(ttl);
    if (!parsed.ok()) return session.Usage(parsed.status().message());
    default_ttl_ms = *parsed;
  }
  const FilePointer in = OpenFile(file, "rb", stdin);
  if (in == nullptr) return session.Usage("cannot open " + file + ": " + std::strerror(errno));
  uint64_t line = 0;
  const NextEntry next =
      format == FileFormat::kCsv ? ReadCsv(in.get(), &line) : ReadJsonLines(in.get(), &line);
  Progress progress(session.console, "imported");
  Pipeline pipeline = session.client.Pipeline(session.call);
  std::vector<std::pair<uint64_t, std::future<Result<Outcome>>>> outcomes;  // With their lines.
  size_t bytes = 0;
  uint64_t imported = 0;

  const auto send = [&]() -> ExitStatus {
    if (const Status sent = pipeline.Send(); !sent.ok()) return session.Fail(sent);
    for (auto& [at_line, later] : outcomes) {
      const Result<Outcome> outcome = later.get();
      if (!outcome.ok()) {
        return session.Fail(ExitStatusOf(outcome.status()),
                            "line " + std::to_string(at_line) + ": " + outcome.status().ToString());
      }
      ++imported;
    }
    outcomes.clear();
    bytes = 0;
    progress.Show(imported);
    return ExitStatus::kOk;
  };

  while (true) {
    Result<std::optional<JsonEntry>> entry = next();
    const bool flush =
        !entry.ok() || !*entry || outcomes.size() >= kBatchEntries || bytes >= kBatchBytes;
    if (flush) {
      if (const ExitStatus status = send(); status != ExitStatus::kOk) return status;
    }
    if (!entry.ok()) {
      return session.Fail(ExitStatus::kServerError,
                          "line " + std::to_string(line) + ": " + entry.status().message());
    }
    if (!*entry) break;
    const JsonEntry& read = **entry;
    bytes += read.key.size() + read.value.encoded().size();
    outcomes.emplace_back(
        line, pipeline.Add(request::Set(
                  prefix + read.key, read.value,
                  {.ttl_ms = read.ttl_ms > 0 ? std::optional(read.ttl_ms) : default_ttl_ms})));
  }
  if (std::ferror(in.get()) != 0) {
    return session.Fail(ExitStatus::kServerError, "cannot read " + file);
  }
  PrintFields(session.format, {{"imported", imported}}, {}, session.console.out);
  return ExitStatus::kOk;
}

ExitStatus ExportCommand::Run(Session& session) const {
  const FilePointer out = OpenFile(file, "wb", session.console.out);
  if (out == nullptr) return session.Usage("cannot write " + file + ": " + std::strerror(errno));
  Progress progress(session.console, "exported");
  EntryPrinter printer(format == FileFormat::kCsv ? Format::kCsv : Format::kJsonLines,
                       EntryPrinter::Columns::kEntries, out.get());
  uint64_t exported = 0;
  std::string cursor;
  bool more = true;
  while (more) {
    Result<Page> page = session.client.ScanPage(
        prefix, {.limit = kPageLimit, .cursor = cursor, .call = session.call});
    if (!page.ok()) return session.Fail(page.status());
    std::vector<std::future<Result<std::optional<Entry>>>> again;
    if (with_ttl) {
      Pipeline pipeline = session.client.Pipeline(session.call);
      for (const Entry& entry : page->items) {
        again.push_back(pipeline.Add(request::Entry(entry.key)));
      }
      if (const Status sent = pipeline.Send(); !sent.ok()) return session.Fail(sent);
    }
    for (size_t i = 0; i < page->items.size(); ++i) {
      if (!with_ttl) {
        printer.Print(page->items[i]);
        ++exported;
        continue;
      }
      const Result<std::optional<Entry>> entry = again[i].get();
      if (!entry.ok()) return session.Fail(entry.status());
      if (!*entry) continue;  // It ended since the page.
      printer.Print(**entry);
      ++exported;
    }
    progress.Show(exported);
    cursor = page->cursor;
    more = !cursor.empty();
  }
  printer.Finish();
  if (std::fflush(out.get()) != 0 || std::ferror(out.get()) != 0) {
    return session.Fail(ExitStatus::kServerError, "cannot write " + file);
  }
  return ExitStatus::kOk;
}

}  // namespace entrepot::cli
