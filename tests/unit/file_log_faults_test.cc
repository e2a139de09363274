// The log over a file system that fails, tears and forgets: whatever happens, what was acknowledged
// is there afterwards, and nothing else is.

#include <gtest/gtest.h>

#include <cerrno>
#include <random>

#include "log/tools.h"
#include "unit/file_log_folder.h"

namespace entrepot {
namespace {

// A server's life: a start, groups of all kinds, a mark, a snapshot, a trim, a clean stop, a start.
Status Workload(LogFolder& folder) {
  Status status = folder.Open();
  for (int group = 0; status.ok() && group < 8; ++group) {
    status = folder.Append(group % 3 + 1, /*sync=*/group % 2 == 0, 40 + 200 * (group % 4));
  }
  if (status.ok()) status = folder.opened.log->Mark();
  if (status.ok()) status = folder.Append(12, true);
  if (status.ok()) status = folder.Stop();
  if (status.ok()) status = folder.Open();
  if (status.ok()) status = folder.WriteSnapshot();
  if (status.ok()) {
    status = RemoveSnapshotsBefore(folder.files, kFolder, folder.opened.last_revision);
  }
  if (status.ok()) status = folder.opened.log->Trim(folder.opened.last_revision);
  if (status.ok()) status = folder.Append(3, true);
  if (status.ok()) status = folder.Stop();
  return status;
}

struct Fault {
  const char* name;
  int error;
  bool for_ever;
  bool power_cut;
};

class EveryCallTest : public testing::TestWithParam<Fault> {};

TEST_P(EveryCallTest, FailsOnceAndNothingIsLost) {
  const Fault& fault = GetParam();
  uint64_t injected = 0;
  for (uint64_t nth = 1;; ++nth) {
    LogFolder folder(nth);
    folder.files.FailCall(nth, fault.error, fault.for_ever);
    const Status status = Workload(folder);
    if (!folder.files.fault_fired()) {
      ExpectOk(status);
      break;
    }
    ++injected;
    folder.files.StopFailing();
    folder.Kill();
    if (fault.power_cut) folder.files.CutPower();
    ExpectOk(folder.Open());
    folder.ExpectNothingLost();
    folder.TakeRecoveredAsPromised();
    // And it goes on, with revisions that were never given before.
    ExpectOk(folder.Append(2, true));
    ExpectOk(folder.Stop());
    ExpectOk(folder.Open());
    folder.ExpectNothingLost();
    const Result<FolderSurvey> survey = SurveyFolder(folder.files, kFolder, {.deep = true});
    ASSERT_TRUE(survey.ok());
    EXPECT_TRUE(survey->findings.empty());
    if (HasFailure()) FAIL() << "after the fault at call " << nth;
  }
  EXPECT_GT(injected, 100u);
  RecordProperty("faults_injected", static_cast<int>(injected));
}

INSTANTIATE_TEST_SUITE_P(Faults, EveryCallTest,
                         testing::Values(Fault{"IoErrorThenKill", EIO, false, false},
                                         Fault{"IoErrorThenPowerCut", EIO, false, true},
                                         Fault{"IoErrorsForEverThenKill", EIO, true, false},
                                         Fault{"IoErrorsForEverThenPowerCut", EIO, true, true},
                                         Fault{"FullDiskThenKill", ENOSPC, false, false},
                                         Fault{"FullDiskForEverThenKill", ENOSPC, true, false}),
                         [](const auto& test) { return test.param.name; });

// The power is cut at a random call of a random workload, again and again on the same folder.
// Starts are cut too.
TEST(PowerCutTest, EveryAcknowledgedChangeSurvivesAnyNumberOfCuts) {
  constexpr uint64_t kSeeds = 400;
  constexpr int kCuts = 6;
  int torn = 0;
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    std::mt19937_64 random(seed);
    LogFolder folder(seed);
    for (int cut = 0; cut < kCuts; ++cut) {
      folder.files.FailCall(1 + random() % 120, EIO, /*for_ever=*/true);
      Status status = folder.Open();
      if (status.ok()) {
        folder.ExpectNothingLost();
        folder.TakeRecoveredAsPromised();
        if (!folder.opened.cut.empty()) ++torn;
      }
      while (status.ok()) {
        status = random() % 8 == 0 ? folder.opened.log->Mark()
                                   : folder.Append(1 + static_cast<int>(random() % 6),
                                                   /*sync=*/random() % 3 == 0, random() % 400);
      }
      folder.files.StopFailing();
      folder.CutPower();
    }
    const Status status = folder.Open();
    ASSERT_TRUE(status.ok()) << "seed " << seed << ": " << status.message();
    folder.ExpectNothingLost();
    if (HasFailure()) FAIL() << "seed " << seed;
  }
  // Otherwise the cuts were too kind to show anything.
  EXPECT_GT(torn, 100);
}

// --- Bits that flip and files that are cut short ----------------------------------------------

enum class Ending { kCleanStop, kKill };

// A folder with a snapshot and two segments behind it; the last group is whole in the last segment.
void FillFolder(LogFolder& folder, Ending ending) {
  ExpectOk(folder.Open());
  ExpectOk(folder.Append(6, true));
  ExpectOk(folder.Stop());
  ExpectOk(folder.Open());
  ExpectOk(folder.WriteSnapshot());
  for (int group = 0; group < 5; ++group) ExpectOk(folder.Append(3, true));
  if (ending == Ending::kCleanStop) {
    ExpectOk(folder.Stop());
  } else {
    folder.Kill();
  }
}

// Files that a start removes without looking at them; a few places in them are enough.
bool IsTemporary(const std::string& path) { return path.ends_with(".tmp"); }
size_t StepIn(const std::string& path) { return IsTemporary(path) ? 97 : 1; }

// Hands `check` a copy of the folder for each byte of each file, with a bit of it changed.
template <typename Check>
void FlipEveryByte(const LogFolder& whole, const Check& check) {
  for (const std::string& path : whole.files.Paths()) {
    const std::string content = whole.files.Content(path);
    for (size_t at = 0; at < content.size(); at += StepIn(path)) {
      std::string flipped = content;
      flipped[at] = static_cast<char>(flipped[at] ^ (1 << (at * 5 % 8)));
      LogFolder hurt;
      hurt.files.CopyFrom(whole.files);
      hurt.asked = whole.asked;
      hurt.synced = whole.synced;
      hurt.files.SetContent(path, flipped);
      check(hurt, path, at);
      if (testing::Test::HasFailure()) FAIL() << path << " flipped at byte " << at;
    }
  }
}

template <typename Check>
void CutAtEveryLength(const LogFolder& whole, const Check& check) {
  for (const std::string& path : whole.files.Paths()) {
    const std::string content = whole.files.Content(path);
    for (size_t length = 0; length < content.size(); length += StepIn(path)) {
      LogFolder hurt;
      hurt.files.CopyFrom(whole.files);
      hurt.asked = whole.asked;
      hurt.synced = whole.synced;
      hurt.files.SetContent(path, content.substr(0, length));
      check(hurt, path, length);
      if (testing::Test::HasFailure()) FAIL() << path << " cut to " << length << " bytes";
    }
  }
}

bool Verifies(LogFolder& folder) {
  const Result<FolderSurvey> survey = VerifyFolder(folder.files, kFolder);
  return survey.ok() && survey->findings.empty();
}

TEST(DamageTest, AfterACleanStopEveryFlipIsFound) {
  LogFolder whole;
  FillFolder(whole, Ending::kCleanStop);
  EXPECT_TRUE(Verifies(whole));
  FlipEveryByte(whole, [](LogFolder& hurt, const std::string&, size_t) {
    EXPECT_FALSE(Verifies(hurt));
    if (hurt.Open().ok()) hurt.ExpectNothingLost();
  });
}

TEST(DamageTest, AfterACleanStopEveryCutIsFound) {
  LogFolder whole;
  FillFolder(whole, Ending::kCleanStop);
  CutAtEveryLength(whole, [](LogFolder& hurt, const std::string&, size_t) {
    EXPECT_FALSE(Verifies(hurt));
    if (hurt.Open().ok()) hurt.ExpectNothingLost();
  });
}

TEST(DamageTest, AfterAKillEveryFlipOutsideTheLastGroupIsFoundOrHarmless) {
  LogFolder whole;
  FillFolder(whole, Ending::kKill);
  const Result<FolderSurvey> survey = VerifyFolder(whole.files, kFolder);
  ASSERT_TRUE(survey.ok());
  ASSERT_TRUE(survey->findings.empty());
  const std::string last_segment = kFolder + "/" + SegmentName(survey->end.segment);
  const uint64_t last_group = survey->end.offset - kGroupBytes - 3 * RecordBytes(24);
  FlipEveryByte(whole, [&](LogFolder& hurt, const std::string& path, size_t at) {
    const bool in_log = !IsTemporary(path) && (path != last_segment || at < survey->end.offset);
    const bool in_last_group = path == last_segment && at >= last_group;
    EXPECT_TRUE(!in_log || !Verifies(hurt));
    const bool opened = hurt.Open().ok();
    if (opened && in_last_group) hurt.synced -= 3;
    if (opened) hurt.ExpectNothingLost();
    EXPECT_TRUE(opened || in_log) << "a byte that means nothing refuses the start";
  });
}

TEST(DamageTest, AfterAKillEveryCutIsFound) {
  LogFolder whole;
  FillFolder(whole, Ending::kKill);
  CutAtEveryLength(whole, [](LogFolder& hurt, const std::string& path, size_t) {
    EXPECT_TRUE(IsTemporary(path) || !Verifies(hurt));
    if (hurt.Open().ok()) hurt.ExpectNothingLost();
  });
}

// --- Repair -----------------------------------------------------------------------------------

TEST(RepairTest, ADryRunChangesNothingAndSaysTheSame) {
  LogFolder folder;
  FillFolder(folder, Ending::kCleanStop);
  const std::string path = kFolder + "/" + SegmentName(2);
  std::string content = folder.files.Content(path);
  content[content.size() / 2] ^= 4;
  folder.files.SetContent(path, content);
  const Result<RepairReport> plan = RepairFolder(folder.files, kFolder, "/copy", true);
  ASSERT_TRUE(plan.ok()) << plan.status().message();
  EXPECT_FALSE(plan->found.empty());
  EXPECT_EQ(plan->copy_folder, "");
  EXPECT_FALSE(Verifies(folder));
  const Result<RepairReport> repaired = RepairFolder(folder.files, kFolder, "/copy", false);
  ASSERT_TRUE(repaired.ok()) << repaired.status().message();
  EXPECT_EQ(repaired->found, plan->found);
  EXPECT_EQ(repaired->done, plan->done);
  EXPECT_EQ(repaired->copy_folder, "/copy");
  EXPECT_EQ(folder.files.Content("/copy/" + SegmentName(2)), content);
  EXPECT_TRUE(Verifies(folder));
}

TEST(RepairTest, AWholeFolderIsLeftAlone) {
  LogFolder folder;
  FillFolder(folder, Ending::kCleanStop);
  const Result<RepairReport> report = RepairFolder(folder.files, kFolder, "/copy", false);
  ASSERT_TRUE(report.ok());
  EXPECT_TRUE(report->found.empty());
  EXPECT_TRUE(report->done.empty());
  ExpectOk(folder.Open());
  EXPECT_TRUE(folder.opened.clean);
}

// What was in the damaged place is lost; everything else that a client was told stays, the folder
// can be used again, and no revision is given twice.
TEST(RepairTest, AfterAnyFlipTheFolderOpensAgainWithWhatWasWhole) {
  LogFolder whole;
  FillFolder(whole, Ending::kCleanStop);
  FlipEveryByte(whole, [&whole](LogFolder& hurt, const std::string& path, size_t) {
    const Result<RepairReport> report = RepairFolder(hurt.files, kFolder, "/copy", false);
    ASSERT_TRUE(report.ok()) << report.status().message();
    EXPECT_FALSE(report->done.empty());
    EXPECT_TRUE(Verifies(hurt));
    ExpectOk(hurt.Open());
    EXPECT_GT(hurt.opened.last_revision, whole.last);
    for (const auto& [revision, payload] : hurt.recovered) {
      const auto asked = whole.asked.find(revision);
      ASSERT_NE(asked, whole.asked.end());
      EXPECT_EQ(payload, asked->second);
    }
    const bool in_log = SegmentOfName(path.substr(kFolder.size() + 1)).has_value();
    EXPECT_TRUE(in_log || hurt.recovered == whole.asked);
    // The first changes are in the snapshot as well as in the log.
    EXPECT_GE(hurt.recovered.size(), 6u);
    ExpectOk(hurt.Append(1, true));
  });
}

TEST(RepairTest, DamageThatASnapshotMakesSuperfluousCostsNoChange) {
  LogFolder folder;
  FillFolder(folder, Ending::kCleanStop);
  const std::string path = kFolder + "/" + SegmentName(1);
  std::string content = folder.files.Content(path);
  content[kSegmentHeaderBytes + 100] ^= 1;
  folder.files.SetContent(path, content);
  ASSERT_TRUE(RepairFolder(folder.files, kFolder, "/copy", false).ok());
  ExpectOk(folder.Open());
  EXPECT_EQ(folder.recovered, folder.asked);
}

TEST(RepairTest, OfADamagedSnapshotThatIsNeededTheWholeBlocksAreKept) {
  LogFolder folder;
  ExpectOk(folder.Open());
  // Enough for two blocks of a snapshot.
  for (int group = 0; group < 3; ++group) ExpectOk(folder.Append(2, true, 300'000));
  ExpectOk(folder.Stop());
  ExpectOk(folder.Open());
  ExpectOk(folder.WriteSnapshot());
  ExpectOk(folder.opened.log->Trim(folder.last));
  ExpectOk(folder.Append(1, true));
  ExpectOk(folder.Stop());
  const std::string path = kFolder + "/" + SnapshotName(6);
  std::string content = folder.files.Content(path);
  content[content.size() - 1000] ^= 1;
  folder.files.SetContent(path, content);
  EXPECT_EQ(folder.Open().code(), Code::kInternal);
  folder.opened.log.reset();
  ASSERT_TRUE(RepairFolder(folder.files, kFolder, "/copy", false).ok());
  ExpectOk(folder.Open());
  folder.asked.erase(4);
  folder.asked.erase(5);
  folder.asked.erase(6);
  EXPECT_EQ(folder.recovered, folder.asked);
}

TEST(RepairTest, WhenTooLittleIsLeftNothingIsChanged) {
  LogFolder folder;
  ExpectOk(folder.Open());
  ExpectOk(folder.Append(2, true));
  ExpectOk(folder.Stop());
  const std::string path = kFolder + "/" + SegmentName(1);
  std::string content = folder.files.Content(path);
  content[20] ^= 1;
  folder.files.SetContent(path, content);
  EXPECT_EQ(RepairFolder(folder.files, kFolder, "/copy", false).status().code(), Code::kInternal);
  EXPECT_EQ(folder.files.Content(path), content);
}

TEST(RepairTest, ARunningServerKeepsTheToolsOut) {
  LogFolder folder;
  ExpectOk(folder.Open());
  EXPECT_EQ(VerifyFolder(folder.files, kFolder).status().code(), Code::kUnavailable);
  EXPECT_EQ(RepairFolder(folder.files, kFolder, "/copy", true).status().code(), Code::kUnavailable);
}

TEST(DumpTest, HandsOnEveryRecordWithItsPlace) {
  LogFolder folder;
  FillFolder(folder, Ending::kCleanStop);
  LogFolder::Changes dumped;
  std::string place;
  ExpectOk(DumpFolder(folder.files, kFolder,
                      [&](const std::string& segment, uint64_t offset, const Record& record) {
                        const std::string here = segment + " " + std::to_string(offset + 1'000'000);
                        EXPECT_LT(place, here);
                        place = here;
                        if (record.type == RecordType::kChange) {
                          dumped[record.revision] = record.payload;
                        }
                        return Status();
                      }));
  EXPECT_EQ(dumped, folder.asked);
}

}  // namespace
}  // namespace entrepot
