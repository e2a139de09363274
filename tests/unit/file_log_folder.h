// A data folder in memory and a server's use of it, for the tests of the log: what was asked, what
// was acknowledged, what came back.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "log/recovery.h"
#include "log/snapshot.h"
#include "support/faulty_file.h"

namespace entrepot {

inline const std::string kFolder = "/data";

// Small segments, so that a few records cross several; no thread, so that calls come in one order.
inline FileLogOptions SmallSegments() {
  FileLogOptions options;
  options.segment_bytes = 1024;
  options.reserve_bytes = 2048;
  options.background = false;
  return options;
}

// A whole kChange record.
inline std::string ChangeRecord(uint64_t revision, std::string_view payload, int64_t time_ms = 0) {
  std::string record(RecordBytes(payload.size()), '\0');
  StoreRecordHeader(record.data(), static_cast<uint32_t>(payload.size()), revision, /*term=*/0,
                    time_ms, RecordType::kChange);
  payload.copy(record.data() + kRecordHeaderBytes, payload.size());
  return record;
}

// One server after the other on one folder. Each change has a revision and a payload.
class LogFolder {
 public:
  using Changes = std::map<uint64_t, std::string>;

  explicit LogFolder(uint64_t seed = 1) : files(seed) {}

  // Starts a server: opens the folder and reads what the log has.
  Status Open() {
    Result<OpenedLog> result = OpenLog(files, kFolder, options);
    if (!result.ok()) return result.status();
    opened = std::move(*result);
    last = opened.last_revision;
    recovered.clear();
    skips.clear();
    return Read();
  }

  // Appends `count` changes as one group.
  Status Append(int count, bool sync, size_t payload_bytes = 24) {
    std::string records;
    Changes group;
    uint64_t revision = last;
    for (int i = 0; i < count; ++i) {
      std::string payload = std::to_string(++revision) + " of " + std::to_string(payloads_++);
      payload.resize(std::max(payload.size(), payload_bytes), '.');
      records += ChangeRecord(revision, payload, static_cast<int64_t>(1000 + revision));
      EXPECT_TRUE(given_.insert(revision).second) << "revision " << revision << " is given twice";
      group[revision] = payload;
    }
    const Result<Watermark> watermark = opened.log->Append(records, revision, sync);
    if (!watermark.ok() && watermark.status().code() == Code::kReadOnly) {
      for (const auto& [unwritten, payload] : group) given_.erase(unwritten);
      return watermark.status();
    }
    asked.merge(group);
    last = revision;
    if (!watermark.ok()) return watermark.status();
    EXPECT_EQ(watermark->written, revision);
    EXPECT_GE(watermark->synced, synced);
    synced = watermark->synced;
    EXPECT_TRUE(!sync || watermark->synced == revision);
    return Status();
  }

  // The process ends without a word; the machine goes on.
  void Kill() { opened.log.reset(); }
  // The machine ends as well.
  void CutPower() {
    Kill();
    files.CutPower();
  }
  Status Stop() {
    Status status = opened.log->Stop();
    opened.log.reset();
    return status;
  }

  // Writes a snapshot of all that was recovered at the last Open(), and publishes it.
  Status WriteSnapshot() {
    Result<std::unique_ptr<SnapshotWriter>> writer = SnapshotWriter::Create(
        files, kFolder, opened.log->identity().history, opened.last_revision, opened.time_ms);
    if (!writer.ok()) return writer.status();
    for (const auto& [revision, payload] : recovered) {
      Status status = (*writer)->Add(ChangeRecord(revision, payload));
      if (!status.ok()) return status;
    }
    Status status = (*writer)->Finish(opened.last_revision);
    if (!status.ok()) return status;
    const Result<SnapshotInfo> published = (*writer)->Publish();
    return published.ok() ? Status() : published.status();
  }

  // Every change that was acknowledged is there as it was, and nothing that was never asked.
  void ExpectNothingLost() const {
    for (const auto& [revision, payload] : asked) {
      const auto found = recovered.find(revision);
      if (found != recovered.end()) {
        EXPECT_EQ(found->second, payload);
      } else {
        EXPECT_GT(revision, synced) << "an acknowledged change is lost";
      }
    }
    for (const auto& [revision, payload] : recovered) {
      EXPECT_TRUE(asked.contains(revision)) << "revision " << revision << " was never asked for";
    }
  }

  // What a start concluded is what the next one must find: what is recovered was told to clients.
  void TakeRecoveredAsPromised() {
    if (!recovered.empty()) synced = std::max(synced, recovered.rbegin()->first);
    std::erase_if(asked, [this](const auto& change) { return !recovered.contains(change.first); });
  }

  FaultyFileSystem files;
  FileLogOptions options = SmallSegments();
  OpenedLog opened;
  uint64_t last = 0;    // The last revision given.
  uint64_t synced = 0;  // Acknowledged as on disk up to here.
  Changes asked;
  Changes recovered;
  Changes skips;  // Last skipped revision to "first".

 private:
  Status Read() {
    if (opened.snapshot) {
      Result<std::unique_ptr<SnapshotReader>> reader =
          SnapshotReader::Open(files, kFolder, opened.snapshot->name);
      if (!reader.ok()) return reader.status();
      Status status = (*reader)->ReadAll([this](std::string_view item) {
        const Record record = LoadRecord(item);
        recovered[record.revision] = record.payload;
        return Status();
      });
      if (!status.ok()) return status;
    }
    return opened.log->Replay(opened.replay_from, [this](const Record& record) {
      if (record.type == RecordType::kSkip) {
        skips[record.revision] = std::to_string(LoadLittle<uint64_t>(record.payload.data()));
      } else {
        recovered[record.revision] = record.payload;
      }
      return Status();
    });
  }

  uint64_t payloads_ = 0;
  std::set<uint64_t> given_;  // By any of the servers.
};

inline void ExpectOk(const Status& status) {
  EXPECT_TRUE(status.ok()) << CodeName(status.code()) << ": " << status.message();
}

}  // namespace entrepot
