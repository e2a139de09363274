// Writes snapshots of the store beside its log, without a pause: R is noted, stripes are walked in
// turn, E is noted, and when the log is on disk up to E the snapshot gets its name and what is
// older goes. log/snapshot.h says why that is enough. Of the log that the snapshot makes
// superfluous, a part is kept for watchers, until it is too long, too old, or the disk is full.
//
// Backups are made by the same thread, so nothing that they copy is removed meanwhile.
//
// Thread safety: any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "base/file.h"
#include "base/mutex.h"
#include "engine/engine.h"
#include "log/file_log.h"
#include "log/snapshot.h"

namespace entrepot {

// Tasks that wait at a time. Whoever saves shares a snapshot, so more would be a mistake.
inline constexpr size_t kSnapshotTasksMax = 16;

// A snapshot or a backup that somebody waits for.
class SnapshotTask {
 public:
  explicit SnapshotTask(std::string destination) : destination_(std::move(destination)) {}

  // Where the backup is to be; empty: only a snapshot is wanted.
  const std::string& destination() const { return destination_; }

  void Finish(Result<uint64_t> outcome) {
    outcome_ = std::move(outcome);
    done_.store(true, std::memory_order_release);
  }
  bool done() const { return done_.load(std::memory_order_acquire); }
  // Once it is done: every change up to this revision is in the snapshot or backup; or why there is
  // none.
  const Result<uint64_t>& outcome() const { return outcome_; }

 private:
  const std::string destination_;
  Result<uint64_t> outcome_{uint64_t{0}};
  std::atomic<bool> done_{false};
};

class Snapshotter {
 public:
  // Told of each snapshot, or of why there is none.
  using Report = std::function<void(const Result<SnapshotInfo>&)>;
  // Called when tasks are done, by the snapshotter's thread.
  using TasksDone = std::function<void()>;

  // All outlive the snapshotter. `begin` is that of the newest snapshot in the log's folder, 0 if
  // there is none.
  Snapshotter(Engine* engine, FileLog* log, FileSystem* files, uint64_t begin, const LogKeep& keep,
              Report report, TasksDone tasks_done);
  // Stops.
  ~Snapshotter();
  Snapshotter(const Snapshotter&) = delete;
  Snapshotter& operator=(const Snapshotter&) = delete;

  // Has one written as soon as may be, however short the log is.
  void Request();

  // The same, for somebody who waits: a snapshot that is begun from now on, and with `destination`
  // (an absolute path) a backup that it is the base of. Errors: kInvalidArgument for a destination
  // that is not free; kOverloaded for one task more than kSnapshotTasksMax; kUnavailable after
  // Stop(); those of the files.
  Result<std::shared_ptr<const SnapshotTask>> Ask(std::string destination);

  // Gives up what is being written, and tells those who wait. Nothing is written afterwards. By one
  // thread.
  void Stop();

  uint64_t written() const { return written_.load(std::memory_order_relaxed); }

 private:
  using Tasks = std::deque<std::shared_ptr<SnapshotTask>>;

  void Run();
  Result<SnapshotInfo> Write();
  Result<SnapshotInfo> WriteTo(SnapshotWriter* writer);
  // Bytes of the log that a start has to read.
  uint64_t LogBytesNeeded() const;
  // Removes what is not needed of the log and not to be kept.
  Status TrimLog();
  // Returns when the log is on disk up to here.
  Status WaitForDisk(uint64_t revision, uint64_t record);
  void FinishTasks(const Tasks& tasks, const Result<SnapshotInfo>& snapshot);
  Result<uint64_t> WriteBackupFrom(const SnapshotInfo& snapshot, const std::string& destination);
  bool stopping() const { return stopping_.load(std::memory_order_relaxed); }

  Engine* const engine_;
  FileLog* const log_;
  FileSystem* const files_;
  const LogKeep keep_;
  const Report report_;
  const TasksDone tasks_done_;

  std::atomic<bool> stopping_{false};
  std::atomic<uint64_t> written_{0};
  Mutex mu_;
  CondVar wake_;
  bool requested_ GUARDED_BY(mu_) = false;
  Tasks tasks_ GUARDED_BY(mu_);         // Those for the next snapshot.
  size_t waiting_ GUARDED_BY(mu_) = 0;  // And those whose snapshot is being written.

  // Owned by thread_.
  uint64_t begin_;                 // Of the newest snapshot; 0: there is none.
  uint64_t log_bytes_before_ = 0;  // That a start had to read when that snapshot was done.
  uint64_t snapshot_bytes_ = 0;    // Of that snapshot.

  std::thread thread_;
};

}  // namespace entrepot
