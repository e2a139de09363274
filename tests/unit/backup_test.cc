#include "log/backup.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "log/tools.h"
#include "unit/file_log_folder.h"

namespace entrepot {
namespace {

const std::string kBackup = "/backup";
const std::string kRestored = "/restored";

// A folder with a snapshot in the middle, changes before and behind it, in several segments.
void Fill(LogFolder& folder) {
  ExpectOk(folder.Open());
  for (int group = 0; group < 20; ++group) ExpectOk(folder.Append(3, true));
  ExpectOk(folder.Stop());
  ExpectOk(folder.Open());
  ExpectOk(folder.WriteSnapshot());
  for (int group = 0; group < 20; ++group) ExpectOk(folder.Append(3, true));
  ExpectOk(folder.Stop());
}

// With segments as small as the folder's.
Result<Restored> Restore(LogFolder& folder, const std::string& backup, const std::string& path) {
  return RestoreBackup(folder.files, backup, path, folder.options.segment_bytes);
}

// What a start over `path` recovers of what `folder` was told.
LogFolder::Changes Recovered(const LogFolder& folder, const std::string& path) {
  LogFolder started;
  started.files.CopyFrom(folder.files);
  // LogFolder starts kFolder only.
  const Result<std::vector<std::string>> old = started.files.List(kFolder);
  EXPECT_TRUE(old.ok());
  for (const std::string& name : *old) ExpectOk(started.files.Unlink(kFolder + "/" + name));
  const Result<std::vector<std::string>> names = started.files.List(path);
  EXPECT_TRUE(names.ok());
  for (const std::string& name : *names) {
    ExpectOk(started.files.Rename(path + "/" + name, kFolder + "/" + name));
  }
  ExpectOk(started.Open());
  return started.recovered;
}

std::vector<std::string> NamesIn(LogFolder& folder, const std::string& path) {
  const Result<std::vector<std::string>> names = folder.files.List(path);
  return names.ok() ? *names : std::vector<std::string>();
}

TEST(BackupTest, IsRestoredInFullWithANewHistory) {
  LogFolder folder;
  Fill(folder);
  const Result<uint64_t> revision = BackupFolder(folder.files, kFolder, kBackup);
  ASSERT_TRUE(revision.ok()) << revision.status().message();
  EXPECT_EQ(*revision, folder.last);
  const Result<Restored> restored = Restore(folder, kBackup, kRestored);
  ASSERT_TRUE(restored.ok()) << restored.status().message();
  EXPECT_EQ(restored->revision, folder.last);

  const Result<FolderSurvey> survey = VerifyFolder(folder.files, kRestored);
  ASSERT_TRUE(survey.ok());
  EXPECT_TRUE(survey->findings.empty());
  EXPECT_TRUE(survey->clean);
  EXPECT_EQ(survey->identity->history, restored->history);
  ExpectOk(folder.Open());
  EXPECT_NE(folder.opened.log->identity().history, restored->history);
  EXPECT_EQ(Recovered(folder, kRestored), folder.asked);
}

TEST(BackupTest, LeavesOutTheLogThatTheSnapshotMakesSuperfluous) {
  LogFolder folder;
  Fill(folder);
  ASSERT_TRUE(BackupFolder(folder.files, kFolder, kBackup).ok());
  EXPECT_LT(NamesIn(folder, kBackup).size(), NamesIn(folder, kFolder).size() - 2);
}

TEST(BackupTest, OfAFolderWithoutASnapshot) {
  LogFolder folder;
  ExpectOk(folder.Open());
  ExpectOk(folder.Append(5, true));
  ExpectOk(folder.Stop());
  ASSERT_TRUE(BackupFolder(folder.files, kFolder, kBackup).ok());
  ASSERT_TRUE(Restore(folder, kBackup, kRestored).ok());
  EXPECT_EQ(Recovered(folder, kRestored), folder.asked);
}

TEST(BackupTest, OfAFolderThatWasNotStoppedHasWhatIsWhole) {
  LogFolder folder;
  ExpectOk(folder.Open());
  ExpectOk(folder.Append(5, true));
  folder.Kill();
  const Result<uint64_t> revision = BackupFolder(folder.files, kFolder, kBackup);
  ASSERT_TRUE(revision.ok()) << revision.status().message();
  EXPECT_EQ(*revision, 5u);
  ASSERT_TRUE(Restore(folder, kBackup, kRestored).ok());
  EXPECT_EQ(Recovered(folder, kRestored), folder.asked);
}

// As a server does it: the last segment is longer than what is copied of it, and grows.
TEST(BackupTest, OfALogThatIsWrittenEndsWhereItIsToldTo) {
  LogFolder folder;
  ExpectOk(folder.Open());
  ExpectOk(folder.Append(3, true));
  const BackupSource source{.identity = folder.opened.log->identity(),
                            .snapshot = {},
                            .segments = folder.opened.log->SegmentsFrom(0)};
  const LogFolder::Changes before = folder.asked;
  ExpectOk(folder.Append(3, true));
  const Result<uint64_t> revision =
      WriteBackup(folder.files, kFolder, source, kBackup, [] { return false; });
  ASSERT_TRUE(revision.ok()) << revision.status().message();
  EXPECT_EQ(*revision, 3u);
  ASSERT_TRUE(Restore(folder, kBackup, kRestored).ok());
  folder.Kill();
  EXPECT_EQ(Recovered(folder, kRestored), before);
}

TEST(BackupTest, IsRefusedByAStart) {
  LogFolder folder;
  Fill(folder);
  ASSERT_TRUE(BackupFolder(folder.files, kFolder, kBackup).ok());
  const std::vector<std::string> before = NamesIn(folder, kBackup);
  const Status status = OpenLog(folder.files, kBackup, SmallSegments()).status();
  EXPECT_EQ(status.code(), Code::kInvalidArgument);
  EXPECT_NE(status.message().find("restore"), std::string::npos) << status.message();
  EXPECT_EQ(NamesIn(folder, kBackup), before);
}

TEST(BackupTest, NothingIsWrittenOver) {
  LogFolder folder;
  Fill(folder);
  ExpectOk(folder.files.CreateFolder(kBackup).status());
  folder.files.SetContent(kBackup + "/letter", "mine");
  EXPECT_EQ(BackupFolder(folder.files, kFolder, kBackup).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(Restore(folder, kFolder, kBackup).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(NamesIn(folder, kBackup), std::vector<std::string>{"letter"});
  ExpectOk(folder.files.Unlink(kBackup + "/letter"));
  EXPECT_TRUE(BackupFolder(folder.files, kFolder, kBackup).ok());
}

TEST(BackupTest, IsNotTakenOfAFolderInUse) {
  LogFolder folder;
  ExpectOk(folder.Open());
  EXPECT_EQ(BackupFolder(folder.files, kFolder, kBackup).status().code(), Code::kUnavailable);
  EXPECT_EQ(Restore(folder, kFolder, kRestored).status().code(), Code::kUnavailable);
  EXPECT_TRUE(NamesIn(folder, kBackup).empty());
}

TEST(BackupTest, GivesUpWhenItIsTold) {
  LogFolder folder;
  ExpectOk(folder.Open());
  ExpectOk(folder.Append(3, true));
  const BackupSource source{.identity = folder.opened.log->identity(),
                            .snapshot = {},
                            .segments = folder.opened.log->SegmentsFrom(0)};
  EXPECT_EQ(
      WriteBackup(folder.files, kFolder, source, kBackup, [] { return true; }).status().code(),
      Code::kUnavailable);
  EXPECT_TRUE(NamesIn(folder, kBackup).empty());
}

// Each byte of each file of a backup, but for the lock, which has none.
TEST(BackupTest, EachFlippedByteIsFound) {
  LogFolder folder;
  Fill(folder);
  ASSERT_TRUE(BackupFolder(folder.files, kFolder, kBackup).ok());
  for (const std::string& name : NamesIn(folder, kBackup)) {
    const std::string path = kBackup + "/" + name;
    const std::string content = folder.files.Content(path);
    for (size_t at = 0; at < content.size(); ++at) {
      std::string flipped = content;
      flipped[at] ^= 0x20;
      folder.files.SetContent(path, flipped);
      const Result<FolderSurvey> survey = VerifyFolder(folder.files, kBackup);
      ASSERT_TRUE(survey.ok());
      ASSERT_NE(survey->Refusal(), nullptr) << name << " at " << at;
    }
    folder.files.SetContent(path, content);
  }
  EXPECT_TRUE(Restore(folder, kBackup, kRestored).ok());
}

// Every call of both fails in turn. Either nothing is left, or what is there is whole.
TEST(BackupTest, SurvivesEachFailingCall) {
  LogFolder whole;
  Fill(whole);
  bool fired = true;
  for (uint64_t nth = 1; fired; ++nth) {
    LogFolder folder;
    folder.files.CopyFrom(whole.files);
    folder.files.FailCall(nth, nth % 2 == 0 ? EIO : ENOSPC, /*for_ever=*/false);
    Result<uint64_t> backed_up = BackupFolder(folder.files, kFolder, kBackup);
    fired = folder.files.fault_fired();
    folder.files.StopFailing();
    if (!backed_up.ok()) {
      ASSERT_TRUE(fired) << backed_up.status().message();
      if (!NamesIn(folder, kBackup).empty()) {
        // It could not be removed: then it is whole, or known for none.
        EXPECT_EQ(Restore(folder, kBackup, kRestored).ok(),
                  !folder.files.Content(kBackup + "/backup").empty());
      }
      continue;
    }
    ASSERT_TRUE(Restore(folder, kBackup, kRestored).ok()) << nth;
    EXPECT_EQ(Recovered(folder, kRestored), whole.asked) << nth;
  }
}

TEST(BackupTest, ARestoreThatFailsIsNoEmptyStore) {
  LogFolder whole;
  Fill(whole);
  ASSERT_TRUE(BackupFolder(whole.files, kFolder, kBackup).ok());
  bool fired = true;
  for (uint64_t nth = 1; fired; ++nth) {
    for (const bool power_cut : {false, true}) {
      LogFolder folder(nth);
      folder.files.CopyFrom(whole.files);
      // For ever: nothing is tidied up either.
      folder.files.FailCall(nth, EIO, /*for_ever=*/true);
      const Result<Restored> restored = Restore(folder, kBackup, kRestored);
      fired = folder.files.fault_fired();
      folder.files.StopFailing();
      ASSERT_EQ(restored.ok(), !fired);
      if (power_cut) folder.files.CutPower();
      // What lies there is refused, or all of it is there, or nothing was begun.
      bool begun = false;
      for (const std::string& name : NamesIn(folder, kRestored)) {
        begun = begun || SegmentOfName(name) || SnapshotOfName(name);
      }
      Result<OpenedLog> opened = OpenLog(folder.files, kRestored, SmallSegments());
      if (!opened.ok()) continue;
      if (!begun) {
        EXPECT_TRUE(opened->created);
        continue;
      }
      EXPECT_EQ(opened->last_revision, whole.last) << nth;
      EXPECT_TRUE(opened->clean);
    }
  }
}

}  // namespace
}  // namespace entrepot
