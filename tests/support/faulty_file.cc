#include "support/faulty_file.h"

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <utility>

namespace entrepot {

class FaultyFile final : public File {
 public:
  FaultyFile(FaultyFileSystem& files, std::string path,
             std::shared_ptr<FaultyFileSystem::Inode> inode)
      : files_(files), path_(std::move(path)), inode_(std::move(inode)) {}

  Status WriteAt(uint64_t offset, std::span<const std::string_view> parts) override {
    MutexLock lock(files_.mu_);
    std::string bytes;
    for (std::string_view part : parts) bytes.append(part);
    int error = files_.Call();
    const uint64_t had = inode_->content.size();
    if (error == 0 && offset + bytes.size() > had && !files_.HasRoom(offset + bytes.size() - had)) {
      error = ENOSPC;
    }
    if (error != 0) bytes.resize(files_.Random(bytes.size() + 1));
    if (offset + bytes.size() <= had || files_.HasRoom(offset + bytes.size() - had)) {
      files_.Write(*inode_, offset, bytes);
    }
    return error == 0 ? Status() : Failed("write", error);
  }

  Result<size_t> ReadAt(uint64_t offset, std::span<char> to) override {
    MutexLock lock(files_.mu_);
    if (const int error = files_.Call()) return Failed("read", error);
    const std::string& content = inode_->content;
    if (offset >= content.size()) return size_t{0};
    const size_t count = std::min<size_t>(to.size(), content.size() - offset);
    std::copy_n(content.data() + offset, count, to.data());
    return count;
  }

  Status SyncData() override {
    MutexLock lock(files_.mu_);
    const int error = files_.Sync(*inode_);
    return error == 0 ? Status() : Failed("sync", error);
  }
  Status SyncAll() override { return SyncData(); }

  Status Preallocate(uint64_t bytes) override {
    MutexLock lock(files_.mu_);
    int error = files_.Call();
    if (error == 0 && !files_.HasRoom(bytes)) error = ENOSPC;
    if (error != 0) return Failed("reserve room for", error);
    files_.Resize(*inode_, bytes);
    return Status();
  }

  Status Truncate(uint64_t bytes) override {
    MutexLock lock(files_.mu_);
    if (const int error = files_.Call()) return Failed("cut", error);
    files_.Resize(*inode_, bytes);
    return Status();
  }

  Result<uint64_t> Size() override {
    MutexLock lock(files_.mu_);
    if (const int error = files_.Call()) return Failed("look at", error);
    return uint64_t{inode_->content.size()};
  }

 private:
  Status Failed(const std::string& what, int error) const {
    return ErrnoStatus("cannot " + what + " " + path_, error);
  }

  FaultyFileSystem& files_;
  const std::string path_;
  const std::shared_ptr<FaultyFileSystem::Inode> inode_;
};

class FaultyLock final : public FileLock {
 public:
  FaultyLock(FaultyFileSystem& files, std::string path) : files_(files), path_(std::move(path)) {}
  ~FaultyLock() override {
    MutexLock lock(files_.mu_);
    files_.locked_.erase(path_);
  }

