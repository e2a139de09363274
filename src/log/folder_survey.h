// Looks at a data folder without changing it: what is there, where the log ends, whether the last
// stop was clean, and what is wrong.
//
// Starts, `verify`, `repair` and `restore` all judge by it, so that they never disagree.
//
// Thread safety: functions over values. Nobody may write the folder meanwhile.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/status.h"
#include "log/file_log.h"
#include "log/format.h"
#include "log/snapshot.h"

namespace entrepot {

// Something that is not as a clean stop leaves it.
struct Finding {
  enum class Kind {
    kTorn,    // What a crash or a power cut leaves unfinished; a start deals with it.
    kDamage,  // Refuses the start.
    kFormat,  // The folder, or a file of it, is of a newer format, or not Entrepôt's: likewise.
  };
  Kind kind;
  std::string name;       // Of the file in the folder.
  uint64_t offset = 0;    // In the file, as far as that means something.
  uint64_t revision = 0;  // What is before is whole up to this one; 0 where that is not known.
  std::string message;    // Whole, for a person.
};

struct FolderSurvey {
  std::vector<std::string> names;  // Of all files.
  std::optional<Identity> identity;
  bool is_backup = false;  // And no data folder: a start is refused.
  // The log's segments, as far as they are whole: the first damage ends them.
  std::vector<LogSegment> segments;
  // Of the records in `segments`.
  LogEnd end;
  // The end's segment is known to have been on disk up to here; what is behind may be in memory
  // only.
  uint64_t durable_end = 0;
  // The highest that any readable header or record named, also behind damage.
  uint64_t ceiling = 0;
  bool clean = false;       // The last stop was: nothing is missing at the end.
  uint64_t torn_bytes = 0;  // Behind the end.
  // Those that can be opened, oldest first.
  std::vector<SnapshotInfo> snapshots;
  std::vector<Finding> findings;

  // The first finding that refuses a start.
  const Finding* Refusal() const;
  // The state is complete from this snapshot, nullptr: from the log alone. To be asked only when
  // there is no refusal.
  const SnapshotInfo* NewestSnapshot() const;
};

struct SurveyOptions {
  // Check every record of every segment and every block of every snapshot. Otherwise: the headers
  // of all files and all records of the last segment.
  bool deep = false;
  // Look away from segments below this number.
  uint64_t first_segment = 0;
};

// Errors are those of the files; whatever is wrong inside of them is a finding.
Result<FolderSurvey> SurveyFolder(FileSystem& files, const std::string& folder,
                                  const SurveyOptions& options);

}  // namespace entrepot
