// Files and folders, behind an interface: the only place of the project that makes POSIX file
// calls.
//
// Not for sockets, and not a general abstraction: it has what the log needs. It is virtual because
// the tests run the log over a twin that fails, tears and forgets (tests/support/faulty_file.h).
// Reads copy; there is no mapping of files into memory, since a failing disk would then end the
// process with a signal instead of a Status.
//
// Errors: as ErrnoStatus() gives them, so kReadOnly is a full disk and kUnavailable anything else;
// the message names call and path.
//
// Thread safety: a FileSystem may be used from any thread. Calls on one File may come from several
// threads, except that writes, Truncate() and Preallocate() come from one at a time.
//
// A new, renamed or unlinked name survives a power cut only after SyncFolder(); content only after
// SyncData() or SyncAll() of the file.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace entrepot {

// An open file, closed by its destructor.
class File {
 public:
  virtual ~File() = default;

  // Writes the parts, one after the other, from `offset` on; the file grows as needed. After an
  // error any part of them may have been written.
  virtual Status WriteAt(uint64_t offset, std::span<const std::string_view> parts) = 0;

  // Reads until `to` is full or the file ends; returns the number of bytes read.
  virtual Result<size_t> ReadAt(uint64_t offset, std::span<char> to) = 0;

  // Returns when content and size are on disk. After an error nobody knows what is: the kernel
  // forgets what it could not write, so a second call may succeed and mean nothing.
  virtual Status SyncData() = 0;
  // The same, with everything else about the file.
  virtual Status SyncAll() = 0;

  // Makes the file, now empty, `bytes` long, all zero, and reserves its room on the disk.
  virtual Status Preallocate(uint64_t bytes) = 0;
  virtual Status Truncate(uint64_t bytes) = 0;
  virtual Result<uint64_t> Size() = 0;

  Status WriteAt(uint64_t offset, std::string_view part) { return WriteAt(offset, {&part, 1}); }
};

// A lock that is held until this is destroyed, or the process ends.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

enum class OpenMode {
  kRead,       // An existing file.
  kReadWrite,  // An existing file.
  kCreate,     // A new file, to read and write; an error if there is one of this name.
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;

  virtual Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) = 0;
  // Replaces `to` if there is one.
  virtual Status Rename(const std::string& from, const std::string& to) = 0;
  virtual Status Unlink(const std::string& path) = 0;
  // Whether it was made: false when there is a folder of this name already.
  virtual Result<bool> CreateFolder(const std::string& path) = 0;
  virtual Status SyncFolder(const std::string& path) = 0;
  // The names in a folder, sorted, without "." and "..".
  virtual Result<std::vector<std::string>> List(const std::string& path) = 0;
  // Takes the lock that the file `path` stands for; makes the file if need be. kUnavailable at once
  // when another process, or another FileLock of this one, holds it.
  virtual Result<std::unique_ptr<FileLock>> Lock(const std::string& path) = 0;

  // The machine's files. Files are made for their owner only.
  static FileSystem& Posix();
};

// The whole file. kTooLarge when it is longer than `bytes_max`.
Result<std::string> ReadWholeFile(FileSystem& files, const std::string& path, uint64_t bytes_max);

// Makes `path`, which must not exist, with this content, and syncs it; not its folder.
Status WriteWholeFile(FileSystem& files, const std::string& path, std::string_view content);

// Copies a file to `to`, which must not exist, and syncs it; not its folder.
Status CopyFile(FileSystem& files, const std::string& from, const std::string& to);

// The folder that a path is in, "." for a plain name.
std::string FolderOf(const std::string& path);

}  // namespace entrepot
