#include "log/folder_survey.h"

#include <algorithm>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "log/segment_reader.h"

namespace entrepot {
namespace {

// An identity of a later format may be longer than ours; nothing else is.
constexpr uint64_t kSmallFileBytesMax = 4096;

// Whether a status is about what is in a file, and not about reading it.
bool IsFinding(const Status& status) {
  return status.code() == Code::kInternal || status.code() == Code::kInvalidArgument ||
         status.code() == Code::kTooLarge;
}

class Surveyor {
 public:
  Surveyor(FileSystem& files, const std::string& folder, const SurveyOptions& options)
      : files_(files), folder_(folder), options_(options) {}

  Result<FolderSurvey> Run() {
    Result<std::vector<std::string>> names = files_.List(folder_);
    if (!names.ok()) return names.status();
    survey_.names = std::move(*names);
    for (Status (Surveyor::*step)() : {&Surveyor::LookAtIdentity, &Surveyor::LookAtStopped,
                                       &Surveyor::LookAtSegments, &Surveyor::LookAtSnapshots}) {
      Status status = (this->*step)();
      if (!status.ok()) return status;
    }
    return std::move(survey_);
  }

 private:
  bool Has(std::string_view name) const {
    return std::find(survey_.names.begin(), survey_.names.end(), name) != survey_.names.end();
  }

  void Found(Finding::Kind kind, std::string_view name, uint64_t offset, std::string message) {
    survey_.findings.push_back(
        {kind, std::string(name), offset, survey_.end.revision, std::move(message)});
  }
  void FoundDamage(std::string_view name, uint64_t offset, std::string_view what) {
    Found(Finding::Kind::kDamage, name, offset,
          fmt::format("{} (whole up to revision {})", DamageStatus(name, offset, what).message(),
                      survey_.end.revision));
  }
  // A status about content becomes a finding; one about reading is given back.
  Status Judge(const Status& status, std::string_view name) {
    if (status.ok() || !IsFinding(status)) return status;
    Found(status.code() == Code::kInvalidArgument ? Finding::Kind::kFormat : Finding::Kind::kDamage,
          name, 0, status.message());
    return Status();
  }

  Status LookAtIdentity() {
    survey_.is_backup = Has(kBackupName) && !Has(kIdentityName);
    const std::string_view name = survey_.is_backup ? kBackupName : kIdentityName;
    if (!Has(name)) {
      Found(Finding::Kind::kDamage, kIdentityName, 0,
            fmt::format("damage: {} has no file \"{}\"", folder_, kIdentityName));
      return Status();
    }
    const Result<std::string> bytes =
        ReadWholeFile(files_, folder_ + "/" + std::string(name), kSmallFileBytesMax);
    if (!bytes.ok()) return Judge(bytes.status(), name);
    const Result<Identity> identity =
        survey_.is_backup ? DecodeBackupMark(*bytes, name) : DecodeIdentity(*bytes, name);
    if (!identity.ok()) return Judge(identity.status(), name);
    survey_.identity = *identity;
    return Status();
  }

  Status LookAtStopped() {
    if (!Has(kStoppedName)) return Status();
    const Result<std::string> bytes =
        ReadWholeFile(files_, folder_ + "/" + std::string(kStoppedName), kSmallFileBytesMax);
    if (!bytes.ok()) return Judge(bytes.status(), kStoppedName);
    const Result<Stopped> stopped = DecodeStopped(*bytes, kStoppedName);
    if (!stopped.ok()) return Judge(stopped.status(), kStoppedName);
    stopped_ = *stopped;
    if (survey_.identity && stopped_->history != survey_.identity->history) {
      FoundDamage(kStoppedName, 0, "it is of another history");
    }
    return Status();
  }

  Status LookAtSegments() {
    std::vector<uint64_t> numbers;
    for (const std::string& name : survey_.names) {
      const std::optional<uint64_t> number = SegmentOfName(name);
      if (number && *number >= options_.first_segment) numbers.push_back(*number);
    }
    for (uint64_t number : numbers) {
      const Result<bool> whole = LookAtSegment(number);
      if (!whole.ok()) return whole.status();
      // What is behind damage is not part of the log; it only still may name a ceiling.
      if (!*whole) log_whole_ = false;
    }
    if (last_ == nullptr) {
      if (log_whole_) FoundDamage(SegmentName(1), 0, "there is no segment of the log");
      return Status();
    }
    Status status = LookAtEnd();
    if (status.ok() && log_whole_ && stopped_) CompareWithStop();
    return status;
  }

