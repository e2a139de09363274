#include "log/backup.h"

#include <algorithm>
#include <memory>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/random.h"
#include "log/folder_survey.h"
#include "log/segment_reader.h"
#include "log/tools.h"

namespace entrepot {
namespace {

constexpr size_t kCopyBytes = size_t{1} << 20;
// Records that are restored with one call of the log.
constexpr size_t kRestoreBytes = size_t{1} << 20;
// There until a folder is restored in full, so that no start takes what is there for an empty one.
constexpr std::string_view kUnfinishedName = "unfinished-restore";

std::string PathOf(const std::string& folder, std::string_view name) {
  return folder + "/" + std::string(name);
}

Status MakeFolder(FileSystem& files, const std::string& folder) {
  Status status = CheckIsFree(files, folder);
  if (!status.ok()) return status;
  const Result<bool> made = files.CreateFolder(folder);
  if (!made.ok()) return made.status();
  return *made ? files.SyncFolder(FolderOf(folder)) : Status();
}

// Removes what was made in a folder that was empty before, and gives back why.
Status Abandon(FileSystem& files, const std::string& folder, const Status& why) {
  std::string message = why.message();
  const auto complain = [&message](const Status& status) {
    if (!status.ok()) message += "; " + status.message();
  };
  const Result<std::vector<std::string>> names = files.List(folder);
  complain(names.status());
  for (const std::string& name : names.ok() ? *names : std::vector<std::string>()) {
    const bool ours = SegmentOfName(name) || SnapshotOfName(name) || name == kStoppedName ||
                      name == kBackupName || name == kIdentityName || name == kLockName ||
                      name == kUnfinishedName || name.ends_with(kTemporarySuffix);
    if (ours) complain(files.Unlink(PathOf(folder, name)));
  }
  return Status(why.code(), message);
}

// --- Writing a backup -------------------------------------------------------------------------

class BackupWriter {
 public:
  BackupWriter(FileSystem& files, const std::string& folder, const std::string& destination,
               const std::function<bool()>& give_up)
      : files_(files), folder_(folder), destination_(destination), give_up_(give_up) {}

  Result<uint64_t> Write(const BackupSource& source) {
    CHECK(!source.segments.empty());
    Status status;
    if (source.snapshot) status = Copy(source.snapshot->name, UINT64_MAX);
    for (size_t i = 0; status.ok() && i < source.segments.size(); ++i) {
      status = Copy(SegmentName(source.segments[i].segment), source.segments[i].end);
    }
    if (status.ok()) status = WriteStopped(source);
    if (status.ok()) status = files_.SyncFolder(destination_);
    // Last: what has no mark is no backup.
    if (status.ok()) status = WriteMark(source.identity);
    if (!status.ok()) return status;
    const Result<FolderSurvey> survey = SurveyFolder(files_, destination_, {.deep = true});
    if (!survey.ok()) return survey.status();
    if (!survey->findings.empty()) {
      return Status(Code::kInternal,
                    fmt::format("{}: {}", destination_, survey->findings.front().message));
    }
    return survey->end.revision;
  }

 private:
  // The first `bytes_max` bytes of a file that may grow meanwhile.
  Status Copy(const std::string& name, uint64_t bytes_max) {
    Result<std::unique_ptr<File>> from = files_.Open(PathOf(folder_, name), OpenMode::kRead);
    if (!from.ok()) return from.status();
    Result<std::unique_ptr<File>> to = files_.Open(PathOf(destination_, name), OpenMode::kCreate);
    if (!to.ok()) return to.status();
    std::string chunk;
    for (uint64_t at = 0; at < bytes_max;) {
      if (give_up_()) return Status(Code::kUnavailable, "the server stops");
      chunk.resize(static_cast<size_t>(std::min<uint64_t>(kCopyBytes, bytes_max - at)));
      const Result<size_t> read = (*from)->ReadAt(at, chunk);
      if (!read.ok()) return read.status();
      if (*read == 0) break;
      Status status = (*to)->WriteAt(at, std::string_view(chunk).substr(0, *read));
      if (!status.ok()) return status;
      at += *read;
    }
    return (*to)->SyncAll();
  }

