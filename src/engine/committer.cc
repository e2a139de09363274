#include "engine/committer.h"

#include <algorithm>

namespace entrepot {

namespace {

// Over a log that is durable at once nobody waits for the committer: it is woken when this much has
// gathered.
constexpr size_t kWakeBytes = size_t{1} << 20;
// A record of this size keeps its buffer instead of being copied below the lock.
constexpr size_t kOwnBufferBytes = size_t{16} << 10;
// How often a full disk is tried again.
constexpr int64_t kFullDiskRetryMs = 200;

}  // namespace

int64_t EngineClock::NowMs() const {
  const int64_t wall = clock_.WallMs();
  int64_t newest = newest_ms_.load(std::memory_order_relaxed);
  while (newest < wall && !newest_ms_.compare_exchange_weak(newest, wall)) {
  }
  return newest < wall ? wall : newest;
}

void EngineClock::Raise(int64_t time_ms) {
  int64_t newest = newest_ms_.load(std::memory_order_relaxed);
  while (newest < time_ms && !newest_ms_.compare_exchange_weak(newest, time_ms)) {
  }
}

Committer::Committer(Log* log, SyncPolicy policy, uint64_t next_revision, Progress progress)
    : log_(log),
      policy_(policy),
      progress_(std::move(progress)),
      durable_at_once_(log->durable_at_once()),
      last_revision_(next_revision - 1),
      open_(next_revision - 1),
      synced_(next_revision - 1),
      ring_(next_revision - 1),
      thread_([this] { Run(); }) {}

Committer::~Committer() { static_cast<void>(Stop().ok()); }

Status Committer::Stop() {
  {
    MutexLock lock(wake_mu_);
    stopping_ = true;
    wake_.NotifyOne();
  }
  if (thread_.joinable()) thread_.join();
  return failed() ? Status(Code::kUnavailable, failure()) : Status();
}

Code Committer::Reserve(size_t bytes) {
  if (failed_.load(std::memory_order_relaxed)) return Code::kUnavailable;
  if (read_only_.load(std::memory_order_relaxed)) return Code::kReadOnly;
  if (!log_->writable()) {
    if (log_->disk_full()) return Code::kReadOnly;
    // The log is making room.
    starved_.store(true, std::memory_order_relaxed);
    return Code::kOverloaded;
  }
  const size_t before = reserved_.fetch_add(bytes, std::memory_order_relaxed);
  // One record alone may be larger than the queue; it goes when little else waits.
  if (before + bytes <= kCommitQueueBytesMax || before <= kCommitQueueBytesMax / 8) {
    return Code::kOk;
  }
  Release(bytes);
  starved_.store(true, std::memory_order_relaxed);
  // Over a log that is durable at once, nobody has woken the committer for what is there.
  MutexLock lock(wake_mu_);
  work_ = true;
  wake_.NotifyOne();
  return Code::kOverloaded;
}

void Committer::Release(size_t bytes) { reserved_.fetch_sub(bytes, std::memory_order_relaxed); }

Committer::Appended Committer::Append(std::span<const Pending> records, int64_t now_ms,
                                      size_t reserved) {
  bool wake = false;
  uint64_t revision, record_number;
  size_t used = 0;
  {
    SpinLock lock(commit_mu_, LockRank::kCommit);
    revision = last_revision_.load(std::memory_order_relaxed);
    if (now_ms > last_time_ms_) last_time_ms_ = now_ms;
    for (const Pending& pending : records) {
      if (pending.type == RecordType::kChange) ++revision;
      ByteBuffer& record = *pending.record;
      const size_t payload_bytes = record.size() - kRecordHeaderBytes;
      const size_t padding = RecordBytes(payload_bytes) - record.size();
      std::memset(record.Room(padding), 0, padding);
      record.Advance(padding);
      StoreRecordHeader(record.data(), static_cast<uint32_t>(payload_bytes), revision, /*term=*/0,
                        last_time_ms_, pending.type);
      used += record.size();
      if (record.size() >= kOwnBufferBytes) {
        queue_.push_back(std::move(record));
        queue_.emplace_back();
      } else {
        if (queue_.empty()) queue_.emplace_back();
        queue_.back().Append(record.view());
      }
      record.Clear();
    }
    const size_t before = queue_bytes_;
    queue_bytes_ += used;
    last_revision_.store(revision, std::memory_order_release);
    record_number = last_record_.load(std::memory_order_relaxed) + records.size();
    last_record_.store(record_number, std::memory_order_release);
    if (durable_at_once_) {
      synced_record_.store(record_number, std::memory_order_release);
      open_record_.store(record_number, std::memory_order_release);
      synced_.store(revision, std::memory_order_release);
      open_.store(revision, std::memory_order_release);
      // Whoever begins to follow has the committer look once more, see Follow().
      wake = followers_.load(std::memory_order_relaxed) > 0
                 ? before == 0
                 : before < kWakeBytes && queue_bytes_ >= kWakeBytes;
    } else {
      wake = before == 0;
    }
  }
  DCHECK(used <= reserved);
  if (used < reserved) Release(reserved - used);
  if (wake) {
    MutexLock lock(wake_mu_);
    work_ = true;
    wake_.NotifyOne();
  }
  return {revision, record_number};
}

void Committer::Follow() {
  {
    // In order with Append(): a record either sees this, or is taken by the look that follows.
    SpinLock lock(commit_mu_, LockRank::kCommit);
    followers_.fetch_add(1, std::memory_order_relaxed);
  }
  MutexLock lock(wake_mu_);
  work_ = true;
  wake_.NotifyOne();
}

void Committer::RequestSync() {
  MutexLock lock(wake_mu_);
  sync_wanted_ = true;
  work_ = true;
  wake_.NotifyOne();
}

std::string Committer::failure() const {
  MutexLock lock(wake_mu_);
  return failure_;
}

Committer::Group Committer::Take() {
  Group group;
  SpinLock lock(commit_mu_, LockRank::kCommit);
  group.buffers.swap(queue_);
  group.bytes = std::exchange(queue_bytes_, 0);
  group.last_revision = last_revision_.load(std::memory_order_relaxed);
  group.last_record = last_record_.load(std::memory_order_relaxed);
  if (spare_.data() != nullptr) queue_.push_back(std::move(spare_));
  return group;
}

void Committer::Run() {
  for (bool stop = false; !stop;) {
    bool sync;
    bool idle = false;
    {
      MutexLock lock(wake_mu_);
      if (!work_ && !stopping_) idle = !WaitForWork();
      work_ = false;
      stop = stopping_;
      sync = policy_.kind == SyncPolicy::kAlways || stop || std::exchange(sync_wanted_, false);
    }
    const int64_t now_ms = MonotonicMicros() / 1000;
    if (policy_.kind == SyncPolicy::kInterval && now_ms - last_sync_ms_ >= policy_.interval_ms) {
      sync = true;
    }
    if (sync) last_sync_ms_ = now_ms;
    Group group = Take();
    if (idle && group.buffers.empty() && !marked_ && policy_.kind != SyncPolicy::kNever) {
      marked_ = true;
      if (Status status = log_->Mark(); status.code() == Code::kUnavailable) return Fail(status);
    }
    if (group.bytes > 0) marked_ = false;
    if (!Write(&group, sync)) return;
    Release(group.bytes);
    const bool worked = !group.buffers.empty() || sync;
    if (!group.buffers.empty()) {
      group.buffers.front().Clear();
      spare_ = std::move(group.buffers.front());
    }
    if (worked) progress_();
  }
}

bool Committer::WaitForWork() {
  int64_t timeout_ms = marked_ ? 0 : kMarkIdleMs;
  if (policy_.kind == SyncPolicy::kInterval) {
    timeout_ms = timeout_ms == 0 ? policy_.interval_ms : std::min(timeout_ms, policy_.interval_ms);
  }
  if (timeout_ms != 0) return wake_.WaitFor(wake_mu_, std::chrono::milliseconds(timeout_ms));
  while (!work_ && !stopping_) wake_.Wait(wake_mu_);
  return true;
}

bool Committer::Write(Group* group, bool sync) {
  Watermark reached{open(), synced()};
  std::vector<ByteBuffer>& buffers = group->buffers;
  std::erase_if(buffers, [](const ByteBuffer& buffer) { return buffer.empty(); });
  // An empty group is worth a call only where something written waits to be synced.
  if (buffers.empty() && (!sync || synced_record() >= group->last_record)) return true;
  for (size_t i = 0; i == 0 || i < buffers.size();) {
    std::span<char> records;
    if (!buffers.empty()) records = {buffers[i].data(), buffers[i].size()};
    const bool last = i + 1 >= buffers.size();
    Result<Watermark> appended = log_->Append(records, group->last_revision, sync && last);
    if (appended.ok()) {
      reached = *appended;
      read_only_.store(false, std::memory_order_relaxed);
      ++i;
    } else if (appended.status().code() == Code::kReadOnly) {
      // Nothing of this buffer was written. It is kept, those who wait for it wait, and new writes
      // are refused, until there is room on the disk again.
      read_only_.store(true, std::memory_order_relaxed);
      bool give_up;
      {
        MutexLock lock(wake_mu_);
        give_up = stopping_;
        if (!give_up) wake_.WaitFor(wake_mu_, std::chrono::milliseconds(kFullDiskRetryMs));
      }
      if (give_up) {
        Fail(appended.status());
        return false;
      }
    } else {
      Fail(appended.status());
      return false;
    }
  }
  if (!durable_at_once_) {
    // The whole group was written, and, where that was asked for, is on disk.
    if (sync) synced_record_.store(group->last_record, std::memory_order_release);
    if (sync || policy_.kind != SyncPolicy::kAlways) {
      open_record_.store(group->last_record, std::memory_order_release);
    }
    synced_.store(reached.synced, std::memory_order_release);
    open_.store(policy_.kind == SyncPolicy::kAlways ? reached.synced : reached.written,
                std::memory_order_release);
  }
  for (const ByteBuffer& buffer : buffers) ring_.Append(buffer.view());
  ring_.Publish(std::min(open(), group->last_revision));
  return true;
}

void Committer::Fail(const Status& status) {
  {
    MutexLock lock(wake_mu_);
    failure_ = status.message();
  }
  failed_.store(true, std::memory_order_release);
  progress_();
}

}  // namespace entrepot
