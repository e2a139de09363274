#include "log/recovery.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/random.h"
#include "log/folder_survey.h"
#include "log/format.h"

namespace entrepot {
namespace {

// Made by file systems themselves, in the root of a disk.
constexpr std::string_view kLostAndFound = "lost+found";

std::string PathOf(const std::string& folder, std::string_view name) {
  return folder + "/" + std::string(name);
}

std::string IdentityTemporary() {
  return std::string(kIdentityName) + std::string(kTemporarySuffix);
}

bool Contains(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

Status MakeFolder(FileSystem& files, const std::string& folder) {
  const Result<bool> made = files.CreateFolder(folder);
  if (!made.ok()) return made.status();
  return *made ? files.SyncFolder(FolderOf(folder)) : Status();
}

// A folder that has no identity yet must be empty, but for what an earlier attempt at Create()
// left: its identity has a temporary name until the first segment is there.
Status CheckLeftovers(const std::string& folder, const std::vector<std::string>& names) {
  if (Contains(names, kBackupName)) {
    return Status(
        Code::kInvalidArgument,
        fmt::format("{} is a backup; 'entrepot-server restore {} DIR' makes a data folder "
                    "of it",
                    folder, folder));
  }
  const bool interrupted = Contains(names, IdentityTemporary());
  for (const std::string& name : names) {
    if (name == kLockName || name == kLostAndFound || name.ends_with(kTemporarySuffix) ||
        (interrupted && name == SegmentName(1))) {
      continue;
    }
    return Status(Code::kInvalidArgument,
                  fmt::format("{} is not a data folder of Entrepôt's, and not empty: it has \"{}\"",
                              folder, name));
  }
  return Status();
}

// Removes what CheckLeftovers() allows.
Status RemoveLeftovers(FileSystem& files, const std::string& folder,
                       const std::vector<std::string>& names) {
  // The temporary identity last: as long as it is there the rest is known for what it is.
  for (const bool identity : {false, true}) {
    for (const std::string& name : names) {
      const bool leftover = name.ends_with(kTemporarySuffix) || name == SegmentName(1);
      if (!leftover || (name == IdentityTemporary()) != identity) continue;
      Status status = files.Unlink(PathOf(folder, name));
      if (!status.ok()) return status;
    }
    Status status = files.SyncFolder(folder);
    if (!status.ok()) return status;
  }
  return Status();
}

Result<OpenedLog> Create(FileSystem& files, const std::string& folder,
                         const FileLogOptions& options, uint64_t history,
                         std::unique_ptr<FileLock> lock) {
  const Identity identity{.history = history, .node = RandomUint64()};
  const std::string temporary = PathOf(folder, IdentityTemporary());
  Status status = WriteWholeFile(files, temporary, EncodeIdentity(identity));
  if (status.ok()) status = files.SyncFolder(folder);
  if (!status.ok()) return status;

  OpenedLog opened;
  opened.log = std::make_unique<FileLog>(files, folder, options, identity, LogEnd{},
                                         std::vector<LogSegment>{}, std::move(lock));
  status = opened.log->BeginSegment();
  if (status.ok()) status = files.Rename(temporary, PathOf(folder, kIdentityName));
  if (status.ok()) status = files.SyncFolder(folder);
  if (!status.ok()) return status;
  const Result<std::optional<FileLog::Skipped>> skipped =
      opened.log->BeginRevisions(/*skip=*/false);
  if (!skipped.ok()) return skipped.status();
  opened.created = true;
  opened.clean = true;
  return opened;
}

Status RemoveTemporaries(FileSystem& files, const std::string& folder, const FolderSurvey& survey) {
  for (const std::string& name : survey.names) {
    if (!name.ends_with(kTemporarySuffix)) continue;
    Status status = files.Unlink(PathOf(folder, name));
    if (!status.ok()) return status;
  }
  return Status();
}

// Has the log's end on disk before the next segment says that it is. What is read may be in the
// kernel's memory only; and when a sync had failed the kernel takes it for written, so that a sync
// alone would do nothing: it is written again, byte for byte.
Status SettleEnd(FileSystem& files, const std::string& folder, const FolderSurvey& survey) {
  constexpr size_t kChunkBytes = size_t{1} << 20;
  Result<std::unique_ptr<File>> file =
      files.Open(PathOf(folder, SegmentName(survey.end.segment)), OpenMode::kReadWrite);
  if (!file.ok()) return file.status();
  std::string chunk;
  for (uint64_t at = survey.durable_end; at < survey.end.offset; at += chunk.size()) {
    chunk.resize(static_cast<size_t>(std::min<uint64_t>(kChunkBytes, survey.end.offset - at)));
    const Result<size_t> read = (*file)->ReadAt(at, chunk);
    if (!read.ok()) return read.status();
    CHECK(*read == chunk.size());
    Status status = (*file)->WriteAt(at, chunk);
    if (!status.ok()) return status;
  }
  return (*file)->SyncAll();
}

// Cuts each segment at its end; to be called when the next segment stands behind it.
Status CutSegments(FileSystem& files, const std::string& folder, const FolderSurvey& survey) {
  for (const LogSegment& segment : survey.segments) {
    const std::string path = PathOf(folder, SegmentName(segment.segment));
    Result<std::unique_ptr<File>> file = files.Open(path, OpenMode::kReadWrite);
    if (!file.ok()) return file.status();
    const Result<uint64_t> size = (*file)->Size();
    if (!size.ok()) return size.status();
    if (*size == segment.end) continue;
    Status status = (*file)->Truncate(segment.end);
    if (status.ok()) status = (*file)->SyncAll();
    if (!status.ok()) return status;
  }
  return Status();
}

Result<OpenedLog> Continue(FileSystem& files, const std::string& folder,
                           const FileLogOptions& options, std::unique_ptr<FileLock> lock) {
  const Result<FolderSurvey> survey = SurveyFolder(files, folder, SurveyOptions());
  if (!survey.ok()) return survey.status();
  if (const Finding* refusal = survey->Refusal()) {
    return Status(
        refusal->kind == Finding::Kind::kFormat ? Code::kInvalidArgument : Code::kInternal,
        fmt::format("{}: {}", folder, refusal->message));
  }
  Status status = RemoveTemporaries(files, folder, *survey);
  if (status.ok() && !survey->clean) status = SettleEnd(files, folder, *survey);
  if (!status.ok()) return status;

  OpenedLog opened;
  opened.clean = survey->clean;
  for (const Finding& finding : survey->findings) opened.cut = finding.message;
  if (const SnapshotInfo* snapshot = survey->NewestSnapshot()) {
    opened.snapshot = *snapshot;
    opened.replay_from = snapshot->begin;
  }
  opened.log = std::make_unique<FileLog>(files, folder, options, *survey->identity, survey->end,
                                         survey->segments, std::move(lock));
  // The new segment names the end of the last one before anything behind that end is cut, and
  // before the clean stop is forgotten: whenever this is interrupted, the next start concludes the
  // same.
  status = opened.log->BeginSegment();
  if (status.ok()) status = CutSegments(files, folder, *survey);
  if (status.ok() && Contains(survey->names, kStoppedName)) {
    status = files.Unlink(PathOf(folder, kStoppedName));
    if (status.ok()) status = files.SyncFolder(folder);
  }
  if (!status.ok()) return status;
  const Result<std::optional<FileLog::Skipped>> skipped =
      opened.log->BeginRevisions(/*skip=*/!survey->clean);
  if (!skipped.ok()) return skipped.status();
  opened.skipped = *skipped;
  opened.last_revision = *skipped ? (*skipped)->last : survey->end.revision;
  opened.time_ms = survey->end.time_ms;
  return opened;
}

Result<OpenedLog> OpenOrCreate(FileSystem& files, const std::string& folder,
                               const FileLogOptions& options, std::optional<uint64_t> new_history) {
  Status status = MakeFolder(files, folder);
  if (!status.ok()) return status;
  // Looked at before the lock, which makes a file, and again below it.
  Result<std::vector<std::string>> names = files.List(folder);
  if (!names.ok()) return names.status();
  if (!Contains(*names, kIdentityName)) {
    status = CheckLeftovers(folder, *names);
    if (!status.ok()) return status;
  }
  Result<std::unique_ptr<FileLock>> lock = files.Lock(PathOf(folder, kLockName));
  if (!lock.ok()) return lock.status();
  names = files.List(folder);
  if (!names.ok()) return names.status();
  if (Contains(*names, kIdentityName)) {
    if (!new_history) return Continue(files, folder, options, std::move(*lock));
    return Status(Code::kInvalidArgument, fmt::format("{} has a history already", folder));
  }
  status = CheckLeftovers(folder, *names);
  if (status.ok()) status = RemoveLeftovers(files, folder, *names);
  if (!status.ok()) return status;
  return Create(files, folder, options, new_history.value_or(RandomUint64()), std::move(*lock));
}

}  // namespace

Result<OpenedLog> OpenLog(FileSystem& files, const std::string& folder,
                          const FileLogOptions& options) {
  return OpenOrCreate(files, folder, options, std::nullopt);
}

Result<OpenedLog> CreateLog(FileSystem& files, const std::string& folder,
                            const FileLogOptions& options, uint64_t history) {
  return OpenOrCreate(files, folder, options, history);
}

}  // namespace entrepot
