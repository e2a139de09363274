#include "server/data_folder.h"

#include <algorithm>
#include <thread>
#include <vector>

#include "base/random.h"
#include "log/snapshot.h"

namespace entrepot {

namespace {

// Records replayed in one turn, so that what they replace is freed meanwhile.
constexpr uint64_t kReplayTurn = 1024;

Status GivenUp() { return Status(Code::kUnavailable, "the data was not read to its end"); }

}  // namespace

Result<std::unique_ptr<DataFolder>> DataFolder::Open(const std::string& folder, const LogKeep& keep,
                                                     Logger* logger) {
  Result<OpenedLog> opened = OpenLog(FileSystem::Posix(), folder, {});
  if (!opened.ok()) return opened.status();
  if (opened->created) {
    logger->Info("made the data folder {}", folder);
  } else if (opened->clean) {
    logger->Info("data folder {}, cleanly stopped at revision {}", folder, opened->last_revision);
  } else {
    logger->Warning("data folder {} was not stopped cleanly; its log ends at revision {}", folder,
                    opened->last_revision);
  }
  if (!opened->cut.empty()) logger->Warning("{}", opened->cut);
  if (opened->skipped) {
    logger->Info("revisions {} to {} will not be given", opened->skipped->first,
                 opened->skipped->last);
  }
  return std::unique_ptr<DataFolder>(new DataFolder(std::move(*opened), keep, logger));
}

void DataFolder::Describe(Engine::Options* options) const {
  options->history = Hex64(opened_.log->identity().history);
  options->next_revision = opened_.last_revision + 1;
  options->time_ms = opened_.time_ms;
}

Status DataFolder::RestoreSnapshot(Engine* engine, const std::function<bool()>& give_up) {
  Result<std::unique_ptr<SnapshotReader>> reader =
      SnapshotReader::Open(FileSystem::Posix(), opened_.log->folder(), opened_.snapshot->name);
  if (!reader.ok()) return reader.status();
  std::atomic<size_t> next_block{0};
  std::vector<Status> outcomes(std::max(1u, std::thread::hardware_concurrency()));
  std::vector<std::thread> threads;
  for (Status& outcome : outcomes) {
    threads.emplace_back([&] {
      EngineThread thread(&engine->store());
      for (size_t block = next_block.fetch_add(1); block < (*reader)->blocks() && outcome.ok();
           block = next_block.fetch_add(1)) {
        if (give_up()) {
          outcome = GivenUp();
          break;
        }
        uint64_t items = 0;
        engine->EnterTurn(&thread);
        outcome = (*reader)->ReadBlock(block, [&](std::string_view item) {
          ++items;
          return engine->RestoreItem(&thread, item);
        });
        engine->LeaveTurn(&thread);
        recovered_.fetch_add(items, std::memory_order_relaxed);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const Status& outcome : outcomes) {
    if (!outcome.ok()) return outcome;
  }
  return Status();
}

Status DataFolder::Recover(Engine* engine, Snapshotter::TasksDone tasks_done,
                           const std::function<bool()>& give_up) {
  const int64_t start_us = MonotonicMicros();
  if (opened_.snapshot) {
    if (Status status = RestoreSnapshot(engine, give_up); !status.ok()) return status;
  }
  EngineThread thread(&engine->store());
  uint64_t records = 0;
  engine->EnterTurn(&thread);
  const Status status = opened_.log->Replay(opened_.replay_from, [&](const Record& record) {
    if (++records % kReplayTurn == 0) {
      engine->LeaveTurn(&thread);
      engine->EnterTurn(&thread);
      if (give_up()) return GivenUp();
    }
    recovered_.fetch_add(1, std::memory_order_relaxed);
    return engine->ReplayRecord(&thread, record);
  });
  engine->LeaveTurn(&thread);
  if (!status.ok()) return status;
  if (!opened_.created) {
    logger_.Info("recovered {} entries in {} ms: {} items of a snapshot, {} records of the log",
                 engine->store().CountTotals().entries, (MonotonicMicros() - start_us) / 1000,
                 to_recover(), records);
  }
  snapshotter_ = std::make_unique<Snapshotter>(
      engine, opened_.log.get(), &FileSystem::Posix(), opened_.replay_from, keep_,
      [this](const Result<SnapshotInfo>& snapshot) {
        if (snapshot.ok()) {
          logger_.Info("snapshot of {} items, revisions {} to {}", snapshot->items, snapshot->begin,
                       snapshot->end);
        } else {
          logger_.Warning("no snapshot could be written: {}", snapshot.status().message());
        }
      },
      std::move(tasks_done));
  return Status();
}

}  // namespace entrepot
