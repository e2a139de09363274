// A file system in memory that fails, tears and forgets: the twin of FileSystem::Posix() for tests.
//
// It keeps for each file what programs see and what would survive a power cut, so a test can fail
// any call, cut the power at any moment, fill the disk and flip bits. It has no folders but the
// paths in names; SyncFolder() syncs the names of one folder.
//
// Thread safety: may be used from any thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/mutex.h"

namespace entrepot {

class FaultyFileSystem final : public FileSystem {
 public:
  // What is lost, torn or kept at a power cut is drawn from `seed`.
  explicit FaultyFileSystem(uint64_t seed = 1);
  ~FaultyFileSystem() override;

  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override;
  Status Rename(const std::string& from, const std::string& to) override;
  Status Unlink(const std::string& path) override;
  Result<bool> CreateFolder(const std::string& path) override;
  Status SyncFolder(const std::string& path) override;
  Result<std::vector<std::string>> List(const std::string& path) override;
  Result<std::unique_ptr<FileLock>> Lock(const std::string& path) override;

  // The `nth` call from now on (1 is the next one) fails with `error`, an errno; with `for_ever`
  // all calls after it too. A write that fails has written a part; a sync that fails has synced a
  // part, and the rest is never synced by a later one, as on Linux.
  void FailCall(uint64_t nth, int error, bool for_ever);
  // Every sync from now on fails so, or no longer.
  void FailSyncs(bool fail);
  // No call fails from now on.
  void StopFailing();
  // Whether a call has failed because of FailCall() or FailSyncs().
  bool fault_fired() const;

  // Files may have so many bytes together; what is more fails with ENOSPC.
  void SetCapacity(uint64_t bytes);

  // The machine stops and starts again: of what was not synced, each sector, each file's length and
  // each name is lost or not. Files and locks that were open are to be closed before.
  void CutPower();

  // --- What a test sees and does to the files -------------------------------------------------
  std::vector<std::string> Paths() const;
  std::string Content(const std::string& path) const;
  // Replaces or makes a file; on disk at once.
  void SetContent(const std::string& path, std::string content);
  // Makes the files and folders what they are in `other`, synced as far as they are there.
  void CopyFrom(const FaultyFileSystem& other);

 private:
  friend class FaultyFile;
  friend class FaultyLock;

  // Bytes that are written whole or not at all. Smaller than a real disk's, so that small tests
  // tear within a record.
  static constexpr size_t kSectorBytes = 64;

  struct Inode {
    std::string content;     // What programs see.
    std::string durable;     // What is on disk.
    std::set<size_t> dirty;  // Sectors that a sync would write.
    bool size_dirty = false;
  };
  using Names = std::map<std::string, std::shared_ptr<Inode>>;

  // Counts a call; 0, or the errno that it is to fail with.
  int Call() REQUIRES(mu_);
  int Sync(Inode& inode) REQUIRES(mu_);
  void Write(Inode& inode, uint64_t offset, std::string_view bytes) REQUIRES(mu_);
  void Resize(Inode& inode, uint64_t bytes) REQUIRES(mu_);
  // Whether the files may grow by `bytes`.
  bool HasRoom(uint64_t bytes) const REQUIRES(mu_);
  void NamesChanged() REQUIRES(mu_);
  uint64_t Random(uint64_t below) REQUIRES(mu_);

  mutable Mutex mu_{LockRank::kLeaf, 1};
  std::mt19937_64 random_ GUARDED_BY(mu_);
  Names names_ GUARDED_BY(mu_);
  std::set<std::string> folders_ GUARDED_BY(mu_);
  std::set<std::string> locked_ GUARDED_BY(mu_);
  // The names as they were after each change since the last sync, the synced ones first.
  std::vector<Names> names_history_ GUARDED_BY(mu_);
  uint64_t capacity_ GUARDED_BY(mu_) = UINT64_MAX;
  uint64_t fail_in_ GUARDED_BY(mu_) = 0;  // Calls until one fails; 0: none does.
  int fail_error_ GUARDED_BY(mu_) = 0;
  bool fail_for_ever_ GUARDED_BY(mu_) = false;
  bool fail_syncs_ GUARDED_BY(mu_) = false;
  bool fault_fired_ GUARDED_BY(mu_) = false;
};

}  // namespace entrepot