  // Says where the log ends, so that a byte that is lost from its end is missed.
  Status WriteStopped(const BackupSource& source) {
    const LogSegment& last = source.segments.back();
    Result<std::unique_ptr<SegmentReader>> opened =
        SegmentReader::Open(files_, destination_, last.segment);
    if (!opened.ok()) return opened.status();
    SegmentReader& reader = **opened;
    for (;;) {
      const Result<bool> next = reader.Next();
      if (!next.ok()) return next.status();
      if (!*next) break;
    }
    if (reader.end() != last.end || reader.checksum() != last.checksum) {
      return DamageStatus(reader.name(), reader.end(), "a record is not whole");
    }
    return WriteWholeFile(files_, PathOf(destination_, kStoppedName),
                          EncodeStopped({.history = source.identity.history,
                                         .segment = last.segment,
                                         .end = last.end,
                                         .revision = reader.revision(),
                                         .checksum = last.checksum}));
  }

  Status WriteMark(const Identity& identity) {
    const std::string mark = PathOf(destination_, kBackupName);
    const std::string temporary = mark + std::string(kTemporarySuffix);
    Status status = WriteWholeFile(files_, temporary, EncodeBackupMark(identity));
    if (status.ok()) status = files_.Rename(temporary, mark);
    return status.ok() ? files_.SyncFolder(destination_) : status;
  }

  FileSystem& files_;
  const std::string& folder_;
  const std::string& destination_;
  const std::function<bool()>& give_up_;
};

// --- Restoring --------------------------------------------------------------------------------

class Restorer {
 public:
  Restorer(FileSystem& files, const std::string& backup, const FolderSurvey& survey,
           const std::string& folder, uint64_t segment_bytes)
      : files_(files), backup_(backup), survey_(survey), folder_(folder) {
    options_.segment_bytes = segment_bytes;
    options_.reserve_bytes = 0;
    options_.background = false;
  }

  Result<Restored> Restore(std::unique_ptr<FileLock> backup_lock) {
    const std::string unfinished = PathOf(folder_, kUnfinishedName);
    Status status = WriteWholeFile(files_, unfinished, "");
    if (status.ok()) status = files_.SyncFolder(folder_);
    if (!status.ok()) return status;
    Result<std::unique_ptr<FileLock>> lock = files_.Lock(PathOf(folder_, kLockName));
    if (!lock.ok()) return lock.status();
    LogEnd begin;
    if (const SnapshotInfo* snapshot = survey_.NewestSnapshot()) {
      if (status = RestoreSnapshot(*snapshot); !status.ok()) return status;
      begin.revision = snapshot->begin;
      begin.time_ms = snapshot->time_ms;
    }
    FileLog log(files_, folder_, options_, identity_, begin, {}, std::move(*lock));
    status = RestoreLog(begin.revision, std::move(backup_lock), log);
    if (status.ok()) status = log.Stop();
    if (status.ok()) status = WriteIdentity();
    if (status.ok()) status = files_.Unlink(unfinished);
    if (status.ok()) status = files_.SyncFolder(folder_);
    if (!status.ok()) return status;
    return Restored{identity_.history, survey_.end.revision};
  }

 private:
  Status RestoreSnapshot(const SnapshotInfo& info) {
    Result<std::unique_ptr<SnapshotReader>> reader =
        SnapshotReader::Open(files_, backup_, info.name);
    if (!reader.ok()) return reader.status();
    Result<std::unique_ptr<SnapshotWriter>> writer =
        SnapshotWriter::Create(files_, folder_, identity_.history, info.begin, info.time_ms);
    if (!writer.ok()) return writer.status();
    Status status = (*reader)->ReadAll([&](std::string_view item) { return (*writer)->Add(item); });
    if (status.ok()) status = (*writer)->Finish(info.end);
    return status.ok() ? (*writer)->Publish().status() : status;
  }

  Status RestoreLog(uint64_t from, std::unique_ptr<FileLock> backup_lock, FileLog& log) {
    Status status = log.BeginSegment();
    if (!status.ok()) return status;
    const FileLog source(files_, backup_, options_, *survey_.identity, survey_.end,
                         survey_.segments, std::move(backup_lock));
    std::string records;
    uint64_t revision = from;
    const auto append = [&] {
      const Status appended = log.Append(records, revision, /*sync=*/false).status();
      records.clear();
      return appended;
    };
    status = source.Replay(from, [&](const Record& record) {
      revision = record.revision;
      const size_t at = records.size();
      records.resize(at + RecordBytes(record.payload.size()));
      StoreRecordHeader(&records[at], static_cast<uint32_t>(record.payload.size()), record.revision,
                        record.term, record.time_ms, record.type);
      record.payload.copy(&records[at + kRecordHeaderBytes], record.payload.size());
      return records.size() < kRestoreBytes ? Status() : append();
    });
    return status.ok() ? append() : status;
  }

