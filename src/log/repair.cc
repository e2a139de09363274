// RepairFolder() of tools.h: first a plan from surveys alone, then, unless it is a dry run, the
// copy and the changes.

#include <algorithm>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "base/random.h"
#include "log/segment_reader.h"
#include "log/tools.h"

namespace entrepot {
namespace {

// The records that named the ceiling may be among those that are lost; above the highest that is
// left, this many revisions are not given either. There are 2^53.
constexpr uint64_t kLostRevisionsMax = uint64_t{1} << 32;

bool ConcernsLog(const Finding& finding) {
  return finding.kind == Finding::Kind::kDamage && SegmentOfName(finding.name).has_value();
}

bool IsDamaged(const FolderSurvey& survey, std::string_view name) {
  return std::any_of(survey.findings.begin(), survey.findings.end(),
                     [name](const Finding& finding) {
                       return finding.kind == Finding::Kind::kDamage && finding.name == name;
                     });
}

class Repairer {
 public:
  Repairer(FileSystem& files, const std::string& folder) : files_(files), folder_(folder) {}

  // Finds out what is to be done; report() has it in words.
  Status Plan() {
    Result<FolderSurvey> survey = SurveyFolder(files_, folder_, {.deep = true});
    if (!survey.ok()) return survey.status();
    survey_ = std::move(*survey);
    log_ = survey_;
    for (const Finding& finding : survey_.findings) {
      report_.found.push_back(finding.message);
      if (finding.kind == Finding::Kind::kFormat) {
        return Status(Code::kInvalidArgument, finding.message);
      }
    }
    if (survey_.Refusal() == nullptr) return Status();
    needed_ = true;
    PlanSnapshots();
    Status status = PlanLog();
    if (status.ok()) status = PlanIdentity();
    if (status.ok()) status = CheckEnoughIsLeft();
    return status;
  }

  bool needed() const { return needed_; }
  RepairReport& report() { return report_; }

  Status Copy(const std::string& copy_folder) {
    const Result<bool> made = files_.CreateFolder(copy_folder);
    if (!made.ok()) return made.status();
    if (!*made) {
      return Status(Code::kInvalidArgument, fmt::format("{} is there already", copy_folder));
    }
    for (const std::string& name : survey_.names) {
      if (name == kLockName) continue;
      Status status = CopyFile(files_, folder_ + "/" + name, copy_folder + "/" + name);
      if (!status.ok()) return status;
    }
    Status status = files_.SyncFolder(copy_folder);
    if (status.ok()) status = files_.SyncFolder(FolderOf(copy_folder));
    report_.copy_folder = copy_folder;
    return status;
  }

  Status Change(std::unique_ptr<FileLock> lock) {
    Status status = ChangeIdentity();
    for (size_t i = 0; status.ok() && i < salvaged_.size(); ++i) status = Salvage(salvaged_[i]);
    for (size_t i = 0; status.ok() && i < removed_.size(); ++i) {
      status = files_.Unlink(folder_ + "/" + removed_[i]);
    }
    if (status.ok()) status = files_.SyncFolder(folder_);
    if (!status.ok()) return status;

    // Goes on as a start does, and stops cleanly.
    FileLogOptions options;
    options.segment_bytes = kSegmentBytes;
    options.reserve_bytes = 0;
    options.background = false;
    FileLog log(files_, folder_, options, *survey_.identity, log_.end, log_.segments,
                std::move(lock));
    status = log.BeginSegment();
    if (status.ok()) status = CutLastSegment();
    if (!status.ok()) return status;
    const Result<std::optional<FileLog::Skipped>> skipped = log.BeginRevisions(/*skip=*/true);
    return skipped.ok() ? log.Stop() : skipped.status();
  }

 private:
  // The segment that repair adds holds two records.
  static constexpr uint64_t kSegmentBytes = uint64_t{64} << 10;

  void Planned(std::string line) { report_.done.push_back(std::move(line)); }
  void Remove(const std::string& name) { removed_.push_back(name); }

