// Writes snapshots of the store beside its log, without a pause: R is noted, stripes are walked in
// turn, E is noted, and when the log is on disk up to E the snapshot gets its name and what is
// older goes. log/snapshot.h says why that is enough.
//
// Thread safety: any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>

#include "base/file.h"
#include "base/mutex.h"
#include "engine/engine.h"
#include "log/file_log.h"
#include "log/snapshot.h"

namespace entrepot {

class Snapshotter {
 public:
  // Told of each snapshot, or of why there is none.
  using Report = std::function<void(const Result<SnapshotInfo>&)>;

  // All outlive the snapshotter.
  Snapshotter(Engine* engine, FileLog* log, FileSystem* files, Report report);
  // Gives up a snapshot that is being written.
  ~Snapshotter();
  Snapshotter(const Snapshotter&) = delete;
  Snapshotter& operator=(const Snapshotter&) = delete;

  // Has one written as soon as may be, however short the log is.
  void Request();

  uint64_t written() const { return written_.load(std::memory_order_relaxed); }

 private:
  void Run();
  Result<SnapshotInfo> Write();
  Result<SnapshotInfo> WriteTo(SnapshotWriter* writer);
  bool stopping() const { return stopping_.load(std::memory_order_relaxed); }

  Engine* const engine_;
  FileLog* const log_;
  FileSystem* const files_;
  const Report report_;

  std::atomic<bool> stopping_{false};
  std::atomic<uint64_t> written_{0};
  Mutex mu_;
  CondVar wake_;
  bool requested_ GUARDED_BY(mu_) = false;

  // Owned by thread_.
  uint64_t log_bytes_before_ = 0;  // Left in the log when the last snapshot was done.
  uint64_t snapshot_bytes_ = 0;    // Of that snapshot.

  std::thread thread_;
};

}  // namespace entrepot
