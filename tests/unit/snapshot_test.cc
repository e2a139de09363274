#include "log/snapshot.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <set>
#include <thread>

#include "support/faulty_file.h"

namespace entrepot {
namespace {

constexpr uint64_t kHistory = 0xfeed;
constexpr uint64_t kBegin = 10;
constexpr uint64_t kEnd = 25;

class SnapshotTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(files_.CreateFolder("/data").ok()); }

  std::unique_ptr<SnapshotWriter> Begin() {
    Result<std::unique_ptr<SnapshotWriter>> writer =
        SnapshotWriter::Create(files_, "/data", kHistory, kBegin, /*time_ms=*/1234);
    EXPECT_TRUE(writer.ok()) << writer.status().message();
    return std::move(*writer);
  }

  // Items of different lengths that need several blocks.
  static std::string Item(size_t i) { return std::string(i * 37 % 5000, static_cast<char>(i)); }

  Status Write(size_t items) {
    Result<std::unique_ptr<SnapshotWriter>> writer =
        SnapshotWriter::Create(files_, "/data", kHistory, kBegin, /*time_ms=*/1234);
    if (!writer.ok()) return writer.status();
    for (size_t i = 0; i < items; ++i) {
      Status status = (*writer)->Add(Item(i));
      if (!status.ok()) return status;
    }
    Status status = (*writer)->Finish(kEnd);
    if (!status.ok()) return status;
    const Result<SnapshotInfo> published = (*writer)->Publish();
    return published.ok() ? Status() : published.status();
  }

  Result<std::unique_ptr<SnapshotReader>> Open() {
    return SnapshotReader::Open(files_, "/data", SnapshotName(kBegin));
  }

  // Whether the snapshot opens and reads as a whole.
  bool IsWhole() {
    const Result<std::unique_ptr<SnapshotReader>> reader = Open();
    return reader.ok() && (*reader)->ReadAll([](std::string_view) { return Status(); }).ok();
  }

  FaultyFileSystem files_;
};

TEST_F(SnapshotTest, ItemsComeBackInOrder) {
  constexpr size_t kItems = 2000;
  ASSERT_TRUE(Write(kItems).ok());
  const Result<std::unique_ptr<SnapshotReader>> reader = Open();
  ASSERT_TRUE(reader.ok()) << reader.status().message();
  EXPECT_EQ((*reader)->info().history, kHistory);
  EXPECT_EQ((*reader)->info().begin, kBegin);
  EXPECT_EQ((*reader)->info().end, kEnd);
  EXPECT_EQ((*reader)->info().time_ms, 1234);
  EXPECT_EQ((*reader)->info().items, kItems);
  EXPECT_GT((*reader)->blocks(), 3u);
  size_t next = 0;
  ASSERT_TRUE((*reader)
                  ->ReadAll([&next](std::string_view item) {
                    EXPECT_EQ(item, Item(next++));
                    return Status();
                  })
                  .ok());
  EXPECT_EQ(next, kItems);
}

TEST_F(SnapshotTest, AnEmptyStoreHasASnapshotToo) {
  ASSERT_TRUE(Write(0).ok());
  EXPECT_TRUE(IsWhole());
  EXPECT_EQ((*Open())->info().items, 0u);
}

TEST_F(SnapshotTest, AnItemLongerThanABlockIsOneBlock) {
  const std::unique_ptr<SnapshotWriter> writer = Begin();
  const std::string item(5 << 20, 'x');
  ASSERT_TRUE(writer->Add("before").ok());
  ASSERT_TRUE(writer->Add(item).ok());
  ASSERT_TRUE(writer->Finish(kEnd).ok());
  ASSERT_TRUE(writer->Publish().ok());
  std::vector<size_t> lengths;
  ASSERT_TRUE((*Open())
                  ->ReadAll([&lengths](std::string_view read) {
                    lengths.push_back(read.size());
                    return Status();
                  })
                  .ok());
  EXPECT_EQ(lengths, (std::vector<size_t>{6, item.size()}));
}