  void PlanSnapshots() {
    for (const std::string& name : survey_.names) {
      if (!SnapshotOfName(name) || !IsDamaged(survey_, name)) continue;
      const auto opened =
          std::find_if(survey_.snapshots.begin(), survey_.snapshots.end(),
                       [&name](const SnapshotInfo& info) { return info.name == name; });
      if (opened == survey_.snapshots.end()) {
        Planned(fmt::format("remove {}: its header or trailer is not whole", name));
        Remove(name);
      } else if (IsSuperfluous(*opened)) {
        Planned(fmt::format("remove {}: the rest has what it has", name));
        Remove(name);
        survey_.snapshots.erase(opened);
      } else {
        Planned(
            fmt::format("write {} again without its damaged blocks: the entries in them are "
                        "lost where the log does not have them",
                        name));
        salvaged_.push_back(*opened);
      }
    }
  }

  // Whether the state is complete without this snapshot.
  bool IsSuperfluous(const SnapshotInfo& snapshot) const {
    if (&snapshot != &survey_.snapshots.back()) return true;
    if (survey_.segments.empty() ||
        std::any_of(survey_.findings.begin(), survey_.findings.end(), ConcernsLog)) {
      return false;
    }
    const uint64_t oldest = survey_.segments.front().previous_revision;
    return oldest == 0 || std::any_of(survey_.snapshots.begin(), survey_.snapshots.end(),
                                      [&](const SnapshotInfo& other) {
                                        return other.name != snapshot.name &&
                                               other.begin >= oldest &&
                                               !IsDamaged(survey_, other.name);
                                      });
  }

  Status PlanLog() {
    const bool damaged = std::any_of(survey_.findings.begin(), survey_.findings.end(), ConcernsLog);
    if (damaged && !survey_.snapshots.empty() && salvaged_.empty()) {
      const Result<bool> enough = PlanWithoutFront();
      if (!enough.ok()) return enough.status();
      if (*enough) return Status();
    }
    for (const std::string& name : survey_.names) {
      const std::optional<uint64_t> number = SegmentOfName(name);
      if (!number || *number <= log_.end.segment) continue;
      Planned(fmt::format("remove {}: what is before it is not whole", name));
      Remove(name);
    }
    if (damaged) {
      Planned(
          fmt::format("end the log at revision {}: the changes behind it are lost, but for "
                      "those that a snapshot has",
                      log_.end.revision));
    }
    return Status();
  }

  // When the damage is in segments that the newest snapshot makes superfluous, nothing but the
  // feed's past is lost: the log then begins behind them.
  Result<bool> PlanWithoutFront() {
    const uint64_t begin = survey_.snapshots.back().begin;
    for (const std::string& name : survey_.names) {
      const std::optional<uint64_t> number = SegmentOfName(name);
      if (!number || *number <= survey_.end.segment) continue;
      Result<FolderSurvey> rest =
          SurveyFolder(files_, folder_, {.deep = true, .first_segment = *number});
      if (!rest.ok()) return rest.status();
      if (rest->segments.empty()) continue;
      if (rest->segments.front().previous_revision > begin) return false;
      if (std::any_of(rest->findings.begin(), rest->findings.end(), ConcernsLog)) continue;
      for (const std::string& older : survey_.names) {
        const std::optional<uint64_t> older_number = SegmentOfName(older);
        if (!older_number || *older_number >= *number) continue;
        Planned(
            fmt::format("remove {}: {} has what it changed; only the past that watchers can "
                        "resume from is lost",
                        older, survey_.snapshots.back().name));
        Remove(older);
      }
      log_ = std::move(*rest);
      return true;
    }
    return false;
  }

  Status PlanIdentity() {
    if (std::find(survey_.names.begin(), survey_.names.end(), kStoppedName) !=
        survey_.names.end()) {
      Remove(std::string(kStoppedName));
    }
    if (survey_.identity) return Status();
    Identity identity{.node = RandomUint64()};
    if (!log_.segments.empty()) {
      Result<std::unique_ptr<SegmentReader>> first =
          SegmentReader::Open(files_, folder_, log_.segments.front().segment);
      if (!first.ok()) return first.status();
      identity.history = (*first)->header().history;
    } else if (!survey_.snapshots.empty()) {
      identity.history = survey_.snapshots.back().history;
    }
    survey_.identity = identity;
    identity_lost_ = true;
    Planned(
        fmt::format("write {} again, with the history that the other files name", kIdentityName));
    return Status();
  }

