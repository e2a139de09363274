// Files made ahead for the log's next segments: their room is reserved on the disk before it is
// needed, so that a full disk is met while there is still room for what has been accepted.
//
// A spare is an empty, preallocated, synced file under a temporary name; a start removes those that
// a crash left. Reusing old segments instead would save the file system work, but then old records
// would stand behind the end of new ones.
//
// Thread safety: may be used from any thread. It has a thread of its own when asked to, which makes
// spares while the log writes.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/file.h"
#include "base/mutex.h"
#include "base/status.h"

namespace entrepot {

// An empty file whose room is reserved.
struct SpareSegment {
  std::string path;
  std::unique_ptr<File> file;
  uint64_t bytes = 0;
};

class SpareSegments {
 public:
  // Spares have `segment_bytes` each. With `background`, a thread makes them; otherwise
  // KeepRoom() does, before it returns.
  SpareSegments(FileSystem& files, std::string folder, uint64_t segment_bytes, bool background);
  // Stops the thread; leaves the files to DiscardAll() or to the next start.
  ~SpareSegments();
  SpareSegments(const SpareSegments&) = delete;
  SpareSegments& operator=(const SpareSegments&) = delete;

  // A spare of at least `bytes`, made at once if there is none. kReadOnly when the disk is full.
  Result<SpareSegment> Take(uint64_t bytes);
  // Takes back what was not needed.
  void Return(SpareSegment spare);

  // From now on there shall be spares of at least `bytes` together, as far as the disk has room;
  // while it has not, it is tried again every kRetryMs and at each call.
  void KeepRoom(uint64_t bytes);
  // Of all spares together.
  uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }
  // Whether the last spare could not be made because the disk is full.
  bool disk_full() const { return disk_full_.load(std::memory_order_relaxed); }

  // Stops the thread and removes the files of all spares; nothing else may be called after it.
  Status DiscardAll();

 private:
  // A full disk is asked again after this long, so that `read_only` ends soon after there is room.
  static constexpr int64_t kRetryMs = 200;

  void Run();
  void StopThread();
  Result<SpareSegment> Make(uint64_t bytes);

  // Constant after construction.
  FileSystem& files_;
  const std::string folder_;
  const uint64_t segment_bytes_;
  const bool background_;

  std::atomic<uint64_t> bytes_{0};
  std::atomic<bool> disk_full_{false};
  std::atomic<uint64_t> next_name_{1};

  Mutex mu_;
  CondVar changed_;
  std::vector<SpareSegment> spares_ GUARDED_BY(mu_);
  uint64_t wanted_bytes_ GUARDED_BY(mu_) = 0;
  bool stopping_ GUARDED_BY(mu_) = false;

  std::thread thread_;
};

}  // namespace entrepot
