// Opens a data folder: makes it, or finds where its log ends and makes the log ready to go on.
//
//    Result<OpenedLog> opened = OpenLog(FileSystem::Posix(), "/var/lib/entrepot", {});
//    if (!opened.ok()) …say why and end…
//    if (opened->snapshot) …read it (SnapshotReader)…
//    opened->log->Replay(opened->replay_from, …apply what is newer than what the store has…);
//    …give revisions from opened->last_revision + 1 on, and times not below opened->time_ms…
//
// Thread safety: one call at a time for one folder, which the lock file ensures.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/status.h"
#include "log/file_log.h"
#include "log/snapshot.h"

namespace entrepot {

struct OpenedLog {
  std::unique_ptr<FileLog> log;
  // The state is this snapshot's, changed by the records from replay_from on; without one, by all.
  std::optional<SnapshotInfo> snapshot;
  uint64_t replay_from = 0;
  // The next revision to give is the one behind this.
  uint64_t last_revision = 0;
  int64_t time_ms = 0;  // The newest time in the log; 0 in a new one.
  bool created = false;
  bool clean = false;  // The last stop was, or there was none.
  // Set when it was not clean: these revisions will never be given.
  std::optional<FileLog::Skipped> skipped;
  // What was cut because it was not finished, in words; empty when nothing was.
  std::string cut;
};

// Makes the folder if there is none (its parent has to be there). Errors: kUnavailable when another
// server has the folder, or a file call fails; kReadOnly when the disk is full; kInvalidArgument
// when the folder is not Entrepôt's or of a newer format; kInternal for damage, naming file, offset
// and revision. After an error nothing was lost, and the same call may be made again.
Result<OpenedLog> OpenLog(FileSystem& files, const std::string& folder,
                          const FileLogOptions& options);

// As OpenLog() of a folder that is not there or empty, with this history instead of a random one.
Result<OpenedLog> CreateLog(FileSystem& files, const std::string& folder,
                            const FileLogOptions& options, uint64_t history);

}  // namespace entrepot
