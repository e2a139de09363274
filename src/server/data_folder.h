// The data of a server that keeps it: opens the folder, makes the store from it, and writes
// snapshots.
//
// Thread safety: one thread; Snapshots may be asked for from any.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "engine/engine.h"
#include "engine/snapshotter.h"
#include "log/file_log.h"
#include "log/recovery.h"
#include "server/logger.h"

namespace entrepot {

class DataFolder {
 public:
  // Opens the log in `folder`, which is made if there is none. Errors: those of OpenLog().
  // `keep` is how much is kept of the log that no start needs.
  static Result<std::unique_ptr<DataFolder>> Open(const std::string& folder, const LogKeep& keep,
                                                  Logger* logger);

  FileLog* log() { return opened_.log.get(); }
  // What an engine over this log begins with.
  void Describe(Engine::Options* options) const;

  // Makes the store from the snapshot and the log, by as many threads as there are cores. Then
  // snapshots are written when they are due, and `tasks_done` is called as Snapshotter says.
  // `engine` outlives the folder's StopSnapshots().
  // When `give_up` says so, it ends early with kUnavailable.
  Status Recover(Engine* engine, Snapshotter::TasksDone tasks_done,
                 const std::function<bool()>& give_up);
  // Entries put back so far, and how many there are to be, as far as that is known.
  uint64_t recovered() const { return recovered_.load(std::memory_order_relaxed); }
  uint64_t to_recover() const { return opened_.snapshot ? opened_.snapshot->items : 0; }

  // Null before Recover().
  Snapshotter* snapshotter() { return snapshotter_.get(); }

  // Writes no more snapshots. Before the engine ends.
  void StopSnapshots() { snapshotter_.reset(); }
  // Marks the log as cleanly stopped. After the engine has ended.
  Status Close() { return opened_.log->Stop(); }

 private:
  DataFolder(OpenedLog opened, const LogKeep& keep, Logger* logger)
      : opened_(std::move(opened)), keep_(keep), logger_(*logger) {}
  Status RestoreSnapshot(Engine* engine, const std::function<bool()>& give_up);

  OpenedLog opened_;
  const LogKeep keep_;
  Logger& logger_;
  std::atomic<uint64_t> recovered_{0};
  std::unique_ptr<Snapshotter> snapshotter_;
};

}  // namespace entrepot
