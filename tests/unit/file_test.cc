#include "base/file.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "support/faulty_file.h"

namespace entrepot {
namespace {

enum class Kind { kPosix, kFaulty };

// What the log relies on, of the machine's files and of their twin in memory.
class FileTest : public testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "entrepot-file-XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    parent_ = name;
    folder_ = name + "/data";
    ASSERT_TRUE(files().CreateFolder(folder_).ok());
  }
  void TearDown() override { std::filesystem::remove_all(parent_); }

  FileSystem& files() {
    if (GetParam() == Kind::kPosix) return FileSystem::Posix();
    return faulty_;
  }
  std::string Path(const std::string& name) const { return folder_ + "/" + name; }
  std::unique_ptr<File> Create(const std::string& name) {
    Result<std::unique_ptr<File>> file = files().Open(Path(name), OpenMode::kCreate);
    EXPECT_TRUE(file.ok()) << file.status().message();
    return std::move(*file);
  }
  std::string Read(const std::string& name) {
    const Result<std::string> content = ReadWholeFile(files(), Path(name), 1 << 20);
    EXPECT_TRUE(content.ok()) << content.status().message();
    return *content;
  }

  std::string parent_;
  std::string folder_;
  FaultyFileSystem faulty_;
};

TEST_P(FileTest, PartsAreWrittenOneAfterTheOther) {
  const std::unique_ptr<File> file = Create("a");
  const std::string_view parts[] = {"one ", "", "two ", "three"};
  ASSERT_TRUE(file->WriteAt(3, parts).ok());
  EXPECT_EQ(Read("a"), std::string("\0\0\0one two three", 16));
}

TEST_P(FileTest, ManyPartsAreWrittenWhole) {
  const std::unique_ptr<File> file = Create("a");
  const std::vector<std::string_view> parts(5000, "part");
  ASSERT_TRUE(file->WriteAt(0, parts).ok());
  EXPECT_EQ(Read("a").size(), 20'000u);
}

TEST_P(FileTest, ReadingEndsWithTheFile) {
  const std::unique_ptr<File> file = Create("a");
  ASSERT_TRUE(file->WriteAt(0, "hello").ok());
  std::string to(10, '-');
  Result<size_t> count = file->ReadAt(1, to);
  ASSERT_TRUE(count.ok());
  EXPECT_EQ(to.substr(0, *count), "ello");
  count = file->ReadAt(100, to);
  ASSERT_TRUE(count.ok());
  EXPECT_EQ(*count, 0u);
}

TEST_P(FileTest, PreallocatedRoomIsZeroAndCanBeCut) {
  const std::unique_ptr<File> file = Create("a");
  ASSERT_TRUE(file->Preallocate(1000).ok());
  EXPECT_EQ(Read("a"), std::string(1000, '\0'));
  ASSERT_TRUE(file->WriteAt(10, "x").ok());
  EXPECT_EQ(*file->Size(), 1000u);
  ASSERT_TRUE(file->Truncate(11).ok());
  ASSERT_TRUE(file->SyncData().ok());
  ASSERT_TRUE(file->SyncAll().ok());
  EXPECT_EQ(Read("a"), std::string(10, '\0') + "x");
}

TEST_P(FileTest, OpeningAsksForAFileThatIsThereAndCreatingForOneThatIsNot) {
  EXPECT_FALSE(files().Open(Path("a"), OpenMode::kRead).ok());
  EXPECT_FALSE(files().Open(Path("a"), OpenMode::kReadWrite).ok());
  Create("a");
  EXPECT_TRUE(files().Open(Path("a"), OpenMode::kRead).ok());
  EXPECT_TRUE(files().Open(Path("a"), OpenMode::kReadWrite).ok());
  const Status status = files().Open(Path("a"), OpenMode::kCreate).status();
  EXPECT_EQ(status.code(), Code::kUnavailable);
  EXPECT_NE(status.message().find(Path("a")), std::string::npos);
}

TEST_P(FileTest, NamesAreListedRenamedAndRemoved) {
  for (const char* name : {"b", "c", "a"}) Create(name);
  ASSERT_TRUE(files().Rename(Path("b"), Path("d")).ok());
  ASSERT_TRUE(files().Unlink(Path("c")).ok());
  ASSERT_TRUE(files().SyncFolder(folder_).ok());
  const Result<std::vector<std::string>> names = files().List(folder_);
  ASSERT_TRUE(names.ok());
  EXPECT_EQ(*names, (std::vector<std::string>{"a", "d"}));
  EXPECT_FALSE(files().Unlink(Path("c")).ok());
  EXPECT_FALSE(files().Rename(Path("c"), Path("e")).ok());
}

TEST_P(FileTest, RenamingReplaces) {
  ASSERT_TRUE(WriteWholeFile(files(), Path("a"), "new").ok());
  ASSERT_TRUE(WriteWholeFile(files(), Path("b"), "old").ok());
  ASSERT_TRUE(files().Rename(Path("a"), Path("b")).ok());
  EXPECT_EQ(Read("b"), "new");
}

TEST_P(FileTest, AFolderIsMadeOnce) {
  const Result<bool> again = files().CreateFolder(folder_);
  ASSERT_TRUE(again.ok());
  EXPECT_FALSE(*again);
  EXPECT_FALSE(files().List(parent_ + "/none").ok());
}

TEST_P(FileTest, ALockIsHeldByOneAtATime) {
  Result<std::unique_ptr<FileLock>> lock = files().Lock(Path("lock"));
  ASSERT_TRUE(lock.ok());
  EXPECT_EQ(files().Lock(Path("lock")).status().code(), Code::kUnavailable);
  lock->reset();
  EXPECT_TRUE(files().Lock(Path("lock")).ok());
}

TEST_P(FileTest, FilesAreCopiedAndReadUpToABound) {
  const std::string content(3'000'000, 'x');
  ASSERT_TRUE(WriteWholeFile(files(), Path("a"), content).ok());
  ASSERT_TRUE(CopyFile(files(), Path("a"), Path("b")).ok());
  EXPECT_EQ(*ReadWholeFile(files(), Path("b"), content.size()), content);
  EXPECT_EQ(ReadWholeFile(files(), Path("b"), content.size() - 1).status().code(), Code::kTooLarge);
}

INSTANTIATE_TEST_SUITE_P(Both, FileTest, testing::Values(Kind::kPosix, Kind::kFaulty),
                         [](const auto& test) {
                           return test.param == Kind::kPosix ? "Posix" : "Faulty";
                         });

TEST(FolderOfTest, IsWhatIsBeforeTheLastSlash) {
  EXPECT_EQ(FolderOf("/a/b"), "/a");
  EXPECT_EQ(FolderOf("/a"), "/");
  EXPECT_EQ(FolderOf("a"), ".");
}

// --- The twin does what it is for --------------------------------------------------------------

TEST(FaultyFileTest, AFullDiskIsReadOnly) {
  FaultyFileSystem files;
  files.SetContent("/d/a", "x");
  files.SetCapacity(100);
  Result<std::unique_ptr<File>> file = files.Open("/d/a", OpenMode::kReadWrite);
  ASSERT_TRUE(file.ok());
  EXPECT_EQ((*file)->WriteAt(0, std::string(101, 'y')).code(), Code::kReadOnly);
  EXPECT_TRUE((*file)->WriteAt(0, std::string(100, 'y')).ok());
}

TEST(FaultyFileTest, TheCallThatIsAskedForFails) {
  FaultyFileSystem files;
  files.SetContent("/d/a", "x");
  files.FailCall(2, EIO, /*for_ever=*/false);
  EXPECT_TRUE(files.List("/d").ok());
  EXPECT_FALSE(files.fault_fired());
  EXPECT_FALSE(files.List("/d").ok());
  EXPECT_TRUE(files.fault_fired());
  EXPECT_TRUE(files.List("/d").ok());
}

TEST(FaultyFileTest, APowerCutKeepsWhatWasSyncedAndTearsTheRest) {
  const std::string before(1024, 'b');
  const std::string after(1024, 'a');
  int torn = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    FaultyFileSystem files(seed);
    files.SetContent("/d/a", before);
    Result<std::unique_ptr<File>> file = files.Open("/d/a", OpenMode::kReadWrite);
    ASSERT_TRUE(file.ok());
    ASSERT_TRUE((*file)->WriteAt(0, after.substr(0, 512)).ok());
    ASSERT_TRUE((*file)->SyncData().ok());
    ASSERT_TRUE((*file)->WriteAt(512, after.substr(512)).ok());
    files.CutPower();
    const std::string content = files.Content("/d/a");
    EXPECT_EQ(content.substr(0, 512), after.substr(512));
    if (content != after && content.find('a', 512) != std::string::npos) ++torn;
  }
  EXPECT_GT(torn, 10);
}