  // Whether the segment, and the end of the one before, are as they should be.
  Result<bool> LookAtSegment(uint64_t number) {
    Result<std::unique_ptr<SegmentReader>> opened = SegmentReader::Open(files_, folder_, number);
    if (!opened.ok()) {
      const size_t before = survey_.findings.size();
      Status status = Judge(opened.status(), SegmentName(number));
      if (!status.ok()) return status;
      if (!log_whole_) survey_.findings.resize(before);
      return false;
    }
    const SegmentHeader& header = (*opened)->header();
    survey_.ceiling = std::max(survey_.ceiling, header.ceiling);
    if (!log_whole_) return false;
    if (survey_.identity && header.history != survey_.identity->history) {
      FoundDamage((*opened)->name(), 0, "it is of another history");
      return false;
    }
    if (last_ != nullptr) {
      if (number != last_->header().segment + 1) {
        FoundDamage(SegmentName(last_->header().segment + 1), 0, "the segment is missing");
        return false;
      }
      const Result<bool> whole = EndSegment(header);
      if (!whole.ok() || !*whole) return whole;
    }
    last_ = std::move(*opened);
    survey_.segments.push_back({.segment = number,
                                .previous_revision = header.previous_revision,
                                .previous_time_ms = header.previous_time_ms,
                                .end = last_->end(),
                                .checksum = last_->checksum()});
    survey_.end = {.segment = number,
                   .offset = last_->end(),
                   .revision = header.previous_revision,
                   .time_ms = header.previous_time_ms,
                   .ceiling = header.ceiling,
                   .checksum = last_->checksum()};
    return true;
  }

  // The last segment so far ends where the header of the next one says. Reads it all if that was
  // asked for.
  Result<bool> EndSegment(const SegmentHeader& next) {
    LogSegment& segment = survey_.segments.back();
    if (last_->file_bytes() < next.previous_end) {
      FoundDamage(last_->name(), last_->file_bytes(), "the file is cut");
      return false;
    }
    if (options_.deep) {
      last_->SetLimit(next.previous_end);
      Status status = ReadToEnd();
      if (!status.ok()) return status;
      if (last_->end() != next.previous_end || last_->checksum() != next.previous_checksum) {
        FoundDamage(last_->name(), last_->end(), "a record is not whole");
        return false;
      }
    }
    segment.end = next.previous_end;
    segment.checksum = next.previous_checksum;
    return true;
  }

  // Reads the last segment's records as far as they are whole; they end the log.
  Status ReadToEnd() {
    for (;;) {
      const Result<bool> next = last_->Next();
      if (!next.ok()) return next.status();
      if (!*next) break;
    }
    survey_.durable_end = last_->durable_end();
    survey_.end.offset = last_->end();
    survey_.end.revision = last_->revision();
    survey_.end.time_ms = last_->time_ms();
    survey_.end.ceiling = last_->ceiling();
    survey_.end.checksum = last_->checksum();
    survey_.ceiling = std::max(survey_.ceiling, last_->ceiling());
    survey_.segments.back().end = last_->end();
    survey_.segments.back().checksum = last_->checksum();
    return Status();
  }

  Status LookAtEnd() {
    Status status = ReadToEnd();
    if (!status.ok() || !log_whole_) return status;
    const bool stopped_here = stopped_ && stopped_->segment == last_->header().segment;
    const uint64_t length = stopped_here ? stopped_->end : last_->header().bytes;
    if (last_->file_bytes() < length) {
      FoundDamage(last_->name(), last_->file_bytes(),
                  fmt::format("the file is cut: it had {} bytes at least", length));
      log_whole_ = false;
      return Status();
    }
    const Result<SegmentReader::Tail> tail = last_->JudgeTail();
    if (!tail.ok()) return tail.status();
    survey_.torn_bytes = tail->torn_bytes;
    if (tail->damaged || (stopped_ && tail->torn_bytes > 0)) {
      FoundDamage(last_->name(), last_->end(),
                  "a record is not whole that was on disk when later ones were written");
      log_whole_ = false;
    } else if (tail->torn_bytes > 0) {
      Found(Finding::Kind::kTorn, last_->name(), last_->end(),
            fmt::format("{}: {} bytes behind byte {} (revision {}) were not finished when the "
                        "server or the machine stopped; the next start cuts them",
                        last_->name(), tail->torn_bytes, last_->end(), survey_.end.revision));
    }
    return Status();
  }

