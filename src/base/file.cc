#include "base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

namespace entrepot {
namespace {

constexpr size_t kCopyBytes = size_t{1} << 20;  // A buffer for copying and for writing zeros.
constexpr mode_t kFileMode = 0600;
constexpr mode_t kFolderMode = 0700;

// A call that a signal interrupts is made again.
template <typename Call>
auto Retried(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

class PosixFile final : public File {
 public:
  PosixFile(std::string path, int descriptor) : path_(std::move(path)), descriptor_(descriptor) {}
  PosixFile(const PosixFile&) = delete;
  PosixFile& operator=(const PosixFile&) = delete;
  ~PosixFile() override { close(descriptor_); }  // What was not synced was not promised.

  Status WriteAt(uint64_t offset, std::span<const std::string_view> parts) override {
    std::vector<iovec> left;
    for (std::string_view part : parts) {
      if (!part.empty()) left.push_back({const_cast<char*>(part.data()), part.size()});
    }
    size_t first = 0;
    while (first < left.size()) {
      const int count = static_cast<int>(std::min<size_t>(left.size() - first, IOV_MAX));
      const ssize_t written = Retried(
          [&] { return pwritev(descriptor_, &left[first], count, static_cast<off_t>(offset)); });
      if (written < 0) return Failed("write");
      offset += static_cast<uint64_t>(written);
      size_t taken = static_cast<size_t>(written);
      while (first < left.size() && taken >= left[first].iov_len) taken -= left[first++].iov_len;
      if (first < left.size()) {
        left[first].iov_base = static_cast<char*>(left[first].iov_base) + taken;
        left[first].iov_len -= taken;
      }
    }
    return Status();
  }

  Result<size_t> ReadAt(uint64_t offset, std::span<char> to) override {
    size_t done = 0;
    while (done < to.size()) {
      const ssize_t count = Retried([&] {
        return pread(descriptor_, to.data() + done, to.size() - done,
                     static_cast<off_t>(offset + done));
      });
      if (count < 0) return Failed("read");
      if (count == 0) break;
      done += static_cast<size_t>(count);
    }
    return done;
  }

  Status SyncData() override {
    // Not called again when interrupted: an interrupted sync is as unknown as a failed one.
    return fdatasync(descriptor_) == 0 ? Status() : Failed("sync");
  }
  Status SyncAll() override { return fsync(descriptor_) == 0 ? Status() : Failed("sync"); }

  Status Preallocate(uint64_t bytes) override {
    if (Retried([&] { return fallocate(descriptor_, 0, 0, static_cast<off_t>(bytes)); }) == 0) {
      return Status();
    }
    if (errno != EOPNOTSUPP) return Failed("reserve room for");
    // A file system that cannot reserve: zeros that are written take their room as well.
    const std::string zeros(kCopyBytes, '\0');
    for (uint64_t at = 0; at < bytes; at += zeros.size()) {
      const std::string_view chunk = std::string_view(zeros).substr(
          0, static_cast<size_t>(std::min<uint64_t>(zeros.size(), bytes - at)));
      Status status = File::WriteAt(at, chunk);
      if (!status.ok()) return status;
    }
    return Status();
  }

  Status Truncate(uint64_t bytes) override {
    return Retried([&] { return ftruncate(descriptor_, static_cast<off_t>(bytes)); }) == 0
               ? Status()
               : Failed("cut");
  }

  Result<uint64_t> Size() override {
    struct stat about;
    if (fstat(descriptor_, &about) != 0) return Failed("look at");
    return static_cast<uint64_t>(about.st_size);
  }

 private:
  Status Failed(std::string_view what) const {
    return ErrnoStatus(fmt::format("cannot {} {}", what, path_), errno);
  }

  const std::string path_;
  const int descriptor_;
};

class PosixLock final : public FileLock {
 public:
  explicit PosixLock(int descriptor) : descriptor_(descriptor) {}
  PosixLock(const PosixLock&) = delete;
  PosixLock& operator=(const PosixLock&) = delete;
  ~PosixLock() override { close(descriptor_); }

 private:
  const int descriptor_;
};

class PosixFileSystem final : public FileSystem {
 public:
  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    const int flags = mode == OpenMode::kRead        ? O_RDONLY
                      : mode == OpenMode::kReadWrite ? O_RDWR
                                                     : O_RDWR | O_CREAT | O_EXCL;
    const int descriptor =
        Retried([&] { return open(path.c_str(), flags | O_CLOEXEC, kFileMode); });
    if (descriptor < 0) return Failed("open", path);
    return std::unique_ptr<File>(std::make_unique<PosixFile>(path, descriptor));
  }

  Status Rename(const std::string& from, const std::string& to) override {
    return rename(from.c_str(), to.c_str()) == 0 ? Status() : Failed("rename", from);
  }

  Status Unlink(const std::string& path) override {
    return unlink(path.c_str()) == 0 ? Status() : Failed("remove", path);
  }

  Result<bool> CreateFolder(const std::string& path) override {
    if (mkdir(path.c_str(), kFolderMode) == 0) return true;
    if (errno != EEXIST) return Failed("make folder", path);
    struct stat about;
    if (stat(path.c_str(), &about) != 0) return Failed("look at", path);
    if (!S_ISDIR(about.st_mode)) {
      errno = ENOTDIR;
      return Failed("use as a folder", path);
    }
    return false;
  }

  Status SyncFolder(const std::string& path) override {
    const int descriptor =
        Retried([&] { return open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
    if (descriptor < 0) return Failed("open folder", path);
    const Status status = fsync(descriptor) == 0 ? Status() : Failed("sync folder", path);
    close(descriptor);
    return status;
  }

  Result<std::vector<std::string>> List(const std::string& path) override {
    const std::unique_ptr<DIR, int (*)(DIR*)> folder(opendir(path.c_str()), closedir);
    if (folder == nullptr) return Failed("list folder", path);
    std::vector<std::string> names;
    for (;;) {
      errno = 0;
      const dirent* entry = readdir(folder.get());
      if (entry == nullptr) break;
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") names.emplace_back(name);
    }
    if (errno != 0) return Failed("list folder", path);
    std::sort(names.begin(), names.end());
    return names;
  }

  Result<std::unique_ptr<FileLock>> Lock(const std::string& path) override {
    const int descriptor =
        Retried([&] { return open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, kFileMode); });
    if (descriptor < 0) return Failed("open", path);
    auto lock = std::make_unique<PosixLock>(descriptor);
    if (Retried([&] { return flock(descriptor, LOCK_EX | LOCK_NB); }) != 0) {
      if (errno != EWOULDBLOCK) return Failed("lock", path);
      return Status(Code::kUnavailable,
                    fmt::format("{} is locked: another server uses this folder", path));
    }
    return std::unique_ptr<FileLock>(std::move(lock));
  }

 private:
  static Status Failed(std::string_view what, const std::string& path) {
    return ErrnoStatus(fmt::format("cannot {} {}", what, path), errno);
  }
};

}  // namespace

FileSystem& FileSystem::Posix() {
  static PosixFileSystem files;
  return files;
}

Result<std::string> ReadWholeFile(FileSystem& files, const std::string& path, uint64_t bytes_max) {
  Result<std::unique_ptr<File>> file = files.Open(path, OpenMode::kRead);
  if (!file.ok()) return file.status();
  const Result<uint64_t> size = (*file)->Size();
  if (!size.ok()) return size.status();
  if (*size > bytes_max) {
    return Status(Code::kTooLarge, fmt::format("{} has {} bytes, more than the {} that it may have",
                                               path, *size, bytes_max));
  }
  std::string content(static_cast<size_t>(*size), '\0');
  const Result<size_t> read = (*file)->ReadAt(0, content);
  if (!read.ok()) return read.status();
  content.resize(*read);
  return content;
}

Status WriteWholeFile(FileSystem& files, const std::string& path, std::string_view content) {
  Result<std::unique_ptr<File>> file = files.Open(path, OpenMode::kCreate);
  if (!file.ok()) return file.status();
  Status status = (*file)->WriteAt(0, content);
  if (status.ok()) status = (*file)->SyncAll();
  return status;
}

Status CopyFile(FileSystem& files, const std::string& from, const std::string& to) {
  Result<std::unique_ptr<File>> source = files.Open(from, OpenMode::kRead);
  if (!source.ok()) return source.status();
  Result<std::unique_ptr<File>> copy = files.Open(to, OpenMode::kCreate);
  if (!copy.ok()) return copy.status();
  std::string chunk(kCopyBytes, '\0');
  for (uint64_t at = 0;;) {
    const Result<size_t> read = (*source)->ReadAt(at, chunk);
    if (!read.ok()) return read.status();
    Status status = (*copy)->WriteAt(at, std::string_view(chunk).substr(0, *read));
    if (!status.ok()) return status;
    at += *read;
    if (*read < chunk.size()) return (*copy)->SyncAll();
  }
}

std::string FolderOf(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace entrepot