  Status CheckEnoughIsLeft() {
    const bool snapshot = !survey_.snapshots.empty();
    if (log_.segments.empty()) {
      if (!snapshot) {
        return Status(Code::kInternal, fmt::format("{}: no segment of the log and no snapshot is "
                                                   "whole; only a backup can help",
                                                   folder_));
      }
      // A log that goes on behind the snapshot.
      const SnapshotInfo& newest = survey_.snapshots.back();
      log_.end = {.revision = newest.begin, .time_ms = newest.time_ms};
      log_.ceiling = std::max(survey_.ceiling, newest.end);
    } else {
      const uint64_t oldest = log_.segments.front().previous_revision;
      if (oldest > 0 && (!snapshot || survey_.snapshots.back().begin < oldest)) {
        return Status(Code::kInternal, fmt::format("{}: the log begins behind revision {} and no "
                                                   "snapshot is whole; only a backup can help",
                                                   folder_, oldest));
      }
    }
    log_.end.ceiling = std::max(survey_.ceiling, log_.ceiling) + kLostRevisionsMax;
    Planned(fmt::format("go on with revision {}", log_.end.ceiling + 1));
    return Status();
  }

  Status ChangeIdentity() {
    if (!identity_lost_) return Status();
    const std::string path = folder_ + "/" + std::string(kIdentityName);
    const std::string temporary = path + std::string(kTemporarySuffix);
    Status status = WriteWholeFile(files_, temporary, EncodeIdentity(*survey_.identity));
    if (status.ok()) status = files_.Rename(temporary, path);
    return status;
  }

  Status Salvage(const SnapshotInfo& info) {
    Result<std::unique_ptr<SnapshotReader>> reader =
        SnapshotReader::Open(files_, folder_, info.name);
    if (!reader.ok()) return reader.status();
    Result<std::unique_ptr<SnapshotWriter>> writer =
        SnapshotWriter::Create(files_, folder_, info.history, info.begin, info.time_ms);
    if (!writer.ok()) return writer.status();
    for (size_t index = 0; index < (*reader)->blocks(); ++index) {
      Status status = (*reader)->ReadBlock(
          index, [&writer](std::string_view item) { return (*writer)->Add(item); });
      // A block is checked before its first item is handed on, so none is kept in part.
      if (!status.ok() && status.code() != Code::kInternal) return status;
    }
    Status status = (*writer)->Finish(info.end);
    if (!status.ok()) return status;
    const Result<SnapshotInfo> published = (*writer)->Publish();
    return published.ok() ? Status() : published.status();
  }

  Status CutLastSegment() {
    if (log_.segments.empty()) return Status();
    const LogSegment& last = log_.segments.back();
    Result<std::unique_ptr<File>> file =
        files_.Open(folder_ + "/" + SegmentName(last.segment), OpenMode::kReadWrite);
    if (!file.ok()) return file.status();
    Status status = (*file)->Truncate(last.end);
    if (status.ok()) status = (*file)->SyncAll();
    return status;
  }

  FileSystem& files_;
  const std::string& folder_;
  RepairReport report_;
  FolderSurvey survey_;  // Of all; its snapshots are those that stay.
  FolderSurvey log_;     // Of what stays of the log.
  std::vector<std::string> removed_;
  std::vector<SnapshotInfo> salvaged_;
  bool needed_ = false;
  bool identity_lost_ = false;
};

}  // namespace

Result<RepairReport> RepairFolder(FileSystem& files, const std::string& folder,
                                  const std::string& copy_folder, bool dry_run) {
  Result<std::unique_ptr<FileLock>> lock = LockDataFolder(files, folder);
  if (!lock.ok()) return lock.status();
  Repairer repairer(files, folder);
  Status status = repairer.Plan();
  if (!status.ok()) return status;
  if (repairer.needed() && !dry_run) {
    status = repairer.Copy(copy_folder);
    if (status.ok()) status = repairer.Change(std::move(*lock));
    if (!status.ok()) return status;
  }
  return std::move(repairer.report());
}

}  // namespace entrepot