TEST(FaultyFileTest, APowerCutMayLoseANameUntilTheFolderIsSynced) {
  int lost = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    FaultyFileSystem files(seed);
    files.SetContent("/d/a", "x");
    ASSERT_TRUE(files.Rename("/d/a", "/d/b").ok());
    ASSERT_TRUE(files.SyncFolder("/d").ok());
    ASSERT_TRUE(files.Rename("/d/b", "/d/c").ok());
    files.CutPower();
    ASSERT_EQ(files.Paths().size(), 1u);
    EXPECT_NE(files.Paths()[0], "/d/a");
    if (files.Paths()[0] == "/d/b") ++lost;
  }
  EXPECT_GT(lost, 2);
  EXPECT_LT(lost, 18);
}

TEST(FaultyFileTest, AfterAFailedSyncALaterOneWritesNothingOfIt) {
  int forgotten = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    FaultyFileSystem files(seed);
    files.SetContent("/d/a", std::string(1024, 'b'));
    Result<std::unique_ptr<File>> file = files.Open("/d/a", OpenMode::kReadWrite);
    ASSERT_TRUE(file.ok());
    ASSERT_TRUE((*file)->WriteAt(0, std::string(1024, 'a')).ok());
    files.FailSyncs(true);
    EXPECT_FALSE((*file)->SyncData().ok());
    files.FailSyncs(false);
    EXPECT_TRUE((*file)->SyncData().ok());
    files.CutPower();
    if (files.Content("/d/a").find('b') != std::string::npos) ++forgotten;
  }
  EXPECT_GT(forgotten, 15);
}

}  // namespace
}  // namespace entrepot
