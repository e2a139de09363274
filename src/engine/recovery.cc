// The part of the engine that makes the store from what the log's folder holds: a snapshot first,
// item by item, then the records from where the snapshot was begun.
//
// A snapshot was written while the store changed, so it is older in some keys than in others. A
// change is applied only where it is newer than the entry it meets, and all of them are applied in
// order: that makes each key what its last change made it, whether the snapshot had seen that or
// not.

#include "engine/engine.h"
#include "store/snapshot_item.h"

namespace entrepot {

namespace {

Status Unreadable(std::string_view what) {
  return Status(Code::kInternal,
                std::string(what) + " is whole, but says what this version cannot read");
}

}  // namespace

Status Engine::RestoreItem(EngineThread* thread, std::string_view bytes) {
  SnapshotItem item;
  if (!ReadSnapshotItem(bytes, &item)) return Unreadable("an item of the snapshot");
  switch (item.kind) {
    case SnapshotItemKind::kEntry:
      ReplayChange(thread, item.change, item.version);
      break;
    case SnapshotItemKind::kSession:
      retries_.Restore({item.session_high, item.session_low}, item.done, item.outcomes, NowMs());
      break;
    case SnapshotItemKind::kIndex: {
      IndexState idle = IndexState::kIdle;
      index_states_[item.order].compare_exchange_strong(idle, IndexState::kWanted);
      break;
    }
  }
  return Status();
}

Status Engine::ReplayRecord(EngineThread* thread, const Record& record) {
  clock_.Raise(record.time_ms);
  std::string_view payload = record.payload;
  switch (record.type) {
    case RecordType::kChange:
    case RecordType::kOutcome: {
      RetryOutcome outcome;
      bool present;
      if (!TakeOutcome(&payload, &outcome, &present)) return Unreadable("a record of the log");
      Change change;
      while (!payload.empty()) {
        if (!TakeChange(&payload, &change)) return Unreadable("a record of the log");
        ReplayChange(thread, change, record.revision);
      }
      if (present) {
        // A change does not repeat the revision that its record has.
        if (record.type == RecordType::kChange && outcome.version == 0) {
          outcome.version = record.revision;
        }
        retries_.Restore({outcome.session_high, outcome.session_low}, outcome.done, {outcome},
                         NowMs());
      }
      return Status();
    }
    case RecordType::kSession:
      if (payload.size() != 16) return Unreadable("a record of the log");
      retries_.Restore(
          {LoadLittle<uint64_t>(payload.data()), LoadLittle<uint64_t>(payload.data() + 8)}, 0, {},
          NowMs());
      return Status();
    case RecordType::kIndex: {
      if (payload.size() != 1 || static_cast<uint8_t>(payload[0]) > 1) {
        return Unreadable("a record of the log");
      }
      IndexState idle = IndexState::kIdle;
      index_states_[static_cast<uint8_t>(payload[0])].compare_exchange_strong(idle,
                                                                              IndexState::kWanted);
      return Status();
    }
    case RecordType::kSkip:
    case RecordType::kGroup:
    case RecordType::kCeiling:
      return Status();
  }
  return Unreadable("a record of the log");
}

void Engine::ReplayChange(EngineThread* thread, const Change& change, uint64_t revision) {
  const uint64_t hash = store_.Hash(change.key);
  Store::Locked locked(&store_, &thread->participant_, {&hash, 1});
  Entry* const old = locked.Find(hash, change.key);
  if (old != nullptr && old->version() >= revision) return;
  Entry* fresh = nullptr;
  switch (change.op) {
    case ChangeOp::kDelete:
      if (old != nullptr) locked.Remove(hash, old, revision);
      return;
    case ChangeOp::kTouch:
      // Where there is nothing, the snapshot has seen its removal, which is still to come.
      if (old == nullptr) return;
      fresh = Entry::CopyWithExpiry(*old, change.expires_at_ms);
      break;
    case ChangeOp::kSet:
      fresh = Entry::New(change.key, change.value, change.expires_at_ms);
      break;
  }
  fresh->set_version(revision);
  locked.Put(hash, old, fresh);
}

}  // namespace entrepot
