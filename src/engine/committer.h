// The committer: gives every change its revision, and takes records to the log and to the feed.
//
//    writers ──Append()──▶ commit queue ──committer thread──▶ Log::Append() ──▶ watermark
//
// Writers append below their locks to one of two buffers; the committer swaps the buffers and
// writes the one it got, back to back, so that what gathers during one fsync goes into the next.
// Nobody waits here: who finds no room is told so, and a reply that has to wait is parked at the
// gate by whoever holds it. A lock-free ring would save some nanoseconds and give revisions out
// with holes.
//
// Over a log that is durable at once the watermark rises inside Append(), and nothing ever waits.
//
// Thread safety: all calls from any thread.
//
// Invariants:
//  1. Revisions rise by one, without holes, in the order in which records stand in the log.
//  2. Times in records do not fall.
//  3. No revision is told durable before the log has said so.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/byte_buffer.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/mutex.h"
#include "base/status.h"
#include "feed/ring.h"
#include "log/log.h"
#include "log/record.h"

namespace entrepot {

// Until when a reply waits; see docs/DESIGN.md, "The gate".
struct Gate {
  uint64_t open = 0;    // The gate of --sync has passed this revision.
  uint64_t synced = 0;  // This revision is on disk, whatever --sync says.
  // The same for what takes no revision: records by their number, see Committer::Appended.
  uint64_t open_record = 0;
  uint64_t synced_record = 0;

  void Add(const Gate& other) {
    open = std::max(open, other.open);
    synced = std::max(synced, other.synced);
    open_record = std::max(open_record, other.open_record);
    synced_record = std::max(synced_record, other.synced_record);
  }
};

// Time as the log knows it: the wall clock, but never before the newest time in the log.
class EngineClock {
 public:
  explicit EngineClock(const Clock& clock) : clock_(clock) {}
  int64_t NowMs() const;
  // From now on time is not before `time_ms`.
  void Raise(int64_t time_ms);

 private:
  const Clock& clock_;
  mutable std::atomic<int64_t> newest_ms_{0};
};

// When the log is synced, and so when the gate opens.
struct SyncPolicy {
  enum Kind : uint8_t {
    kAlways,    // Each group is synced; the gate opens at what is on disk.
    kInterval,  // Synced every `interval_ms`; the gate opens at what the operating system has.
    kNever,     // Synced at a clean stop, or when a client asks; the gate as with kInterval.
  } kind = kAlways;
  int64_t interval_ms = 0;
};

class Committer {
 public:
  // Called by the committer's thread after the watermark rose, room came free, or the log failed.
  using Progress = std::function<void()>;

  // `next_revision` is the first that will be given. `log` outlives the committer.
  Committer(Log* log, SyncPolicy policy, uint64_t next_revision, Progress progress);
  // Writes and syncs what is queued, then stops. Nothing may be appended afterwards. Errors:
  // kUnavailable when that was not possible, now or before.
  Status Stop();
  // Stops.
  ~Committer();
  Committer(const Committer&) = delete;
  Committer& operator=(const Committer&) = delete;

  // Takes room for `bytes` of records in the queue, before any lock is taken; Append() or Release()
  // gives it back. kOverloaded: there is none, try again after progress. kReadOnly: the disk is
  // full. kUnavailable: the log failed.
  Code Reserve(size_t bytes);
  void Release(size_t bytes);

  // A record to append: a buffer that holds kRecordHeaderBytes of room, then the payload. It is
  // left empty, with its memory where the record is small.
  struct Pending {
    RecordType type;
    ByteBuffer* record;
  };
  // The last revision given so far, and the number of records appended so far.
  struct Appended {
    uint64_t revision;
    uint64_t record;
  };
  // Appends `records` behind one another and gives each kChange the next revision. They are of the
  // time `now_ms`, or of that of the record before, if that is later. `reserved` is what Reserve()
  // took, at least the sum of their RecordBytes(); the rest is given back. Callers hold the stripes
  // and queues of what they change.
  Appended Append(std::span<const Pending> records, int64_t now_ms, size_t reserved);

