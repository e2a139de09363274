#include "log/tools.h"

#include <algorithm>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "log/segment_reader.h"

namespace entrepot {
Result<std::unique_ptr<FileLock>> LockDataFolder(FileSystem& files, const std::string& folder) {
  const Result<std::vector<std::string>> names = files.List(folder);
  if (!names.ok()) return names.status();
  const bool ours = std::any_of(names->begin(), names->end(), [](const std::string& name) {
    return name == kIdentityName || SegmentOfName(name) || SnapshotOfName(name);
  });
  if (!ours) {
    return Status(Code::kInvalidArgument,
                  fmt::format("{} is not a data folder of Entrepôt's", folder));
  }
  return files.Lock(folder + "/" + std::string(kLockName));
}

Result<FolderSurvey> VerifyFolder(FileSystem& files, const std::string& folder) {
  const Result<std::unique_ptr<FileLock>> lock = LockDataFolder(files, folder);
  if (!lock.ok()) return lock.status();
  return SurveyFolder(files, folder, {.deep = true});
}

Status DumpFolder(FileSystem& files, const std::string& folder, const DumpVisitor& visit) {
  const Result<std::unique_ptr<FileLock>> lock = LockDataFolder(files, folder);
  if (!lock.ok()) return lock.status();
  const Result<FolderSurvey> survey = SurveyFolder(files, folder, SurveyOptions());
  if (!survey.ok()) return survey.status();
  for (const LogSegment& segment : survey->segments) {
    Result<std::unique_ptr<SegmentReader>> opened =
        SegmentReader::Open(files, folder, segment.segment);
    if (!opened.ok()) return opened.status();
    SegmentReader& reader = **opened;
    reader.SetLimit(segment.end);
    for (;;) {
      const Result<bool> next = reader.Next();
      if (!next.ok()) return next.status();
      if (!*next) break;
      Status status = visit(reader.name(), reader.record_offset(), reader.record());
      if (!status.ok()) return status;
    }
    if (reader.end() != segment.end) {
      return DamageStatus(reader.name(), reader.end(), "a record is not whole");
    }
  }
  const Finding* refusal = survey->Refusal();
  return refusal == nullptr ? Status() : Status(Code::kInternal, refusal->message);
}

}  // namespace entrepot