  // A clean stop wrote down where the log ended. Starts that did not get far may have begun empty
  // segments behind it.
  void CompareWithStop() {
    const LogSegment* at_stop = nullptr;
    bool empty_behind = true;
    for (const LogSegment& segment : survey_.segments) {
      if (segment.segment == stopped_->segment) at_stop = &segment;
      if (segment.segment > stopped_->segment && segment.end != kSegmentHeaderBytes) {
        empty_behind = false;
      }
    }
    survey_.clean = at_stop != nullptr && empty_behind && at_stop->end == stopped_->end &&
                    at_stop->checksum == stopped_->checksum &&
                    survey_.end.revision == stopped_->revision;
    if (survey_.clean) return;
    FoundDamage(last_->name(), survey_.end.offset,
                fmt::format("the log ends elsewhere than at the clean stop, which was in {} at "
                            "byte {}, revision {}",
                            SegmentName(stopped_->segment), stopped_->end, stopped_->revision));
    log_whole_ = false;
  }

  Status LookAtSnapshots() {
    for (const std::string& name : survey_.names) {
      if (!SnapshotOfName(name)) continue;
      Result<std::unique_ptr<SnapshotReader>> reader = SnapshotReader::Open(files_, folder_, name);
      Status status = reader.ok() ? Status() : Judge(reader.status(), name);
      if (status.ok() && reader.ok()) {
        const SnapshotInfo& info = (*reader)->info();
        if (SnapshotName(info.begin) != name ||
            (survey_.identity && info.history != survey_.identity->history)) {
          FoundDamage(name, 0, "its header is that of another snapshot");
          continue;
        }
        survey_.snapshots.push_back(info);
        if (options_.deep) {
          status = Judge((*reader)->ReadAll([](std::string_view) { return Status(); }), name);
        }
      }
      if (!status.ok()) return status;
    }
    CompareWithSnapshots();
    return Status();
  }

  // The state is that of the newest snapshot and of the log from its begin on.
  void CompareWithSnapshots() {
    if (survey_.segments.empty()) return;
    const uint64_t oldest = survey_.segments.front().previous_revision;
    const std::string first = SegmentName(survey_.segments.front().segment);
    if (survey_.snapshots.empty()) {
      if (oldest > 0) {
        FoundDamage(
            first, 0,
            fmt::format("the log begins behind revision {} and there is no snapshot", oldest));
      }
      return;
    }
    const SnapshotInfo& newest = survey_.snapshots.back();
    if (newest.begin < oldest) {
      FoundDamage(first, 0,
                  fmt::format("the log begins behind revision {}, but the newest snapshot is of {}",
                              oldest, newest.begin));
    }
    if (log_whole_ && newest.end > survey_.end.revision) {
      FoundDamage(last_->name(), survey_.end.offset,
                  fmt::format("revision {} was on disk when {} was made", newest.end, newest.name));
    }
  }

  FileSystem& files_;
  const std::string& folder_;
  const SurveyOptions options_;
  FolderSurvey survey_;
  std::optional<Stopped> stopped_;
  std::unique_ptr<SegmentReader> last_;  // Of the last of survey_.segments.
  bool log_whole_ = true;                // No damage was met in the log so far.
};

}  // namespace

const Finding* FolderSurvey::Refusal() const {
  for (const Finding& finding : findings) {
    if (finding.kind != Finding::Kind::kTorn) return &finding;
  }
  return nullptr;
}

const SnapshotInfo* FolderSurvey::NewestSnapshot() const {
  return snapshots.empty() ? nullptr : &snapshots.back();
}

Result<FolderSurvey> SurveyFolder(FileSystem& files, const std::string& folder,
                                  const SurveyOptions& options) {
  return Surveyor(files, folder, options).Run();
}

}  // namespace entrepot
