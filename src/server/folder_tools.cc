#include "server/folder_tools.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "base/file.h"
#include "base/msgpack.h"
#include "base/random.h"
#include "log/backup.h"
#include "log/tools.h"
#include "protocol/message.h"
#include "server/json.h"
#include "store/change.h"

namespace entrepot {
namespace {

constexpr std::string_view kCopySuffix = ".before-repair";

int Exit(ToolExit exit) { return static_cast<int>(exit); }

std::string Hex(std::string_view bytes) {
  std::string hex;
  hex.reserve(bytes.size() * 2);
  for (const char c : bytes) hex += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return hex;
}

// Says why a call failed, and gives the status for it.
int Complain(FILE* err, const Status& status) {
  fmt::print(err, "entrepot-server: {}\n", status.message());
  return Exit(status.code() == Code::kInternal ? ToolExit::kDamaged : ToolExit::kRefused);
}

// What was printed may not have arrived, for instance on a full disk.
int Finish(FILE* out, FILE* err, ToolExit exit) {
  if (std::fflush(out) == 0 && std::ferror(out) == 0) return Exit(exit);
  fmt::print(err, "entrepot-server: the answer could not be written\n");
  return Exit(ToolExit::kRefused);
}

// --- verify ----------------------------------------------------------------------------------

int Verify(const std::string& folder, FILE* out, FILE* err) {
  const Result<FolderSurvey> survey = VerifyFolder(FileSystem::Posix(), folder);
  if (!survey.ok()) return Complain(err, survey.status());
  for (const Finding& finding : survey->findings) {
    fmt::print(out, "{}: {}\n", finding.kind == Finding::Kind::kTorn ? "unfinished" : "damage",
               finding.message);
  }
  if (survey->Refusal() != nullptr) {
    fmt::print(out, "{} cannot be used; 'entrepot-server repair {} --dry-run' says what is left\n",
               folder, folder);
    return Finish(out, err, ToolExit::kDamaged);
  }
  fmt::print(out, "{} is whole: {} segments up to revision {}, {} snapshots, {}\n", folder,
             survey->segments.size(), survey->end.revision, survey->snapshots.size(),
             survey->is_backup ? "a backup"
             : survey->clean   ? "cleanly stopped"
                               : "not cleanly stopped");
  return Finish(out, err, ToolExit::kDone);
}

// --- repair ----------------------------------------------------------------------------------

int Repair(const std::string& folder, bool dry_run, FILE* out, FILE* err) {
  const Result<RepairReport> report =
      RepairFolder(FileSystem::Posix(), folder, folder + std::string(kCopySuffix), dry_run);
  if (!report.ok()) return Complain(err, report.status());
  for (const std::string& found : report->found) fmt::print(out, "found: {}\n", found);
  for (const std::string& done : report->done) {
    fmt::print(out, "{}: {}\n", dry_run ? "would" : "did", done);
  }
  if (!report->copy_folder.empty()) {
    fmt::print(out, "the files as they were are in {}\n", report->copy_folder);
  }
  if (report->done.empty()) fmt::print(out, "{} needs no repair\n", folder);
  const bool to_do = dry_run && !report->done.empty();
  return Finish(out, err, to_do ? ToolExit::kDamaged : ToolExit::kDone);
}

// --- dump ------------------------------------------------------------------------------------

std::string_view NameOf(RecordType type) {
  switch (type) {
    case RecordType::kChange:
      return "change";
    case RecordType::kOutcome:
      return "outcome";
    case RecordType::kSession:
      return "session";
    case RecordType::kIndex:
      return "index";
    case RecordType::kGroup:
      return "group";
    case RecordType::kCeiling:
      return "ceiling";
    case RecordType::kSkip:
      return "skip";
  }
  return "unknown";
}

std::string JsonOf(const Change& change) {
  std::string json =
      fmt::format(R"({{"op":"{}","cause":"{}",)", NameOf(change.op), NameOf(change.cause));
  json += IsUtf8(change.key) ? R"("key":)" + JsonString(change.key)
                             : fmt::format(R"("key_hex":"{}")", Hex(change.key));
  json += fmt::format(R"(,"previous_version":{})", change.previous_version);
  if (change.expires_at_ms != 0) {
    json += fmt::format(R"(,"expires_at_ms":{})", change.expires_at_ms);
  }
  if (change.op == ChangeOp::kSet) json += fmt::format(R"(,"value_hex":"{}")", Hex(change.value));
  return json + "}";
}

std::string JsonOf(const RetryOutcome& outcome) {
  return fmt::format(R"({{"session":"{}{}","number":{},"done":{},"status":"{}","version":{}}})",
                     Hex64(outcome.session_high), Hex64(outcome.session_low), outcome.number,
                     outcome.done, OutcomeName(static_cast<Outcome>(outcome.outcome)),
                     outcome.version);
}

// The fields that a record's payload gives, each behind a comma; nullopt where it cannot be read.
std::optional<std::string> PayloadFields(const Record& record) {
  std::string_view payload = record.payload;
  std::string fields;
  switch (record.type) {
    case RecordType::kChange:
    case RecordType::kOutcome: {
      RetryOutcome outcome;
      bool present;
      if (!TakeOutcome(&payload, &outcome, &present)) return std::nullopt;
      if (present) fields += R"(,"outcome":)" + JsonOf(outcome);
      std::string changes;
      while (!payload.empty()) {
        Change change;
        if (!TakeChange(&payload, &change)) return std::nullopt;
        changes += (changes.empty() ? "" : ",") + JsonOf(change);
      }
      if (!changes.empty()) fields += R"(,"changes":[)" + changes + "]";
      return fields;
    }
    case RecordType::kSession:
      if (payload.size() != 16) return std::nullopt;
      return fmt::format(R"(,"session":"{}{}")", Hex64(LoadLittle<uint64_t>(payload.data())),
                         Hex64(LoadLittle<uint64_t>(payload.data() + 8)));
    case RecordType::kIndex:
      if (payload.size() != 1) return std::nullopt;
      return fmt::format(R"(,"order":{})", static_cast<unsigned char>(payload[0]));
    case RecordType::kCeiling:
      if (payload.size() != 8) return std::nullopt;
      return fmt::format(R"(,"ceiling":{})", LoadLittle<uint64_t>(payload.data()));
    case RecordType::kSkip:
      if (payload.size() != 8) return std::nullopt;
      return fmt::format(R"(,"first":{})", LoadLittle<uint64_t>(payload.data()));
    case RecordType::kGroup:
      if (payload.size() < 16) return std::nullopt;
      return fmt::format(R"(,"durable_revision":{},"durable_end":{})",
                         LoadLittle<uint64_t>(payload.data()),
                         LoadLittle<uint64_t>(payload.data() + 8));
  }
  return std::nullopt;
}

int Dump(const std::string& folder, FILE* out, FILE* err) {
  const Status status = DumpFolder(
      FileSystem::Posix(), folder,
      [out](const std::string& segment, uint64_t offset, const Record& record) {
        const std::optional<std::string> fields = PayloadFields(record);
        if (!fields) {
          return Status(Code::kInternal,
                        fmt::format("{}: the record at {} is whole, but says what this version "
                                    "cannot read",
                                    segment, offset));
        }
        fmt::print(out,
                   R"({{"segment":"{}","offset":{},"revision":{},"term":{},"time_ms":{},)"
                   R"("type":"{}"{}}})"
                   "\n",
                   segment, offset, record.revision, record.term, record.time_ms,
                   NameOf(record.type), *fields);
        return Status();
      });
  const int finished = Finish(out, err, ToolExit::kDone);
  return status.ok() ? finished : Complain(err, status);
}

// --- backup and restore ----------------------------------------------------------------------

int Backup(const std::string& folder, const std::string& destination, FILE* out, FILE* err) {
  const Result<uint64_t> revision = BackupFolder(FileSystem::Posix(), folder, destination);
  if (!revision.ok()) return Complain(err, revision.status());
  fmt::print(out, "{} is a backup of {} up to revision {}\n", destination, folder, *revision);
  return Finish(out, err, ToolExit::kDone);
}

int Restore(const std::string& backup, const std::string& folder, FILE* out, FILE* err) {
  const Result<Restored> restored = RestoreBackup(FileSystem::Posix(), backup, folder);
  if (!restored.ok()) return Complain(err, restored.status());
  fmt::print(out, "{} has all of {}, up to revision {}, with the new history {}\n", folder, backup,
             restored->revision, Hex64(restored->history));
  return Finish(out, err, ToolExit::kDone);
}

// --- the arguments ---------------------------------------------------------------------------

struct Tool {
  std::string_view name;
  std::string_view arguments;  // As a person is told.
  size_t folders;
};
constexpr Tool kTools[] = {{"verify", "DIR", 1},
                           {"repair", "DIR [--dry-run]", 1},
                           {"dump", "DIR", 1},
                           {"backup", "DIR DEST", 2},
                           {"restore", "BACKUP DIR", 2}};

}  // namespace

std::optional<int> RunFolderTool(std::span<const char* const> arguments, FILE* out, FILE* err) {
  if (arguments.empty()) return std::nullopt;
  const std::string_view name = arguments[0];
  const Tool* const tool = std::find_if(std::begin(kTools), std::end(kTools),
                                        [name](const Tool& known) { return known.name == name; });
  if (tool == std::end(kTools)) return std::nullopt;
  std::vector<std::string> folders;
  bool dry_run = false;
  bool meant = true;
  for (const std::string_view argument : arguments.subspan(1)) {
    if (argument == "--dry-run" && name == "repair") {
      dry_run = true;
    } else if (!argument.empty() && argument.front() != '-') {
      std::string& folder = folders.emplace_back(argument);
      // What is made is to stand beside a folder, not inside.
      while (folder.size() > 1 && folder.back() == '/') folder.pop_back();
    } else {
      meant = false;
    }
  }
  if (folders.size() != tool->folders || !meant) {
    fmt::print(err, "entrepot-server: to be called as: entrepot-server {} {}\n", name,
               tool->arguments);
    return Exit(ToolExit::kUsage);
  }
  if (name == "verify") return Verify(folders[0], out, err);
  if (name == "repair") return Repair(folders[0], dry_run, out, err);
  if (name == "dump") return Dump(folders[0], out, err);
  if (name == "backup") return Backup(folders[0], folders[1], out, err);
  return Restore(folders[0], folders[1], out, err);
}

}  // namespace entrepot