TEST_F(SnapshotTest, ItHasNoNameBeforeItIsPublished) {
  const std::unique_ptr<SnapshotWriter> writer = Begin();
  ASSERT_TRUE(writer->Add("item").ok());
  ASSERT_TRUE(writer->Finish(kEnd).ok());
  for (const std::string& path : files_.Paths()) EXPECT_TRUE(path.ends_with(".tmp"));
  ASSERT_TRUE(writer->Publish().ok());
  EXPECT_EQ(files_.Paths(), std::vector<std::string>{"/data/" + SnapshotName(kBegin)});
}

TEST_F(SnapshotTest, OneThatWasNotFinishedIsInNobodysWay) {
  ASSERT_TRUE(Begin()->Add("item").ok());
  ASSERT_TRUE(Write(3).ok());
  EXPECT_TRUE(IsWhole());
}

TEST_F(SnapshotTest, ItIsOnDiskWhenItIsPublished) {
  ASSERT_TRUE(Write(500).ok());
  files_.CutPower();
  EXPECT_TRUE(IsWhole());
}

TEST_F(SnapshotTest, BlocksAreReadByThreads) {
  ASSERT_TRUE(Write(2000).ok());
  const Result<std::unique_ptr<SnapshotReader>> reader = Open();
  ASSERT_TRUE(reader.ok());
  std::atomic<size_t> items{0};
  std::vector<std::thread> threads;
  for (size_t index = 0; index < (*reader)->blocks(); ++index) {
    threads.emplace_back([&reader, &items, index] {
      EXPECT_TRUE((*reader)
                      ->ReadBlock(index,
                                  [&items](std::string_view) {
                                    items.fetch_add(1);
                                    return Status();
                                  })
                      .ok());
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(items.load(), 2000u);
}

TEST_F(SnapshotTest, EveryFlipAndEveryCutIsFound) {
  ASSERT_TRUE(Write(8).ok());
  const std::string path = "/data/" + SnapshotName(kBegin);
  const std::string whole = files_.Content(path);
  for (size_t at = 0; at < whole.size(); ++at) {
    std::string flipped = whole;
    flipped[at] = static_cast<char>(flipped[at] ^ (1 << (at % 8)));
    files_.SetContent(path, flipped);
    ASSERT_FALSE(IsWhole()) << "byte " << at;
    files_.SetContent(path, whole.substr(0, at));
    ASSERT_FALSE(IsWhole()) << "length " << at;
  }
}

TEST_F(SnapshotTest, AFaultAtAnyCallLeavesNoNameOrAWholeSnapshot) {
  int injected = 0;
  for (uint64_t nth = 1;; ++nth, ++injected) {
    files_.FailCall(nth, ENOSPC, /*for_ever=*/false);
    const Status status = Write(5);
    const bool fired = files_.fault_fired();
    files_.StopFailing();
    EXPECT_EQ(status.ok(), !fired);
    const Result<std::vector<std::string>> names = files_.List("/data");
    ASSERT_TRUE(names.ok());
    const std::set<std::string> there(names->begin(), names->end());
    EXPECT_TRUE(!there.contains(SnapshotName(kBegin)) || IsWhole());
    if (!fired) break;
  }
  EXPECT_GT(injected, 8);
}

TEST_F(SnapshotTest, OlderOnesAreRemoved) {
  for (const uint64_t begin : {1, 2, 300}) {
    files_.SetContent("/data/" + SnapshotName(begin), "");
  }
  ASSERT_TRUE(RemoveSnapshotsBefore(files_, "/data", 300).ok());
  EXPECT_EQ(files_.Paths(), std::vector<std::string>{"/data/" + SnapshotName(300)});
}

TEST(SnapshotNameTest, IsReadBackAndNothingElseIs) {
  EXPECT_EQ(SnapshotName(0xab), "00000000000000ab.snapshot");
  EXPECT_EQ(SnapshotOfName("00000000000000ab.snapshot"), 0xabu);
  for (const char* name : {"00000000000000AB.snapshot", "ab.snapshot", "00000000000000ab.log",
                           "00000000000000ab.snapshot.tmp", "-0000000000000ab.snapshot"}) {
    EXPECT_FALSE(SnapshotOfName(name).has_value()) << name;
  }
}

}  // namespace
}  // namespace entrepot
