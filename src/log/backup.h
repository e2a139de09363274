// Backups: what makes a store at one revision, copied from a data folder into a folder of its own,
// and data folders made from it.
//
// A backup is no data folder, and a start refuses it: the original gives the revisions behind it to
// changes that the backup does not have, so the same history must not go on from both. Restoring
// begins a new history, in which everything keeps its version. Files are copied and not linked: a
// backup that shares its blocks with the original is lost with them.
//
// Thread safety: functions over files; one call at a time for one folder.
//
//    backup := mark [snapshot] segment+ stopped           -- all but the mark as in a data folder
//
// See docs/FORMAT.md for the bytes of the mark.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/status.h"
#include "log/file_log.h"
#include "log/format.h"
#include "log/snapshot.h"

namespace entrepot {

// Whether a backup or a data folder can be made at `path`: nothing is there, or an empty folder.
// Errors: kInvalidArgument, and those of the files.
Status CheckIsFree(FileSystem& files, const std::string& path);

// What a backup is copied from. All of it stays as it is while that is done.
struct BackupSource {
  Identity identity;
  std::optional<SnapshotInfo> snapshot;
  // Those from the snapshot's begin on, or all; whole up to their ends, on disk up to there.
  std::vector<LogSegment> segments;
};

// Copies `source`, which is in `folder`, to `destination`, which CheckIsFree(), syncs it, reads it
// back, and gives the revision up to which it has every change. It ends early, with kUnavailable,
// when `give_up` says so. Errors: those of CheckIsFree() and of the files; after one what was
// copied is removed again.
Result<uint64_t> WriteBackup(FileSystem& files, const std::string& folder,
                             const BackupSource& source, const std::string& destination,
                             const std::function<bool()>& give_up);

// The same for a folder that no server uses. Errors: also those of LockDataFolder() (tools.h), and
// kInternal for damage, with nothing copied.
Result<uint64_t> BackupFolder(FileSystem& files, const std::string& folder,
                              const std::string& destination);

struct Restored {
  uint64_t history = 0;   // The new one.
  uint64_t revision = 0;  // The last one of the backup; the next change gets the one behind it.
};

// Makes at `folder`, which CheckIsFree(), a data folder that has all of `backup`: a backup, or a
// data folder that no server uses. Its log has segments of `segment_bytes`. Errors: as
// BackupFolder().
Result<Restored> RestoreBackup(FileSystem& files, const std::string& backup,
                               const std::string& folder,
                               uint64_t segment_bytes = kSegmentBytesDefault);

}  // namespace entrepot
