#include "log/file_log.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "log/folder_survey.h"
#include "log/format.h"
#include "log/recovery.h"
#include "unit/file_log_folder.h"

namespace entrepot {
namespace {

FolderSurvey Survey(FaultyFileSystem& files) {
  Result<FolderSurvey> survey = SurveyFolder(files, kFolder, {.deep = true});
  EXPECT_TRUE(survey.ok()) << survey.status().message();
  return std::move(*survey);
}

TEST(FileLogTest, ANewFolderIsMadeAndIsEmpty) {
  LogFolder folder;
  ExpectOk(folder.Open());
  EXPECT_TRUE(folder.opened.created);
  EXPECT_TRUE(folder.opened.clean);
  EXPECT_EQ(folder.opened.last_revision, 0u);
  EXPECT_EQ(folder.opened.log->oldest(), 0u);
  EXPECT_TRUE(folder.recovered.empty());
}

TEST(FileLogTest, TheHistoryStaysTheSame) {
  LogFolder folder;
  ExpectOk(folder.Open());
  const uint64_t history = folder.opened.log->identity().history;
  folder.Kill();
  ExpectOk(folder.Open());
  EXPECT_EQ(folder.opened.log->identity().history, history);
}

TEST(FileLogTest, CreateLogTakesAHistoryAndNoOldFolder) {
  FaultyFileSystem files;
  {
    const Result<OpenedLog> created = CreateLog(files, kFolder, SmallSegments(), 0x1234);
    ASSERT_TRUE(created.ok());
    EXPECT_EQ(created->log->identity().history, 0x1234u);
  }
  EXPECT_EQ(CreateLog(files, kFolder, SmallSegments(), 7).status().code(), Code::kInvalidArgument);
}

TEST(FileLogTest, AfterACleanStopEverythingIsThereAndNoRevisionIsSkipped) {
  LogFolder folder;
  ExpectOk(folder.Open());
  for (int group = 1; group <= 20; ++group) ExpectOk(folder.Append(group % 4 + 1, group % 3 == 0));
  ExpectOk(folder.Stop());
  const uint64_t last = folder.last;
  ExpectOk(folder.Open());
  EXPECT_TRUE(folder.opened.clean);
  EXPECT_FALSE(folder.opened.skipped.has_value());
  EXPECT_EQ(folder.opened.last_revision, last);
  EXPECT_EQ(folder.opened.time_ms, static_cast<int64_t>(1000 + last));
  EXPECT_EQ(folder.recovered, folder.asked);
}

TEST(FileLogTest, AfterAKillTheRevisionsUpToTheCeilingAreSkippedAndThatIsWrittenDown) {
  LogFolder folder;
  ExpectOk(folder.Open());
  ExpectOk(folder.Append(3, true));
  folder.Kill();
  ExpectOk(folder.Open());
  EXPECT_FALSE(folder.opened.clean);
  ASSERT_TRUE(folder.opened.skipped.has_value());
  EXPECT_EQ(folder.opened.skipped->first, 4u);
  EXPECT_GE(folder.opened.skipped->last, 3 + kCeilingMargin);
  EXPECT_EQ(folder.opened.last_revision, folder.opened.skipped->last);
  ExpectOk(folder.Append(1, true));
  ExpectOk(folder.Stop());
  const uint64_t skipped_last = folder.opened.skipped->last;
  ExpectOk(folder.Open());
  EXPECT_EQ(folder.skips, (LogFolder::Changes{{skipped_last, "4"}}));
  EXPECT_EQ(folder.recovered, folder.asked);
}

TEST(FileLogTest, TheCeilingOnDiskStaysAboveWhatTheCommitQueueMayHold) {
  LogFolder folder;
  ExpectOk(folder.Open());
  for (uint64_t revision = 1; revision < 5 * kCeilingStep; revision += kCeilingStep / 3) {
    std::string record = ChangeRecord(revision, "x");
    ASSERT_TRUE(folder.opened.log->Append(record, revision, /*sync=*/false).ok());
    // Also when the power is cut right now, and all that is not synced is lost.
    FaultyFileSystem after(revision);
    after.CopyFrom(folder.files);
    after.CutPower();
    const FolderSurvey survey = Survey(after);
    EXPECT_GE(survey.end.ceiling, revision + kCeilingMargin);
  }
}

TEST(FileLogTest, ARecordLongerThanASegmentGetsALongerSegment) {
  LogFolder folder;
  ExpectOk(folder.Open());
  ExpectOk(folder.Append(1, true));
  ExpectOk(folder.Append(2, true, /*payload_bytes=*/10'000));
  ExpectOk(folder.Append(1, true));
  ExpectOk(folder.Stop());
  ExpectOk(folder.Open());
  EXPECT_EQ(folder.recovered, folder.asked);
}

TEST(FileLogTest, AGroupLongerThanASegmentIsSplitAtRecords) {
  LogFolder folder;
  ExpectOk(folder.Open());
  ExpectOk(folder.Append(100, true));
  EXPECT_GT(Survey(folder.files).segments.size(), 5u);
  ExpectOk(folder.Stop());
  ExpectOk(folder.Open());
  EXPECT_EQ(folder.recovered, folder.asked);
}

TEST(FileLogTest, AnEmptyAppendSyncsWhatWasWritten) {
  LogFolder folder;
  ExpectOk(folder.Open());
  ExpectOk(folder.Append(2, /*sync=*/false));
  const Result<Watermark> unsynced = folder.opened.log->Append({}, 2, /*sync=*/false);
  ASSERT_TRUE(unsynced.ok());
  EXPECT_EQ(unsynced->synced, 0u);
  const Result<Watermark> synced = folder.opened.log->Append({}, 2, /*sync=*/true);
  ASSERT_TRUE(synced.ok());
  EXPECT_EQ(synced->synced, 2u);
}

TEST(FileLogTest, ASecondServerIsKeptOut) {
  LogFolder folder;
  ExpectOk(folder.Open());
  const Result<OpenedLog> second = OpenLog(folder.files, kFolder, folder.options);
  EXPECT_EQ(second.status().code(), Code::kUnavailable);
  EXPECT_NE(second.status().message().find("another server"), std::string::npos);
}

TEST(FileLogTest, AFolderOfSomeoneElseIsRefusedAndLeftAlone) {
  FaultyFileSystem files;
  files.SetContent(kFolder + "/thesis.tex", "chapter 1");
  EXPECT_EQ(OpenLog(files, kFolder, SmallSegments()).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(files.Content(kFolder + "/thesis.tex"), "chapter 1");
}

TEST(FileLogTest, AFolderWhoseIdentityIsMissingIsNotTakenForANewOne) {
  LogFolder folder;
  ExpectOk(folder.Open());
  ExpectOk(folder.Append(1, true));
  ExpectOk(folder.Stop());
  ExpectOk(folder.files.Unlink(kFolder + "/identity"));
  EXPECT_EQ(folder.Open().code(), Code::kInvalidArgument);
}

TEST(FileLogTest, ANewerFormatIsRefusedByName) {
  LogFolder folder;
  ExpectOk(folder.Open());
  ExpectOk(folder.Stop());
  std::string identity = folder.files.Content(kFolder + "/identity");
  StoreLittle<uint32_t>(identity.data() + 8, kFormatVersion + 1);
  identity += "what a later format adds";
  log_internal::SealFrame(identity);
  folder.files.SetContent(kFolder + "/identity", identity);
  const Status status = folder.Open();
  EXPECT_EQ(status.code(), Code::kInvalidArgument);
  EXPECT_NE(status.message().find("format version 2"), std::string::npos);
}

TEST(FileLogTest, AMissingSegmentIsDamage) {
  LogFolder folder;
  ExpectOk(folder.Open());
  ExpectOk(folder.Append(100, true));
  ExpectOk(folder.Stop());
  ExpectOk(folder.files.Unlink(kFolder + "/" + SegmentName(3)));
  EXPECT_EQ(folder.Open().code(), Code::kInternal);
}

TEST(FileLogTest, AFailedWriteEndsTheLogForEver) {
  LogFolder folder;
  ExpectOk(folder.Open());
  folder.files.FailCall(1, EIO, /*for_ever=*/false);
  EXPECT_EQ(folder.Append(1, true).code(), Code::kUnavailable);
  EXPECT_EQ(folder.opened.log->Append({}, 1, true).status().code(), Code::kUnavailable);
  EXPECT_EQ(folder.opened.log->Mark().code(), Code::kUnavailable);
  EXPECT_EQ(folder.opened.log->Stop().code(), Code::kUnavailable);
}

TEST(FileLogTest, AFailedSyncEndsTheLogForEver) {
  LogFolder folder;
  ExpectOk(folder.Open());
  folder.files.FailSyncs(true);
  EXPECT_EQ(folder.Append(1, true).code(), Code::kUnavailable);
  folder.files.FailSyncs(false);
  EXPECT_EQ(folder.opened.log->Append({}, 1, true).status().code(), Code::kUnavailable);
}

// The kernel takes what it could not write for written: a second server that finds it in the
// kernel's memory must not promise it after a sync that did nothing.
TEST(FileLogTest, WhatIsRecoveredAfterAFailedSyncSurvivesAPowerCut) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    LogFolder folder(seed);
    ExpectOk(folder.Open());
    ExpectOk(folder.Append(2, true));
    folder.files.FailSyncs(true);
    EXPECT_FALSE(folder.Append(5, true).ok());
    folder.files.FailSyncs(false);
    folder.Kill();
    ExpectOk(folder.Open());
    folder.TakeRecoveredAsPromised();
    EXPECT_EQ(folder.recovered.size(), 7u);
    folder.CutPower();
    ASSERT_TRUE(folder.Open().ok()) << "seed " << seed;
    folder.ExpectNothingLost();
    if (testing::Test::HasFailure()) FAIL() << "seed " << seed;
  }
}

TEST(FileLogTest, AFullDiskIsReadOnlyAndEndsByItself) {
  LogFolder folder;
  ExpectOk(folder.Open());
  EXPECT_TRUE(folder.opened.log->writable());
  folder.files.SetCapacity(0);
  Status status;
  int accepted = 0;
  for (; status.ok(); ++accepted) {
    status = folder.Append(1, true);
    ASSERT_LT(accepted, 1000);
  }
  EXPECT_EQ(status.code(), Code::kReadOnly);
  EXPECT_FALSE(folder.opened.log->writable());
  EXPECT_EQ(folder.Append(1, true).code(), Code::kReadOnly);
  folder.files.SetCapacity(UINT64_MAX);
  ExpectOk(folder.Append(1, true));
  EXPECT_TRUE(folder.opened.log->writable());
  ExpectOk(folder.Stop());
  ExpectOk(folder.Open());
  EXPECT_EQ(folder.recovered, folder.asked);
}

TEST(FileLogTest, WhenWritableTurnsFalseTheReservedRoomIsStillThere) {
  LogFolder folder;
  folder.options.reserve_bytes = 8192;
  ExpectOk(folder.Open());
  folder.files.SetCapacity(0);
  while (folder.opened.log->writable()) ExpectOk(folder.Append(1, false));
  // What is reserved counts the ends of segments and the groups' headers as well.
  const uint64_t promised = folder.options.reserve_bytes / 2;
  for (uint64_t bytes = 0; bytes < promised; bytes += 10 * RecordBytes(24)) {
    ExpectOk(folder.Append(10, false));
  }
}

TEST(FileLogTest, AGroupThatDoesNotFitLeavesNothingBehind) {
  LogFolder folder;
  ExpectOk(folder.Open());
  folder.files.SetCapacity(0);
  EXPECT_EQ(folder.Append(200, true).code(), Code::kReadOnly);
  ExpectOk(folder.Append(2, true));
  folder.Kill();
  folder.files.SetCapacity(UINT64_MAX);
  ExpectOk(folder.Open());
  EXPECT_EQ(folder.recovered, folder.asked);
}

TEST(FileLogTest, SparesAreMadeByAThreadWhenAsked) {
  LogFolder folder;
  folder.options.background = true;
  ExpectOk(folder.Open());
  ExpectOk(folder.Append(500, true));
  while (!folder.opened.log->writable()) std::this_thread::yield();
  folder.files.SetCapacity(0);
  while (folder.opened.log->writable()) ExpectOk(folder.Append(1, false));
  folder.files.SetCapacity(UINT64_MAX);
  while (!folder.opened.log->writable()) std::this_thread::yield();
  ExpectOk(folder.Stop());
  for (const std::string& path : folder.files.Paths()) EXPECT_FALSE(path.ends_with(".tmp")) << path;
  ExpectOk(folder.Open());
  EXPECT_EQ(folder.recovered, folder.asked);
}

TEST(FileLogTest, AMarkIsWrittenOnce) {
  LogFolder folder;
  ExpectOk(folder.Open());
  ExpectOk(folder.Append(1, true));
  const uint64_t before = folder.opened.log->bytes();
  ExpectOk(folder.opened.log->Mark());
  EXPECT_EQ(folder.opened.log->bytes(), before + kGroupBytes);
  ExpectOk(folder.opened.log->Mark());
  EXPECT_EQ(folder.opened.log->bytes(), before + kGroupBytes);
}

// Flips a bit of the last record of the log and says what a start makes of it.
Result<FolderSurvey> FlipLastRecord(LogFolder& folder, bool mark) {
  ExpectOk(folder.Open());
  ExpectOk(folder.Append(1, true));
  const uint64_t end = folder.opened.log->bytes();
  if (mark) ExpectOk(folder.opened.log->Mark());
  folder.Kill();
  const std::string path = kFolder + "/" + SegmentName(1);
  std::string content = folder.files.Content(path);
  content[end - 8] ^= 1;
  folder.files.SetContent(path, content);
  return SurveyFolder(folder.files, kFolder, SurveyOptions());
}

TEST(FileLogTest, ABadLastGroupIsATornTail) {
  LogFolder folder;
  const Result<FolderSurvey> survey = FlipLastRecord(folder, /*mark=*/false);
  ASSERT_TRUE(survey.ok());
  EXPECT_EQ(survey->Refusal(), nullptr);
  EXPECT_GT(survey->torn_bytes, 0u);
  ExpectOk(folder.Open());
  EXPECT_NE(folder.opened.cut.find("were not finished"), std::string::npos);
}

TEST(FileLogTest, ABadGroupBeforeAMarkIsDamageNamedByFileOffsetAndRevision) {
  LogFolder folder;
  const Result<FolderSurvey> survey = FlipLastRecord(folder, /*mark=*/true);
  ASSERT_TRUE(survey.ok());
  ASSERT_NE(survey->Refusal(), nullptr);
  const Status status = folder.Open();
  EXPECT_EQ(status.code(), Code::kInternal);
  EXPECT_NE(status.message().find(SegmentName(1)), std::string::npos);
  EXPECT_NE(status.message().find("at byte"), std::string::npos);
  EXPECT_NE(status.message().find("revision 0"), std::string::npos);
}

TEST(FileLogTest, TrimmingForgetsWholeSegmentsButNothingAboveTheRevision) {
  LogFolder folder;
  ExpectOk(folder.Open());
  ExpectOk(folder.Append(100, true));
  ExpectOk(folder.Stop());
  ExpectOk(folder.Open());
  ExpectOk(folder.WriteSnapshot());
  ExpectOk(folder.opened.log->Trim(50));
  const uint64_t oldest = folder.opened.log->oldest();
  EXPECT_GT(oldest, 30u);
  EXPECT_LE(oldest, 50u);
  EXPECT_EQ(folder.opened.log->Read(oldest - 1).status().code(), Code::kHistoryLost);
  EXPECT_TRUE(folder.opened.log->Read(oldest).ok());
  ExpectOk(folder.Append(3, true));
  ExpectOk(folder.Stop());
  ExpectOk(folder.Open());
  EXPECT_EQ(folder.recovered, folder.asked);
}

TEST(FileLogTest, KeepsAsMuchAsItIsToldOfWhatASnapshotMakesSuperfluous) {
  LogFolder folder;
  ExpectOk(folder.Open());
  for (int group = 0; group < 40; ++group) ExpectOk(folder.Append(3, true));
  FileLog& log = *folder.opened.log;
  constexpr int64_t kForEver = int64_t{1} << 40;
  const int64_t now_ms = 1000 + 120;  // As LogFolder dates its changes: that of the last one.
  // All of it is needed, or is to be kept.
  EXPECT_EQ(log.SuperfluousUpTo(0, {}, now_ms), 0u);
  EXPECT_EQ(log.SuperfluousUpTo(120, {UINT64_MAX, kForEver}, now_ms), 0u);
  // Nothing is kept: all but the segments that have revision 60 and later ones.
  const uint64_t none = log.SuperfluousUpTo(60, {}, now_ms);
  EXPECT_LT(none, 60u);
  EXPECT_EQ(log.SegmentsFrom(60).front().previous_revision, none);
  // The newest that fit: one more segment would be too much.
  const uint64_t some = log.SuperfluousUpTo(60, {2048, kForEver}, now_ms);
  EXPECT_GT(some, 0u);
  EXPECT_LT(some, none);
  // Those that have a record which is young enough.
  const uint64_t young = log.SuperfluousUpTo(60, {UINT64_MAX, 90}, now_ms);
  EXPECT_GT(young, 0u);
  EXPECT_LT(young, 30u);

  ExpectOk(log.Trim(some));
  EXPECT_EQ(log.oldest(), some);
  EXPECT_EQ(log.SuperfluousUpTo(60, {2048, kForEver}, now_ms), 0u);
  EXPECT_EQ(log.Read(some - 1).status().code(), Code::kHistoryLost);
  Result<std::unique_ptr<LogReader>> reader = log.Read(some);
  ASSERT_TRUE(reader.ok());
  uint64_t next = some + 1;
  const Result<bool> more = (*reader)->Read(SIZE_MAX, 120, [&next](const Record& record) {
    EXPECT_EQ(record.revision, next++);
    return Status();
  });
  ASSERT_TRUE(more.ok());
  EXPECT_EQ(next, 121u);
}

// An outcome that came behind the snapshot's begin has the begin's revision.
TEST(FileLogTest, WhatSharesTheBeginOfASnapshotIsNotSuperfluous) {
  LogFolder folder;
  ExpectOk(folder.Open());
  ExpectOk(folder.Append(3, true));
  ExpectOk(folder.opened.log->BeginSegment());
  ExpectOk(folder.Append(3, true));
  EXPECT_EQ(folder.opened.log->SuperfluousUpTo(3, {}, 0), 0u);
  EXPECT_EQ(folder.opened.log->SuperfluousUpTo(4, {}, 0), 3u);
}

TEST(FileLogTest, ATrimmedLogWithoutItsSnapshotIsRefused) {
  LogFolder folder;
  ExpectOk(folder.Open());
  ExpectOk(folder.Append(100, true));
  ExpectOk(folder.opened.log->Trim(50));
  ExpectOk(folder.Stop());
  EXPECT_EQ(folder.Open().code(), Code::kInternal);
}

TEST(FileLogTest, ASnapshotOfWhatTheLogHasLostIsDamage) {
  LogFolder folder;
  ExpectOk(folder.Open());
  const std::string segment = kFolder + "/" + SegmentName(1);
  ExpectOk(folder.Append(2, true));
  const std::string earlier = folder.files.Content(segment);
  ExpectOk(folder.Append(2, true));
  Result<std::unique_ptr<SnapshotWriter>> writer =
      SnapshotWriter::Create(folder.files, kFolder, folder.opened.log->identity().history, 1, 0);
  ASSERT_TRUE(writer.ok());
  ExpectOk((*writer)->Finish(4));
  ASSERT_TRUE((*writer)->Publish().ok());
  folder.Kill();
  folder.files.SetContent(segment, earlier);
  const Status status = folder.Open();
  EXPECT_EQ(status.code(), Code::kInternal);
  EXPECT_NE(status.message().find("revision 4 was on disk"), std::string::npos);
}

TEST(FileLogTest, ReadersFollowTheLogAcrossSegments) {
  LogFolder folder;
  ExpectOk(folder.Open());
  ExpectOk(folder.Append(30, true));
  Result<std::unique_ptr<LogReader>> reader = folder.opened.log->Read(10);
  ASSERT_TRUE(reader.ok());
  std::vector<uint64_t> seen;
  const RecordVisitor note = [&seen](const Record& record) {
    seen.push_back(record.revision);
    return Status();
  };
  Result<bool> more = (*reader)->Read(/*bytes_max=*/100, UINT64_MAX, note);
  ASSERT_TRUE(more.ok());
  EXPECT_TRUE(*more);
  EXPECT_EQ(seen, (std::vector<uint64_t>{11, 12}));
  more = (*reader)->Read(SIZE_MAX, /*through=*/20, note);
  ASSERT_TRUE(more.ok());
  EXPECT_FALSE(*more);
  EXPECT_EQ(seen.back(), 20u);
  ExpectOk(folder.Append(30, true));
  ASSERT_TRUE((*reader)->Read(SIZE_MAX, UINT64_MAX, note).ok());
  ASSERT_EQ(seen.size(), 50u);
  for (size_t i = 0; i < seen.size(); ++i) EXPECT_EQ(seen[i], 11 + i);
}

TEST(FileLogTest, AReaderWhosePlaceWasTrimmedIsTold) {
  LogFolder folder;
  ExpectOk(folder.Open());
  ExpectOk(folder.Append(60, true));
  Result<std::unique_ptr<LogReader>> reader = folder.opened.log->Read(0);
  ASSERT_TRUE(reader.ok());
  const RecordVisitor ignore = [](const Record&) { return Status(); };
  ASSERT_TRUE((*reader)->Read(1, UINT64_MAX, ignore).ok());
  ExpectOk(folder.opened.log->Trim(50));
  EXPECT_EQ((*reader)->Read(SIZE_MAX, UINT64_MAX, ignore).status().code(), Code::kHistoryLost);
}

TEST(FileLogTest, TheMachinesFilesDoAsWell) {
  std::string parent = testing::TempDir() + "entrepot-log-XXXXXX";
  ASSERT_NE(mkdtemp(parent.data()), nullptr);
  const std::string folder = parent + "/data";
  for (uint64_t start = 0; start < 3; ++start) {
    Result<OpenedLog> opened = OpenLog(FileSystem::Posix(), folder, FileLogOptions());
    ASSERT_TRUE(opened.ok()) << opened.status().message();
    EXPECT_EQ(opened->last_revision, start);
    EXPECT_EQ(OpenLog(FileSystem::Posix(), folder, FileLogOptions()).status().code(),
              Code::kUnavailable);
    std::string record = ChangeRecord(start + 1, "x");
    EXPECT_TRUE(opened->log->Append(record, start + 1, /*sync=*/true).ok());
    uint64_t records = 0;
    ExpectOk(opened->log->Replay(0, [&records](const Record&) {
      ++records;
      return Status();
    }));
    EXPECT_EQ(records, start + 1);
    ExpectOk(opened->log->Stop());
  }
  std::filesystem::remove_all(parent);
}

TEST(FileLogTest, SegmentsAreReadByThreadsWhileOthersAreAppended) {
  LogFolder folder;
  folder.options.background = true;
  ExpectOk(folder.Open());
  constexpr uint64_t kLast = 2000;
  std::thread follower([&folder] {
    Result<std::unique_ptr<LogReader>> reader = folder.opened.log->Read(0);
    ASSERT_TRUE(reader.ok());
    uint64_t seen = 0;
    while (seen < kLast) {
      const Result<bool> more = (*reader)->Read(4096, UINT64_MAX, [&seen](const Record& record) {
        EXPECT_EQ(record.revision, seen + 1);
        seen = record.revision;
        return Status();
      });
      ASSERT_TRUE(more.ok()) << more.status().message();
      if (!*more) std::this_thread::yield();
    }
  });
  while (folder.last < kLast) ExpectOk(folder.Append(10, folder.last % 100 == 0));
  follower.join();

  std::atomic<uint64_t> records{0};
  std::vector<std::thread> threads;
  for (const LogSegment& segment : folder.opened.log->SegmentsFrom(0)) {
    threads.emplace_back([&folder, &records, segment] {
      ExpectOk(folder.opened.log->ReadSegment(segment, 0, [&records](const Record&) {
        records.fetch_add(1);
        return Status();
      }));
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(records.load(), kLast);
}

}  // namespace
}  // namespace entrepot
