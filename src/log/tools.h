// What an operator does with a data folder while no server uses it: verify, repair, dump.
//
// Thread safety: one call at a time for one folder; each takes the folder's lock while it runs, and
// gives kUnavailable while a server holds it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/status.h"
#include "log/folder_survey.h"

namespace entrepot {

// Takes the lock of a folder that looks like one of ours, and of no other: locking makes a file.
// Errors: kInvalidArgument for another folder, kUnavailable while a server holds the lock.
Result<std::unique_ptr<FileLock>> LockDataFolder(FileSystem& files, const std::string& folder);

// Checks every byte of every file. Errors are those of the files, and kInvalidArgument for a folder
// that is not Entrepôt's; what is wrong inside is among the survey's findings.
Result<FolderSurvey> VerifyFolder(FileSystem& files, const std::string& folder);

// Called with each record in order, the log's own too, and with where it is.
using DumpVisitor =
    std::function<Status(const std::string& segment_name, uint64_t offset, const Record& record)>;

// Hands on every whole record up to the log's end or the first damage, which is then the error.
Status DumpFolder(FileSystem& files, const std::string& folder, const DumpVisitor& visit);

struct RepairReport {
  std::vector<std::string> found;  // What was wrong, a line each.
  std::vector<std::string> done;   // What was done, or would be: a line each; none: nothing to do.
  std::string copy_folder;         // Where the files are as they were; empty without a copy.
};

// Makes a damaged folder one that can be started, keeping as much as is whole: copies all files to
// `copy_folder` (made here, must not exist), then leaves out what is damaged, and says what is
// lost. Revisions that may have been given are not given again. With `dry_run` it only says what it
// would do. Errors: those of the files; kInternal when too little is left, with nothing changed.
Result<RepairReport> RepairFolder(FileSystem& files, const std::string& folder,
                                  const std::string& copy_folder, bool dry_run);

}  // namespace entrepot
