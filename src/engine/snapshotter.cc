#include "engine/snapshotter.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "log/backup.h"
#include "store/snapshot_item.h"

namespace entrepot {

namespace {

// How often the log's length is looked at, and the disk's progress waited for.
constexpr std::chrono::milliseconds kPeriod{1000};
constexpr std::chrono::milliseconds kSyncPeriod{5};

Status GivenUp() { return Status(Code::kUnavailable, "the server stops"); }

}  // namespace

Snapshotter::Snapshotter(Engine* engine, FileLog* log, FileSystem* files, uint64_t begin,
                         const LogKeep& keep, Report report, TasksDone tasks_done)
    : engine_(engine),
      log_(log),
      files_(files),
      keep_(keep),
      report_(std::move(report)),
      tasks_done_(std::move(tasks_done)),
      begin_(begin),
      thread_([this] { Run(); }) {}

Snapshotter::~Snapshotter() { Stop(); }

void Snapshotter::Stop() {
  {
    MutexLock lock(mu_);
    stopping_.store(true, std::memory_order_relaxed);
    wake_.NotifyOne();
  }
  if (thread_.joinable()) thread_.join();
}

void Snapshotter::Request() {
  MutexLock lock(mu_);
  requested_ = true;
  wake_.NotifyOne();
}

Result<std::shared_ptr<const SnapshotTask>> Snapshotter::Ask(std::string destination) {
  if (!destination.empty()) {
    // Told before a snapshot is written for nothing.
    if (Status status = CheckIsFree(*files_, destination); !status.ok()) return status;
  }
  auto task = std::make_shared<SnapshotTask>(std::move(destination));
  MutexLock lock(mu_);
  if (stopping()) return GivenUp();
  if (waiting_ == kSnapshotTasksMax) {
    return Status(Code::kOverloaded, "too many wait for a snapshot already");
  }
  ++waiting_;
  tasks_.push_back(task);
  wake_.NotifyOne();
  return std::shared_ptr<const SnapshotTask>(std::move(task));
}

void Snapshotter::Run() {
  while (!stopping()) {
    bool requested;
    Tasks tasks;
    {
      MutexLock lock(mu_);
      if (!requested_ && tasks_.empty() && !stopping()) wake_.WaitFor(mu_, kPeriod);
      if (stopping()) break;
      tasks.swap(tasks_);
      requested = std::exchange(requested_, false) || !tasks.empty();
    }
    const uint64_t grown = LogBytesNeeded() - log_bytes_before_;
    if (!requested && grown < std::max(kSnapshotLogBytesMin, snapshot_bytes_)) {
      // What could not be removed is not tried again, so it is told once.
      if (Status status = TrimLog(); !status.ok()) report_(status);
      continue;
    }
    const Result<SnapshotInfo> snapshot = Write();
    if (snapshot.ok()) written_.fetch_add(1, std::memory_order_relaxed);
    log_bytes_before_ = LogBytesNeeded();
    if (!stopping()) report_(snapshot);
    FinishTasks(tasks, snapshot);
  }
  Tasks left;
  {
    MutexLock lock(mu_);
    left.swap(tasks_);
  }
  FinishTasks(left, GivenUp());
}

void Snapshotter::FinishTasks(const Tasks& tasks, const Result<SnapshotInfo>& snapshot) {
  for (const std::shared_ptr<SnapshotTask>& task : tasks) {
    if (!snapshot.ok()) {
      task->Finish(snapshot.status());
    } else if (task->destination().empty()) {
      task->Finish(snapshot->begin);
    } else {
      task->Finish(WriteBackupFrom(*snapshot, task->destination()));
    }
    {
      MutexLock lock(mu_);
      --waiting_;
    }
    tasks_done_();
  }
}

Result<uint64_t> Snapshotter::WriteBackupFrom(const SnapshotInfo& snapshot,
                                              const std::string& destination) {
  const BackupSource source{.identity = log_->identity(),
                            .snapshot = snapshot,
                            .segments = log_->SegmentsFrom(snapshot.begin)};
  // A backup must not know either what the log may still lose.
  const Committer& committer = engine_->committer();
  Status status = WaitForDisk(committer.last_revision(), committer.last_record());
  if (!status.ok()) return status;
  return WriteBackup(*files_, log_->folder(), source, destination, [this] { return stopping(); });
}

uint64_t Snapshotter::LogBytesNeeded() const {
  uint64_t bytes = 0;
  for (const LogSegment& segment : log_->SegmentsFrom(begin_)) bytes += segment.end;
  return bytes;
}

Status Snapshotter::TrimLog() {
  // The past gives way to what is written now.
  const LogKeep keep = log_->disk_full() ? LogKeep{} : keep_;
  const uint64_t to = log_->SuperfluousUpTo(begin_, keep, engine_->NowMs());
  return to == 0 ? Status() : log_->Trim(to);
}

Result<SnapshotInfo> Snapshotter::Write() {
  // Every change up to R is in the store already, or its writer still holds the stripe that is
  // walked.
  const uint64_t begin = engine_->committer().last_revision();
  Result<std::unique_ptr<SnapshotWriter>> created = SnapshotWriter::Create(
      *files_, log_->folder(), log_->identity().history, begin, engine_->NowMs());
  if (!created.ok()) return created.status();
  Result<SnapshotInfo> written = WriteTo(created->get());
  // What is not finished would only take room, on a disk that may have none.
  if (!written.ok()) static_cast<void>((*created)->Abandon().ok());
  if (!written.ok()) return written;
  begin_ = begin;
  Status status = RemoveSnapshotsBefore(*files_, log_->folder(), begin);
  if (status.ok()) status = TrimLog();
  if (!status.ok()) return status;
  return written;
}

Result<SnapshotInfo> Snapshotter::WriteTo(SnapshotWriter* writer) {
  Committer& committer = engine_->committer();
  Store& store = engine_->store();
  EngineThread thread(&store);
  Status status;
  ByteBuffer item;
  const auto add = [&] {
    if (status.ok()) status = writer->Add(item.view());
    item.Clear();
  };

  std::vector<const Entry*> entries;
  for (uint32_t number = 0; number < store.stripes() && status.ok(); ++number) {
    if (stopping()) return GivenUp();
    entries.clear();
    // What was collected stays readable until the turn ends, so nobody waits while it is written.
    engine_->EnterTurn(&thread);
    store.ForEach(number, [&](Entry* entry) { entries.push_back(entry); });
    for (const Entry* entry : entries) {
      AppendEntryItem(&item, *entry);
      add();
    }
    engine_->LeaveTurn(&thread);
  }
  engine_->retries().ForEach(
      [&](const SessionId& id, uint64_t done, const std::vector<RetryOutcome>& outcomes) {
        AppendSessionItem(&item, id.high, id.low, done, outcomes);
        add();
      });
  for (const IndexOrder order : {IndexOrder::kByValue, IndexOrder::kByKey}) {
    if (!engine_->IndexInUse(order)) continue;
    AppendIndexItem(&item, static_cast<uint8_t>(order));
    add();
  }
  if (!status.ok()) return status;

  const uint64_t end = committer.last_revision();
  if (status = writer->Finish(end); !status.ok()) return status;
  // A snapshot must not know what the log may still lose.
  if (status = WaitForDisk(end, committer.last_record()); !status.ok()) return status;
  snapshot_bytes_ = writer->bytes();
  return writer->Publish();
}

Status Snapshotter::WaitForDisk(uint64_t revision, uint64_t record) {
  Committer& committer = engine_->committer();
  committer.RequestSync();
  while (committer.synced() < revision || committer.synced_record() < record) {
    if (committer.failed()) return Status(Code::kUnavailable, committer.failure());
    MutexLock lock(mu_);
    if (stopping()) return GivenUp();
    wake_.WaitFor(mu_, kSyncPeriod);
  }
  return Status();
}

}  // namespace entrepot