 private:
  FaultyFileSystem& files_;
  const std::string path_;
};

FaultyFileSystem::FaultyFileSystem(uint64_t seed) : random_(seed), names_history_(1) {}
FaultyFileSystem::~FaultyFileSystem() = default;

uint64_t FaultyFileSystem::Random(uint64_t below) { return random_() % below; }

int FaultyFileSystem::Call() {
  if (fail_in_ == 0 || --fail_in_ > 0) return 0;
  fault_fired_ = true;
  if (fail_for_ever_) fail_in_ = 1;
  return fail_error_;
}

int FaultyFileSystem::Sync(Inode& inode) {
  int error = Call();
  if (error == 0 && fail_syncs_) error = EIO;
  if (error != 0) fault_fired_ = true;
  if (inode.size_dirty && (error == 0 || Random(2) == 0)) {
    inode.durable.resize(inode.content.size(), '\0');
  }
  for (size_t sector : inode.dirty) {
    if (error != 0 && Random(2) == 0) continue;
    const size_t begin = sector * kSectorBytes;
    const size_t end = std::min({begin + kSectorBytes, inode.content.size(), inode.durable.size()});
    if (begin < end) std::copy(&inode.content[begin], &inode.content[end], &inode.durable[begin]);
  }
  // What a failed sync did not write is taken for written from now on.
  inode.dirty.clear();
  inode.size_dirty = false;
  return error;
}

void FaultyFileSystem::Write(Inode& inode, uint64_t offset, std::string_view bytes) {
  if (bytes.empty()) return;
  if (offset + bytes.size() > inode.content.size()) Resize(inode, offset + bytes.size());
  std::copy(bytes.begin(), bytes.end(), inode.content.begin() + static_cast<ptrdiff_t>(offset));
  for (size_t sector = offset / kSectorBytes; sector <= (offset + bytes.size() - 1) / kSectorBytes;
       ++sector) {
    inode.dirty.insert(sector);
  }
}

void FaultyFileSystem::Resize(Inode& inode, uint64_t bytes) {
  inode.content.resize(static_cast<size_t>(bytes), '\0');
  inode.size_dirty = true;
}

bool FaultyFileSystem::HasRoom(uint64_t bytes) const {
  uint64_t used = 0;
  for (const auto& [path, inode] : names_) used += inode->content.size();
  return used <= capacity_ && bytes <= capacity_ - used;
}

void FaultyFileSystem::NamesChanged() { names_history_.push_back(names_); }

Result<std::unique_ptr<File>> FaultyFileSystem::Open(const std::string& path, OpenMode mode) {
  MutexLock lock(mu_);
  int error = Call();
  const auto found = names_.find(path);
  if (error == 0 && mode == OpenMode::kCreate && found != names_.end()) error = EEXIST;
  if (error == 0 && mode != OpenMode::kCreate && found == names_.end()) error = ENOENT;
  if (error != 0) return ErrnoStatus("cannot open " + path, error);
  if (mode != OpenMode::kCreate) {
    return std::unique_ptr<File>(std::make_unique<FaultyFile>(*this, path, found->second));
  }
  auto inode = std::make_shared<Inode>();
  names_[path] = inode;
  NamesChanged();
  return std::unique_ptr<File>(std::make_unique<FaultyFile>(*this, path, inode));
}

Status FaultyFileSystem::Rename(const std::string& from, const std::string& to) {
  MutexLock lock(mu_);
  int error = Call();
  const auto found = names_.find(from);
  if (error == 0 && found == names_.end()) error = ENOENT;
  if (error != 0) return ErrnoStatus("cannot rename " + from, error);
  const std::shared_ptr<Inode> inode = found->second;
  names_.erase(found);
  names_[to] = inode;
  NamesChanged();
  return Status();
}

Status FaultyFileSystem::Unlink(const std::string& path) {
  MutexLock lock(mu_);
  int error = Call();
  if (error == 0 && names_.erase(path) == 0) error = ENOENT;
  if (error != 0) return ErrnoStatus("cannot remove " + path, error);
  NamesChanged();
  return Status();
}

Result<bool> FaultyFileSystem::CreateFolder(const std::string& path) {
  MutexLock lock(mu_);
  if (const int error = Call()) return ErrnoStatus("cannot make folder " + path, error);
  return folders_.insert(path).second;
}

Status FaultyFileSystem::SyncFolder(const std::string& path) {
  MutexLock lock(mu_);
  int error = Call();
  if (error == 0 && fail_syncs_) error = EIO;
  if (error != 0) {
    fault_fired_ = true;
    return ErrnoStatus("cannot sync folder " + path, error);
  }
  // Names of other folders stay as unsure as they were.
  const auto in_folder = [&path](const Names::value_type& name) {
    return FolderOf(name.first) == path;
  };
  for (Names& before : names_history_) {
    std::erase_if(before, in_folder);
    std::copy_if(names_.begin(), names_.end(), std::inserter(before, before.end()), in_folder);
  }
  names_history_.erase(std::unique(names_history_.begin(), names_history_.end()),
                       names_history_.end());
  return Status();
}

Result<std::vector<std::string>> FaultyFileSystem::List(const std::string& path) {
  MutexLock lock(mu_);
  int error = Call();
  if (error == 0 && path != "/" && !folders_.contains(path)) error = ENOENT;
  if (error != 0) return ErrnoStatus("cannot list folder " + path, error);
  std::vector<std::string> found;
  const auto add = [&](const std::string& name) {
    if (FolderOf(name) == path) found.push_back(name.substr(name.find_last_of('/') + 1));
  };
  for (const auto& [name, inode] : names_) add(name);
  for (const std::string& folder : folders_) add(folder);
  std::sort(found.begin(), found.end());
  return found;
}

Result<std::unique_ptr<FileLock>> FaultyFileSystem::Lock(const std::string& path) {
  MutexLock lock(mu_);
  if (const int error = Call()) return ErrnoStatus("cannot lock " + path, error);
  if (!locked_.insert(path).second) {
    return Status(Code::kUnavailable, path + " is locked: another server uses this folder");
  }
  if (!names_.contains(path)) {
    names_[path] = std::make_shared<Inode>();
    NamesChanged();
  }
  return std::unique_ptr<FileLock>(std::make_unique<FaultyLock>(*this, path));
}

void FaultyFileSystem::FailCall(uint64_t nth, int error, bool for_ever) {
  MutexLock lock(mu_);
  fail_in_ = nth;
  fail_error_ = error;
  fail_for_ever_ = for_ever;
  fault_fired_ = false;
}

void FaultyFileSystem::FailSyncs(bool fail) {
  MutexLock lock(mu_);
  fail_syncs_ = fail;
}

void FaultyFileSystem::StopFailing() {
  MutexLock lock(mu_);
  fail_in_ = 0;
  fail_syncs_ = false;
}

bool FaultyFileSystem::fault_fired() const {
  MutexLock lock(mu_);
  return fault_fired_;
}

void FaultyFileSystem::SetCapacity(uint64_t bytes) {
  MutexLock lock(mu_);
  capacity_ = bytes;
}

void FaultyFileSystem::CutPower() {
  MutexLock lock(mu_);
  names_ = names_history_[Random(names_history_.size())];
  names_history_ = {names_};
  std::set<Inode*> seen;
  for (const auto& [path, inode] : names_) {
    if (!seen.insert(inode.get()).second) continue;
    if (inode->size_dirty && Random(2) == 0) {
      inode->durable.resize(inode->content.size(), '\0');
    }
    for (size_t sector : inode->dirty) {
      if (Random(2) == 0) continue;
      const size_t begin = sector * kSectorBytes;
      const size_t end =
          std::min({begin + kSectorBytes, inode->content.size(), inode->durable.size()});
      if (begin < end) {
        std::copy(&inode->content[begin], &inode->content[end], &inode->durable[begin]);
      }
    }
    inode->content = inode->durable;
    inode->dirty.clear();
    inode->size_dirty = false;
  }
}

std::vector<std::string> FaultyFileSystem::Paths() const {
  MutexLock lock(mu_);
  std::vector<std::string> paths;
  for (const auto& [path, inode] : names_) paths.push_back(path);
  return paths;
}

std::string FaultyFileSystem::Content(const std::string& path) const {
  MutexLock lock(mu_);
  return names_.at(path)->content;
}

void FaultyFileSystem::SetContent(const std::string& path, std::string content) {
  MutexLock lock(mu_);
  auto inode = std::make_shared<Inode>();
  inode->durable = content;
  inode->content = std::move(content);
  names_[path] = inode;
  names_history_ = {names_};
  folders_.insert(FolderOf(path));
}

void FaultyFileSystem::CopyFrom(const FaultyFileSystem& other) {
  std::vector<Names> history;
  std::set<std::string> folders;
  {
    MutexLock lock(other.mu_);
    history = other.names_history_;
    history.push_back(other.names_);
    folders = other.folders_;
    std::map<const Inode*, std::shared_ptr<Inode>> copies;
    for (Names& names : history) {
      for (auto& [path, inode] : names) {
        std::shared_ptr<Inode>& copy = copies[inode.get()];
        if (copy == nullptr) copy = std::make_shared<Inode>(*inode);
        inode = copy;
      }
    }
  }
  MutexLock lock(mu_);
  names_ = std::move(history.back());
  history.pop_back();
  names_history_ = std::move(history);
  folders_ = std::move(folders);
  locked_.clear();
}

}  // namespace entrepot