  Status WriteIdentity() {
    const std::string path = PathOf(folder_, kIdentityName);
    const std::string temporary = path + std::string(kTemporarySuffix);
    Status status = WriteWholeFile(files_, temporary, EncodeIdentity(identity_));
    if (status.ok()) status = files_.Rename(temporary, path);
    return status.ok() ? files_.SyncFolder(folder_) : status;
  }

  FileSystem& files_;
  const std::string& backup_;
  const FolderSurvey& survey_;
  const std::string& folder_;
  FileLogOptions options_;
  const Identity identity_{.history = RandomUint64(), .node = RandomUint64()};
};

// A survey of all of a folder, which has to be one that a store can be made from.
Result<FolderSurvey> SurveyWhole(FileSystem& files, const std::string& folder) {
  Result<FolderSurvey> survey = SurveyFolder(files, folder, {.deep = true});
  if (!survey.ok()) return survey;
  const Finding* const refusal = survey->Refusal();
  if (refusal == nullptr) return survey;
  return Status(refusal->kind == Finding::Kind::kFormat ? Code::kInvalidArgument : Code::kInternal,
                fmt::format("{}: {}", folder, refusal->message));
}

}  // namespace

Status CheckIsFree(FileSystem& files, const std::string& path) {
  const std::string parent = FolderOf(path);
  const Result<std::vector<std::string>> beside = files.List(parent);
  if (!beside.ok()) return beside.status();
  const std::string name = parent == "." ? path : path.substr(path.find_last_of('/') + 1);
  if (std::find(beside->begin(), beside->end(), name) == beside->end()) return Status();
  const Result<std::vector<std::string>> inside = files.List(path);
  if (!inside.ok()) return inside.status();
  if (inside->empty()) return Status();
  return Status(Code::kInvalidArgument,
                fmt::format("{} is not empty: it has \"{}\"", path, inside->front()));
}

Result<uint64_t> WriteBackup(FileSystem& files, const std::string& folder,
                             const BackupSource& source, const std::string& destination,
                             const std::function<bool()>& give_up) {
  if (Status status = MakeFolder(files, destination); !status.ok()) return status;
  Result<uint64_t> revision = BackupWriter(files, folder, destination, give_up).Write(source);
  if (!revision.ok()) return Abandon(files, destination, revision.status());
  return revision;
}

Result<uint64_t> BackupFolder(FileSystem& files, const std::string& folder,
                              const std::string& destination) {
  const Result<std::unique_ptr<FileLock>> lock = LockDataFolder(files, folder);
  if (!lock.ok()) return lock.status();
  const Result<FolderSurvey> survey = SurveyWhole(files, folder);
  if (!survey.ok()) return survey.status();
  BackupSource source{.identity = *survey->identity, .snapshot = {}, .segments = survey->segments};
  if (const SnapshotInfo* snapshot = survey->NewestSnapshot()) {
    source.snapshot = *snapshot;
    source.segments = SegmentsFrom(survey->segments, snapshot->begin);
  }
  return WriteBackup(files, folder, source, destination, [] { return false; });
}

Result<Restored> RestoreBackup(FileSystem& files, const std::string& backup,
                               const std::string& folder, uint64_t segment_bytes) {
  Result<std::unique_ptr<FileLock>> lock = LockDataFolder(files, backup);
  if (!lock.ok()) return lock.status();
  const Result<FolderSurvey> survey = SurveyWhole(files, backup);
  if (!survey.ok()) return survey.status();
  if (Status status = MakeFolder(files, folder); !status.ok()) return status;
  Result<Restored> restored =
      Restorer(files, backup, *survey, folder, segment_bytes).Restore(std::move(*lock));
  if (!restored.ok()) return Abandon(files, folder, restored.status());
  return restored;
}

}  // namespace entrepot
