// docs/FORMAT.md, the golden folders and the code agree.

#include "log/format.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <sstream>

#include "log/folder_survey.h"
#include "log/recovery.h"
#include "log/tools.h"
#include "unit/file_log_folder.h"

namespace entrepot {
namespace {

const std::string kGolden = std::string(ENTREPOT_SOURCE_DIR) + "/tests/unit/golden/format-1";

// The files of a golden folder, in memory.
void CopyGolden(FaultyFileSystem& files) {
  FileSystem& real = FileSystem::Posix();
  const Result<std::vector<std::string>> names = real.List(kGolden);
  ASSERT_TRUE(names.ok()) << names.status().message();
  for (const std::string& name : *names) {
    const Result<std::string> content = ReadWholeFile(real, kGolden + "/" + name, 1 << 20);
    ASSERT_TRUE(content.ok()) << content.status().message();
    files.SetContent(kFolder + "/" + name, *content);
  }
}

// The files of the example of docs/FORMAT.md: a line that begins with a name in backquotes, then
// indented lines "offset  bytes  what they are".
std::map<std::string, std::string> ExampleFiles() {
  std::map<std::string, std::string> files;
  std::ifstream page(std::string(ENTREPOT_SOURCE_DIR) + "/docs/FORMAT.md");
  std::string name;
  bool in_example = false;
  for (std::string line; std::getline(page, line);) {
    if (line.starts_with("## ")) in_example = line.starts_with("## An example");
    if (!in_example) continue;
    if (line.starts_with("`")) name = line.substr(1, line.find('`', 1) - 1);
    if (!line.starts_with("    ")) continue;
    const std::string column = line.substr(std::string("    0000  ").size(), 23);
    EXPECT_EQ(std::stoul(line, nullptr, 16), files[name].size()) << line;
    std::istringstream bytes(column);
    for (std::string byte; bytes >> byte;) {
      files[name].push_back(static_cast<char>(std::stoul(byte, nullptr, 16)));
    }
  }
  return files;
}

TEST(FormatTest, TheExampleOfThePageIsTheGoldenFolder) {
  FaultyFileSystem golden;
  CopyGolden(golden);
  std::map<std::string, std::string> expected;
  for (const std::string& path : golden.Paths()) {
    expected[path.substr(kFolder.size() + 1)] = golden.Content(path);
  }
  EXPECT_EQ(ExampleFiles(), expected);
  EXPECT_EQ(expected.size(), 4u);
}

TEST(FormatTest, AFolderOfVersion1IsRead) {
  LogFolder folder;
  CopyGolden(folder.files);
  const Result<FolderSurvey> survey = VerifyFolder(folder.files, kFolder);
  ASSERT_TRUE(survey.ok());
  EXPECT_TRUE(survey->findings.empty());

  Result<OpenedLog> opened = OpenLog(folder.files, kFolder, SmallSegments());
  ASSERT_TRUE(opened.ok()) << opened.status().message();
  EXPECT_TRUE(opened->clean);
  EXPECT_EQ(opened->log->identity().history, 0x0123456789abcdefu);
  EXPECT_EQ(opened->last_revision, 2u);
  EXPECT_EQ(opened->time_ms, 1'700'000'000'007);
  EXPECT_EQ(opened->replay_from, 1u);
  ASSERT_TRUE(opened->snapshot.has_value());
  EXPECT_EQ(opened->snapshot->end, 2u);
  std::vector<std::string> records;
  ExpectOk(opened->log->Replay(0, [&records](const Record& record) {
    records.push_back(std::to_string(static_cast<int>(record.type)) + " " +
                      std::to_string(record.revision) + " " + std::string(record.payload));
    return Status();
  }));
  EXPECT_EQ(records, (std::vector<std::string>{"1 1 alpha", "1 2 beta beta", "2 2 ok"}));
  Result<std::unique_ptr<SnapshotReader>> snapshot =
      SnapshotReader::Open(folder.files, kFolder, opened->snapshot->name);
  ASSERT_TRUE(snapshot.ok());
  std::vector<std::string> items;
  ExpectOk((*snapshot)->ReadAll([&items](std::string_view item) {
    items.emplace_back(item);
    return Status();
  }));
  EXPECT_EQ(items, (std::vector<std::string>{"item one", "two"}));
}

TEST(FormatTest, HeadersAreReadBackAsTheyWereWritten) {
  const SegmentHeader header{.history = 1,
                             .segment = 2,
                             .salt = 3,
                             .bytes = 4,
                             .previous_end = 5,
                             .previous_revision = 6,
                             .previous_time_ms = 7,
                             .ceiling = 8,
                             .previous_checksum = 9};
  const std::string bytes = EncodeSegmentHeader(header);
  const Result<SegmentHeader> read = DecodeSegmentHeader(bytes, "a");
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(EncodeSegmentHeader(*read), bytes);
  EXPECT_EQ(read->previous_checksum, 9u);
  EXPECT_EQ(DecodeSegmentHeader(bytes.substr(1), "a").status().code(), Code::kInternal);
  EXPECT_EQ(DecodeSegmentHeader("", "a").status().code(), Code::kInternal);
}

TEST(FormatTest, AGroupIsTakenForOneOnlyWhereItWasWrittenAndInItsSegment) {
  char bytes[kGroupBytes];
  const GroupHeader group{
      .durable_revision = 4, .durable_end = 88, .offset = 96, .bytes = 0, .previous_checksum = 5};
  StoreGroup(bytes, group, /*seed=*/77, /*revision=*/4, /*time_ms=*/1);
  const std::string_view record(bytes, kGroupBytes);
  const std::optional<GroupHeader> read = LoadGroup(record, 96, 77);
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->durable_end, 88u);
  EXPECT_FALSE(LoadGroup(record, 104, 77).has_value());
  EXPECT_FALSE(LoadGroup(record, 96, 78).has_value());
  EXPECT_FALSE(LoadGroup(record.substr(0, kGroupBytes - 1), 96, 77).has_value());
}

}  // namespace
}  // namespace entrepot
