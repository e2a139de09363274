// A log in memory that a test holds: an Append() waits until the test lets it go, fails, or finds
// the disk full. And the wait by asking that goes with it.
//
// It checks what the committer promises every log: revisions without holes, times that do not fall.
//
// Thread safety: any thread.
#pragma once

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "base/clock.h"
#include "base/mutex.h"
#include "log/log.h"

namespace entrepot {

// Asks until `condition` holds; false after half a minute.
template <typename Condition>
bool Eventually(Condition condition) {
  const int64_t until_us = MonotonicMicros() + 30'000'000;
  while (!condition()) {
    if (MonotonicMicros() > until_us) return false;
    std::this_thread::yield();
  }
  return true;
}

class HeldLog final : public Log {
 public:
  struct Kept {
    uint64_t revision;
    int64_t time_ms;
    RecordType type;
    std::string payload;
  };

  // --- What a test does to it ----------------------------------------------------------------

  // From now on an Append() waits.
  void Hold() {
    MutexLock lock(mu_);
    held_ = true;
  }
  // All that wait go, and all that come.
  void LetGo() {
    MutexLock lock(mu_);
    held_ = false;
    changed_.NotifyAll();
  }
  // One Append() goes, the one that waits or the next.
  void LetOneGo() {
    MutexLock lock(mu_);
    ++passes_;
    changed_.NotifyAll();
  }
  // Whoever waits fails, and every later Append().
  void Fail() {
    MutexLock lock(mu_);
    failed_ = true;
    changed_.NotifyAll();
  }
  void SetFull(bool full) {
    MutexLock lock(mu_);
    full_ = full;
  }
  // From now on what is written is never told to be on disk.
  void ForgetSyncs() {
    MutexLock lock(mu_);
    syncs_are_told_ = false;
  }
  // Returns when an Append() of `revision` or more waits.
  [[nodiscard]] bool AwaitAppend(uint64_t revision) {
    return Eventually([&] {
      MutexLock lock(mu_);
      return waiting_ && waiting_revision_ >= revision;
    });
  }

  // --- What a test sees of it ----------------------------------------------------------------

  std::vector<Kept> kept() const {
    MutexLock lock(mu_);
    return kept_;
  }
  // Calls of Append() that were taken.
  size_t groups() const {
    MutexLock lock(mu_);
    return groups_;
  }
  size_t syncs() const {
    MutexLock lock(mu_);
    return syncs_;
  }

  size_t marks() const {
    MutexLock lock(mu_);
    return marks_;
  }

  // --- Log -----------------------------------------------------------------------------------

  Result<Watermark> Append(std::span<char> records, uint64_t last_revision, bool sync) override {
    MutexLock lock(mu_);
    waiting_ = true;
    waiting_revision_ = last_revision;
    while (held_ && passes_ == 0 && !failed_) changed_.Wait(mu_);
    waiting_ = false;
    if (failed_) return Status(Code::kUnavailable, "the disk is gone");
    if (held_) --passes_;
    if (full_) return Status(Code::kReadOnly, "no space left on the disk");
    ++groups_;
    syncs_ += sync;
    Keep({records.data(), records.size()});
    EXPECT_LE(kept_.empty() ? 0 : kept_.back().revision, last_revision);
    watermark_.written = std::max(watermark_.written, last_revision);
    if (sync && syncs_are_told_) watermark_.synced = watermark_.written;
    return watermark_;
  }
  Status Mark() override {
    MutexLock lock(mu_);
    ++marks_;
    return Status();
  }
  bool durable_at_once() const override { return false; }
  size_t record_bytes_max() const override { return size_t{1} << 32; }
  bool writable() const override { return true; }
  uint64_t oldest() const override { return 0; }
  Result<std::unique_ptr<LogReader>> Read(uint64_t) override {
    return Status(Code::kHistoryLost, "this log is not read");
  }
  Status Trim(uint64_t) override { return Status(); }

 private:
  void Keep(std::string_view bytes) REQUIRES(mu_) {
    while (!bytes.empty()) {
      const Record record = LoadRecord(bytes);
      const Kept before = kept_.empty() ? Kept{} : kept_.back();
      const uint64_t step = record.type == RecordType::kChange ? 1 : 0;
      EXPECT_EQ(record.revision, before.revision + step);
      EXPECT_GE(record.time_ms, before.time_ms);
      kept_.push_back({record.revision, record.time_ms, record.type, std::string(record.payload)});
      bytes.remove_prefix(RecordBytes(record.payload.size()));
    }
  }

  mutable Mutex mu_;
  CondVar changed_;
  bool held_ GUARDED_BY(mu_) = false;
  bool failed_ GUARDED_BY(mu_) = false;
  bool full_ GUARDED_BY(mu_) = false;
  bool syncs_are_told_ GUARDED_BY(mu_) = true;
  bool waiting_ GUARDED_BY(mu_) = false;
  uint64_t waiting_revision_ GUARDED_BY(mu_) = 0;
  size_t passes_ GUARDED_BY(mu_) = 0;
  size_t groups_ GUARDED_BY(mu_) = 0;
  size_t syncs_ GUARDED_BY(mu_) = 0;
  size_t marks_ GUARDED_BY(mu_) = 0;
  Watermark watermark_ GUARDED_BY(mu_);
  std::vector<Kept> kept_ GUARDED_BY(mu_);
};

}  // namespace entrepot