  // Has the log synced up to what was appended by now, also where the policy would wait.
  void RequestSync();

  // The last revision given. Whoever holds all queue locks of an index has seen all of its changes.
  uint64_t last_revision() const { return last_revision_.load(std::memory_order_acquire); }
  // Every revision up to here is told to anyone; under --sync always the same as synced().
  uint64_t open() const { return open_.load(std::memory_order_acquire); }
  uint64_t synced() const { return synced_.load(std::memory_order_acquire); }
  // The same, counted in records.
  uint64_t last_record() const { return last_record_.load(std::memory_order_acquire); }
  uint64_t open_record() const { return open_record_.load(std::memory_order_acquire); }
  uint64_t synced_record() const { return synced_record_.load(std::memory_order_acquire); }
  bool Passed(const Gate& gate) const {
    return gate.open <= open() && gate.synced <= synced() && gate.open_record <= open_record() &&
           gate.synced_record <= synced_record();
  }

  // Whether Reserve() found no room since this was last asked.
  bool TakeStarved() { return starved_.exchange(false, std::memory_order_relaxed); }

  // After this nothing more is told durable: kUnavailable, with the words of the log.
  bool failed() const { return failed_.load(std::memory_order_acquire); }
  std::string failure() const;

  // Whether writes are refused because the disk is full.
  bool read_only() const {
    return read_only_.load(std::memory_order_relaxed) || (!log_->writable() && log_->disk_full());
  }

  // Changes that have passed the gate. Over a log that is durable at once they get there when
  // somebody follows, or when many have gathered.
  const Ring& ring() const { return ring_; }
  Log* log() const { return log_; }
  // From Follow() to as many Unfollow(), changes are put into the ring without delay, those that
  // are queued already too.
  void Follow();
  void Unfollow() { followers_.fetch_sub(1, std::memory_order_relaxed); }

  // Bytes in the queue.
  size_t queued_bytes() const { return reserved_.load(std::memory_order_relaxed); }

 private:
  // What is written in one go: buffers of whole records.
  struct Group {
    std::vector<ByteBuffer> buffers;
    size_t bytes = 0;
    uint64_t last_revision = 0;
    uint64_t last_record = 0;
  };

  void Run();
  // False when nothing was to do for as long as the log or the policy want to wait.
  bool WaitForWork() REQUIRES(wake_mu_);
  Group Take();
  // False when the log has failed for ever.
  bool Write(Group* group, bool sync);
  void Fail(const Status& status);

  // Constant after construction.
  Log* const log_;
  const SyncPolicy policy_;
  const Progress progress_;
  const bool durable_at_once_;

  // Synchronise themselves.
  std::atomic<size_t> reserved_{0};
  std::atomic<uint64_t> last_revision_;
  std::atomic<uint64_t> open_;
  std::atomic<uint64_t> synced_;
  std::atomic<uint64_t> last_record_{0};
  std::atomic<uint64_t> open_record_{0};
  std::atomic<uint64_t> synced_record_{0};
  std::atomic<bool> starved_{false};
  std::atomic<bool> read_only_{false};
  std::atomic<bool> failed_{false};
  std::atomic<uint64_t> followers_{0};
  Ring ring_;
  SpinMutex commit_mu_;
  mutable Mutex wake_mu_;
  CondVar wake_;

  std::vector<ByteBuffer> queue_ GUARDED_BY(commit_mu_);
  size_t queue_bytes_ GUARDED_BY(commit_mu_) = 0;
  int64_t last_time_ms_ GUARDED_BY(commit_mu_) = 0;
  bool work_ GUARDED_BY(wake_mu_) = false;
  bool sync_wanted_ GUARDED_BY(wake_mu_) = false;
  bool stopping_ GUARDED_BY(wake_mu_) = false;
  std::string failure_ GUARDED_BY(wake_mu_);

  // Owned by the committer's thread.
  ByteBuffer spare_;
  int64_t last_sync_ms_ = 0;
  bool marked_ = true;  // Nothing was appended since Log::Mark().

  std::thread thread_;
};

}  // namespace entrepot
