#include "log/spare_segments.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/clock.h"
#include "log/format.h"

namespace entrepot {

SpareSegments::SpareSegments(FileSystem& files, std::string folder, uint64_t segment_bytes,
                             bool background)
    : files_(files),
      folder_(std::move(folder)),
      segment_bytes_(segment_bytes),
      background_(background) {
  if (background_) thread_ = std::thread([this] { Run(); });
}

SpareSegments::~SpareSegments() { StopThread(); }

void SpareSegments::StopThread() {
  {
    MutexLock lock(mu_);
    stopping_ = true;
  }
  changed_.NotifyAll();
  if (thread_.joinable()) thread_.join();
}

Result<SpareSegment> SpareSegments::Make(uint64_t bytes) {
  SpareSegment spare;
  spare.bytes = bytes;
  spare.path = fmt::format("{}/spare-{}{}", folder_,
                           next_name_.fetch_add(1, std::memory_order_relaxed), kTemporarySuffix);
  Result<std::unique_ptr<File>> file = files_.Open(spare.path, OpenMode::kCreate);
  if (!file.ok()) return file.status();
  spare.file = std::move(*file);
  Status status = spare.file->Preallocate(bytes);
  // The length is synced now: a segment that is found shorter later was cut from outside.
  if (status.ok()) status = spare.file->SyncAll();
  disk_full_.store(status.code() == Code::kReadOnly, std::memory_order_relaxed);
  if (status.ok()) return spare;
  spare.file.reset();
  const Status removed = files_.Unlink(spare.path);
  if (removed.ok()) return status;
  return Status(status.code(), status.message() + "; " + removed.message());
}

Result<SpareSegment> SpareSegments::Take(uint64_t bytes) {
  if (bytes <= segment_bytes_) {
    MutexLock lock(mu_);
    if (!spares_.empty()) {
      SpareSegment spare = std::move(spares_.back());
      spares_.pop_back();
      bytes_.fetch_sub(spare.bytes, std::memory_order_relaxed);
      return spare;
    }
  }
  return Make(std::max(bytes, segment_bytes_));
}

void SpareSegments::Return(SpareSegment spare) {
  MutexLock lock(mu_);
  bytes_.fetch_add(spare.bytes, std::memory_order_relaxed);
  spares_.push_back(std::move(spare));
}

void SpareSegments::KeepRoom(uint64_t bytes) {
  {
    MutexLock lock(mu_);
    wanted_bytes_ = bytes;
  }
  if (background_) {
    changed_.NotifyAll();
    return;
  }
  while (bytes_.load(std::memory_order_relaxed) < bytes) {
    Result<SpareSegment> spare = Make(segment_bytes_);
    if (!spare.ok()) return;  // bytes() tells; the next call tries again.
    Return(std::move(*spare));
  }
}

void SpareSegments::Run() {
  for (;;) {
    {
      MutexLock lock(mu_);
      while (!stopping_ && bytes_.load(std::memory_order_relaxed) >= wanted_bytes_) {
        changed_.Wait(mu_);
      }
      if (stopping_) return;
    }
    Result<SpareSegment> spare = Make(segment_bytes_);
    if (spare.ok()) {
      Return(std::move(*spare));
    } else {
      // Whatever the reason, Take() meets it again and reports it to who needs the room.
      const int64_t again_at = MonotonicMicros() + kRetryMs * 1000;
      MutexLock lock(mu_);
      for (int64_t left = kRetryMs * 1000; !stopping_ && left > 0;
           left = again_at - MonotonicMicros()) {
        changed_.WaitFor(mu_, std::chrono::microseconds(left));
      }
    }
  }
}

Status SpareSegments::DiscardAll() {
  StopThread();
  std::vector<SpareSegment> spares;
  {
    MutexLock lock(mu_);
    spares.swap(spares_);
    bytes_.store(0, std::memory_order_relaxed);
  }
  for (SpareSegment& spare : spares) {
    spare.file.reset();
    Status status = files_.Unlink(spare.path);
    if (!status.ok()) return status;
  }
  return Status();
}

}  // namespace entrepot
