#include "engine/engine.h"

#include <algorithm>
#include <chrono>

#include <absl/container/inlined_vector.h>

#include "base/random.h"

namespace entrepot {

namespace {

// How long a `find` waits for the index that it asked for, see docs/PROTOCOL.md, "find".
constexpr int64_t kIndexWaitMs = 1000;

// What a replay is told of `result`.
void Note(const OperationResult& result, RetryOutcome* outcome) {
  outcome->outcome = static_cast<uint8_t>(result.outcome);
  outcome->version = result.version == OperationResult::kNewVersion ? 0 : result.version;
  if (result.length) {
    outcome->extra_kind = RetryOutcome::Extra::kLength;
    outcome->extra = *result.length;
  } else if (result.number) {
    if (const auto* const integer = std::get_if<int64_t>(&*result.number)) {
      outcome->extra_kind =
          *integer < 0 ? RetryOutcome::Extra::kNegative : RetryOutcome::Extra::kUnsigned;
      outcome->extra = static_cast<uint64_t>(*integer);
    } else {
      outcome->extra_kind = RetryOutcome::Extra::kFloat;
      outcome->extra = std::bit_cast<uint64_t>(std::get<double>(*result.number));
    }
  }
}

size_t ValueBytes(const OperationResult& result) {
  return result.value ? result.value->bytes().size() : 0;
}

Status OverReplyLimit() {
  return Status(Code::kTooLarge, "the response would be over the limit of a reply");
}

}  // namespace

Engine::Engine(const Options& options, Log* log, const Clock& clock, Committer::Progress progress)
    : options_(options),
      progress_(progress),
      history_(options.history.empty() ? Hex64(RandomUint64()) : options.history),
      clock_(clock),
      store_(options.stripes),
      committer_(log, options.sync, options.next_revision, progress),
      index_states_{options.value_index ? IndexState::kIdle : IndexState::kOff,
                    options.key_index ? IndexState::kIdle : IndexState::kOff},
      maintenance_([this] { Maintain(); }) {
  clock_.Raise(options.time_ms);
}

Engine::~Engine() { static_cast<void>(Stop().ok()); }

Status Engine::Stop() {
  {
    MutexLock lock(maintenance_mu_);
    stopping_ = true;
    maintenance_wake_.NotifyOne();
  }
  if (maintenance_.joinable()) maintenance_.join();
  return committer_.Stop();
}

// --- Reading ----------------------------------------------------------------------------------

Gate Engine::GateOfReading(const Entry* entry, uint64_t last_removal) {
  // An entry that has expired shows its last change too: were that lost, what was there before it
  // would be there again.
  return {.open = entry == nullptr ? last_removal : entry->version()};
}

void Engine::GetMany(EngineThread* thread, std::span<const Operation> gets, Gate* gate,
                     absl::FunctionRef<void(size_t, const Entry*)> function) {
  const int64_t now_ms = thread->now_ms_;
  absl::InlinedVector<uint64_t, 16> hashes;
  for (const Operation& get : gets) hashes.push_back(get.hash);
  Store::Locked locked(&store_, &thread->participant_, hashes);
  for (size_t i = 0; i < gets.size(); ++i) {
    const Entry* const entry = locked.Find(gets[i].hash, gets[i].key);
    gate->Add(GateOfReading(entry, locked.LastRemoval(gets[i].hash)));
    function(i, entry != nullptr && !entry->ExpiredAt(now_ms) ? entry : nullptr);
  }
}

Result<Engine::Page> Engine::ReadPage(EngineThread* thread, IndexOrder order,
                                      const OrderedIndex::PageRequest& request, Gate* gate,
                                      absl::FunctionRef<OrderedIndex::Visit(const Entry&)> visit) {
  if (Status status = WaitForIndex(thread, order); !status.ok()) return status;
  const int64_t now_ms = thread->now_ms_;
  OrderedIndex& index = order == IndexOrder::kByValue ? store_.by_value() : store_.by_key();
  Page page;
  const OrderedIndex::Page read = index.ReadPage(
      request, &thread->participant_, [&] { page.revision = committer_.last_revision(); },
      [&](const Entry& entry) {
        page.last = &entry;
        return entry.ExpiredAt(now_ms) ? OrderedIndex::Visit::kContinue : visit(entry);
      });
  page.examined = read.examined;
  page.more = read.more;
  gate->Add({.open = page.revision});
  return page;
}

size_t Engine::PageBacklog(IndexOrder order) {
  if (index_states_[static_cast<int>(order)].load(std::memory_order_acquire) !=
      IndexState::kReady) {
    return SIZE_MAX;
  }
  return (order == IndexOrder::kByValue ? store_.by_value() : store_.by_key()).QueuedEntries();
}

Status Engine::WaitForIndex(EngineThread* thread, IndexOrder order) {
  std::atomic<IndexState>& state = index_states_[static_cast<int>(order)];
  const IndexState present = state.load(std::memory_order_acquire);
  if (present == IndexState::kReady) return Status();
  if (present == IndexState::kOff) {
    return Status(Code::kNoIndex, order == IndexOrder::kByValue
                                      ? "this server keeps no index by value (--value-index off)"
                                      : "this server keeps no index by key (--key-index off)");
  }
  if (present == IndexState::kIdle) WantIndex(thread, order);
  const int64_t until = MonotonicMicros() + kIndexWaitMs * 1000;
  const bool may_wait = index_waiters_.fetch_add(1) < options_.index_waiters_max;
  {
    MutexLock lock(maintenance_mu_);
    while (may_wait && state.load(std::memory_order_acquire) != IndexState::kReady) {
      const int64_t left = until - MonotonicMicros();
      if (left <= 0) break;
      index_ready_.WaitFor(maintenance_mu_, std::chrono::microseconds(left));
    }
  }
  index_waiters_.fetch_sub(1);
  if (state.load(std::memory_order_acquire) == IndexState::kReady) return Status();
  return Status(Code::kOverloaded, "the index is being built");
}

void Engine::WantIndex(EngineThread* thread, IndexOrder order) {
  IndexState idle = IndexState::kIdle;
  if (!index_states_[static_cast<int>(order)].compare_exchange_strong(idle, IndexState::kWanted)) {
    return;
  }
  // A log that takes nothing now is told by the next snapshot.
  size_t reserved = 0;
  if (Reserve(RecordBytes(1), &reserved).ok()) {
    ByteBuffer& record = thread->record_;
    record.Clear();
    record.Room(kRecordHeaderBytes + 1);
    record.Advance(kRecordHeaderBytes);
    *record.Room(1) = static_cast<char>(order);
    record.Advance(1);
    const Committer::Pending pending{RecordType::kIndex, &record};
    committer_.Append({&pending, 1}, thread->now_ms_, reserved);
  }
  MutexLock lock(maintenance_mu_);
  maintenance_wake_.NotifyOne();
}

bool Engine::IndexInUse(IndexOrder order) const {
  const IndexState state = index_states_[static_cast<int>(order)].load(std::memory_order_acquire);
  return state == IndexState::kWanted || state == IndexState::kReady;
}

void Engine::SetReady() {
  ready_.store(true, std::memory_order_release);
  MutexLock lock(maintenance_mu_);
  maintenance_wake_.NotifyOne();
}

// --- Writing ----------------------------------------------------------------------------------

Status Engine::Reserve(size_t bytes, size_t* reserved) {
  if (bytes <= *reserved) return Status();
  const Code code = committer_.Reserve(bytes - *reserved);
  switch (code) {
    case Code::kOk:
      *reserved = bytes;
      return Status();
    case Code::kReadOnly:
      return Status(code, "the disk is full");
    case Code::kUnavailable:
      return Status(code, "the log failed: " + committer_.failure());
    default:
      return Status(code, "the commit queue is full");
  }
}

size_t Engine::RecordBytesOf(std::span<const Planned> planned, bool with_outcome) {
  size_t payload = 1 + (with_outcome ? kRetryOutcomeBytes : 0);
  size_t expiries = 0;
  for (const Planned& plan : planned) {
    if (plan.effect.kind == Effect::kNone) continue;
    payload += kChangeHeaderBytes + plan.key.size();
    if (plan.effect.op == ChangeOp::kSet) payload += plan.effect.fresh->value_size();
    if (plan.expired) expiries += RecordBytes(1 + kChangeHeaderBytes + plan.key.size());
  }
  return RecordBytes(payload) + expiries;
}

uint64_t Engine::Commit(EngineThread* thread, Store::Locked* locked,
                        std::span<const Planned> planned, Cause cause, Retries::Attempt* attempt,
                        size_t* reserved, Gate* gate) {
  absl::InlinedVector<Committer::Pending, 2> records;
  absl::InlinedVector<uint64_t, 4> hashes;
  size_t expiries = 0;
  ByteBuffer& record = thread->record_;
  record.Clear();
  record.Room(kRecordHeaderBytes);
  record.Advance(kRecordHeaderBytes);
  AppendOutcome(&record, attempt != nullptr ? attempt->outcome() : nullptr);
  for (const Planned& plan : planned) {
    if (plan.effect.kind == Effect::kNone) continue;
    hashes.push_back(plan.hash);
    if (plan.expired) {
      // The expiry comes first, a change of its own.
      if (thread->expiry_records_.size() == expiries) thread->expiry_records_.emplace_back();
      ByteBuffer& expiry = thread->expiry_records_[expiries++];
      expiry.Clear();
      expiry.Room(kRecordHeaderBytes);
      expiry.Advance(kRecordHeaderBytes);
      AppendOutcome(&expiry, nullptr);
      AppendChange(&expiry, {.op = ChangeOp::kDelete,
                             .cause = Cause::kExpired,
                             .key = plan.key,
                             .previous_version = plan.old->version()});
    }
    const Entry* const fresh = plan.effect.fresh;
    AppendChange(
        &record,
        {.op = plan.effect.op,
         .cause = cause,
         .key = plan.key,
         .value = plan.effect.op == ChangeOp::kSet ? fresh->value() : std::string_view(),
         .previous_version = plan.old != nullptr && !plan.expired ? plan.old->version() : 0,
         .expires_at_ms = fresh != nullptr ? fresh->expires_at_ms() : 0});
  }
  for (size_t i = 0; i < expiries; ++i) {
    records.push_back({RecordType::kChange, &thread->expiry_records_[i]});
  }
  // A write that changes nothing has an outcome all the same, if it may be sent again.
  if (!hashes.empty()) {
    records.push_back({RecordType::kChange, &record});
  } else if (attempt != nullptr) {
    records.push_back({RecordType::kOutcome, &record});
  }
  locked->LockQueues(hashes);
  const Committer::Appended appended =
      committer_.Append(records, thread->now_ms_, std::exchange(*reserved, 0));
  const uint64_t revision = appended.revision;
  gate->Add({.open = revision, .open_record = attempt != nullptr ? appended.record : 0});
  for (const Planned& plan : planned) {
    if (plan.effect.kind == Effect::kPut) {
      plan.effect.fresh->set_version(revision);
      locked->Put(plan.hash, plan.old, plan.effect.fresh);
    } else if (plan.effect.kind == Effect::kRemove) {
      locked->Remove(plan.hash, plan.old, revision);
    }
  }
  if (attempt != nullptr) {
    if (attempt->outcome()->version == 0 && !hashes.empty()) attempt->outcome()->version = revision;
    attempt->Remember();
  }
  return revision;
}

Status Engine::Write(EngineThread* thread, const Operation& operation, Retries::Attempt* attempt,
                     size_t reply_room, OperationResult* result, Gate* gate) {
  const int64_t now_ms = thread->now_ms_;
  Planned plan{.key = operation.key, .hash = operation.hash};
  plan.effect = {Effect::kPut, ChangeOp::kSet, PrepareEntry(operation, now_ms)};
  Entry* const prepared = plan.effect.fresh;
  if (prepared == nullptr) plan.effect = {};
  size_t reserved = 0;
  Status status = Reserve(RecordBytesOf({&plan, 1}, attempt != nullptr), &reserved);
  if (!status.ok()) {
    if (prepared != nullptr) Entry::Delete(prepared);
    return status;
  }
  plan.effect = {};
  {
    Store::Locked locked(&store_, &thread->participant_, {&operation.hash, 1});
    plan.old = locked.Find(operation.hash, operation.key);
    plan.expired = plan.old != nullptr && plan.old->ExpiredAt(now_ms);
    const Entry* const live = plan.expired ? nullptr : plan.old;
    status = RunWrite(operation, live, prepared, now_ms, options_.limits, result, &plan.effect);
    if (status.ok() && ValueBytes(*result) > reply_room) status = OverReplyLimit();
    if (status.ok()) status = Reserve(RecordBytesOf({&plan, 1}, attempt != nullptr), &reserved);
    if (!status.ok() && plan.effect.fresh != nullptr && plan.effect.fresh != prepared) {
      Entry::Delete(std::exchange(plan.effect.fresh, nullptr));
    }
    if (status.ok()) {
      if (attempt != nullptr) Note(*result, attempt->outcome());
      const bool changes = plan.effect.kind != Effect::kNone;
      if (changes || attempt != nullptr) {
        const uint64_t revision =
            Commit(thread, &locked, {&plan, 1}, Cause::kClient, attempt, &reserved, gate);
        if (changes) result->version = revision;
      }
      if (!changes) {
        gate->Add(GateOfReading(plan.old, locked.LastRemoval(operation.hash)));
      }
    } else {
      // That it cannot be done tells what is there.
      gate->Add(GateOfReading(plan.old, locked.LastRemoval(operation.hash)));
    }
  }
  committer_.Release(reserved);
  if (prepared != nullptr && (!status.ok() || plan.effect.fresh != prepared)) {
    Entry::Delete(prepared);
  }
  return status;
}

Status Engine::Transact(EngineThread* thread, const Transaction& transaction,
                        Retries::Attempt* attempt, size_t reply_room, TransactionResult* result,
                        Gate* gate) {
  const int64_t now_ms = thread->now_ms_;
  absl::InlinedVector<uint64_t, 16> hashes;
  size_t bytes = RecordBytes(1 + kRetryOutcomeBytes);
  for (const Condition& condition : transaction.conditions) hashes.push_back(condition.hash);
  for (const auto* branch : {&transaction.then_operations, &transaction.else_operations}) {
    size_t branch_bytes = 0;
    for (const Operation& operation : *branch) {
      hashes.push_back(operation.hash);
      branch_bytes += kChangeHeaderBytes + operation.key.size() + operation.value.size();
    }
    bytes = std::max(bytes, RecordBytes(1 + kRetryOutcomeBytes + branch_bytes));
  }
  size_t reserved = 0;
  if (Status status = Reserve(bytes, &reserved); !status.ok()) return status;

  // The branch's keys, sorted by hash and key, so that each operation finds what those before it
  // did.
  std::vector<Planned> planned;
  Status status;
  {
    Store::Locked locked(&store_, &thread->participant_, hashes);
    const auto live = [&](uint64_t hash, std::string_view key) -> const Entry* {
      const Entry* const entry = locked.Find(hash, key);
      gate->Add(GateOfReading(entry, locked.LastRemoval(hash)));
      return entry != nullptr && !entry->ExpiredAt(now_ms) ? entry : nullptr;
    };
    const bool holds = std::all_of(transaction.conditions.begin(), transaction.conditions.end(),
                                   [&](const Condition& condition) {
                                     return condition.Holds(live(condition.hash, condition.key));
                                   });
    result->outcome = holds ? Outcome::kCommitted : Outcome::kRejected;
    const std::vector<Operation>& branch =
        holds ? transaction.then_operations : transaction.else_operations;

    const auto order = [](const Planned& left, const Planned& right) {
      return left.hash != right.hash ? left.hash < right.hash : left.key < right.key;
    };
    for (const Operation& operation : branch) {
      planned.push_back({.key = operation.key, .hash = operation.hash});
    }
    std::sort(planned.begin(), planned.end(), order);
    planned.erase(std::unique(planned.begin(), planned.end(),
                              [&](const Planned& left, const Planned& right) {
                                return left.hash == right.hash && left.key == right.key;
                              }),
                  planned.end());
    for (Planned& plan : planned) {
      plan.old = locked.Find(plan.hash, plan.key);
      plan.expired = plan.old != nullptr && plan.old->ExpiredAt(now_ms);
    }

    size_t value_bytes = 0;
    for (const Operation& operation : branch) {
      Planned& plan =
          *std::lower_bound(planned.begin(), planned.end(),
                            Planned{.key = operation.key, .hash = operation.hash}, order);
      const Entry* present = live(operation.hash, operation.key);
      const bool written = plan.effect.kind != Effect::kNone;
      if (written) present = plan.effect.fresh;  // Null where it was removed.
      if (present != nullptr && present->ExpiredAt(now_ms)) present = nullptr;
      OperationResult& answer = result->results.emplace_back();
      if (operation.IsWrite()) {
        Entry* const prepared = PrepareEntry(operation, now_ms);
        status =
            RunWrite(operation, present, prepared, now_ms, options_.limits, &answer, &plan.effect);
        if (prepared != nullptr && plan.effect.fresh != prepared) Entry::Delete(prepared);
        if (!status.ok()) break;
        if (answer.outcome == Outcome::kConflict) {
          result->outcome = Outcome::kRejected;
          result->undone = true;
          break;
        }
      } else {
        RunGet(operation, present, now_ms, &answer);
        if (present != nullptr && written) answer.version = OperationResult::kNewVersion;
      }
      value_bytes += ValueBytes(answer);
      if (value_bytes > reply_room) {
        status = OverReplyLimit();
        break;
      }
    }
    if (status.ok() && !result->undone) {
      status = Reserve(RecordBytesOf(planned, attempt != nullptr), &reserved);
    }
    if (!status.ok() || result->undone) {
      for (Planned& plan : planned) {
        if (plan.effect.fresh != nullptr) Entry::Delete(plan.effect.fresh);
        plan.effect = {};
      }
    }
    if (status.ok()) {
      const bool changes = std::any_of(planned.begin(), planned.end(), [](const Planned& plan) {
        return plan.effect.kind != Effect::kNone;
      });
      if (attempt != nullptr) {
        attempt->outcome()->outcome = static_cast<uint8_t>(result->outcome);
        attempt->outcome()->version = changes ? 0 : gate->open;
      }
      result->version = gate->open;
      if (changes || attempt != nullptr) {
        const uint64_t revision =
            Commit(thread, &locked, planned, Cause::kTransaction, attempt, &reserved, gate);
        if (changes) result->version = revision;
      }
      for (OperationResult& answer : result->results) {
        if (answer.version == OperationResult::kNewVersion) answer.version = result->version;
      }
    }
  }
  committer_.Release(reserved);
  return status;
}

size_t Engine::RemoveKeys(EngineThread* thread, std::span<const std::string> keys, Cause cause,
                          uint64_t* version, Gate* gate, Status* status) {
  const int64_t now_ms = thread->now_ms_;
  size_t removed = 0;
  for (const std::string& key : keys) {
    Planned plan{.key = key, .hash = store_.Hash(key)};
    size_t reserved = 0;
    *status = Reserve(RecordBytes(1 + kChangeHeaderBytes + key.size()), &reserved);
    if (!status->ok()) break;
    {
      Store::Locked locked(&store_, &thread->participant_, {&plan.hash, 1});
      plan.old = locked.Find(plan.hash, key);
      const bool expired = plan.old != nullptr && plan.old->ExpiredAt(now_ms);
      if (plan.old != nullptr && expired == (cause == Cause::kExpired)) {
        plan.effect = {Effect::kRemove, ChangeOp::kDelete, nullptr};
        *version = Commit(thread, &locked, {&plan, 1}, cause, nullptr, &reserved, gate);
        ++removed;
      }
    }
    committer_.Release(reserved);
  }
  return removed;
}

Status Engine::DeletePrefix(EngineThread* thread, std::string_view prefix, uint64_t limit,
                            Retries::Attempt* attempt, PrefixDeletion* result, Gate* gate) {
  // Room for the outcome before anything is removed: what was begun is to be told.
  size_t reserved = 0;
  if (attempt != nullptr) {
    if (Status room = Reserve(RecordBytesOf({}, /*with_outcome=*/true), &reserved); !room.ok()) {
      return room;
    }
  }
  OrderedIndex::PageRequest request{IndexRange::WithPrefix(prefix), Direction::kAscending};
  std::vector<std::string> keys;
  Status status;
  // Other writes of the session do not wait for so much.
  if (attempt != nullptr) attempt->Suspend();
  do {
    keys.clear();
    const uint64_t left = limit - result->deleted;
    const Result<Page> page =
        ReadPage(thread, IndexOrder::kByKey, request, gate, [&](const Entry& entry) {
          keys.emplace_back(entry.key());
          return keys.size() == left ? OrderedIndex::Visit::kStop : OrderedIndex::Visit::kContinue;
        });
    if (!page.ok()) {
      status = page.status();
      break;
    }
    result->more = page->more;
    if (page->more) {
      request.range.ContinueBehind(Direction::kAscending,
                                   *PlaceOf(IndexOrder::kByKey, *page->last));
    }
    result->deleted += RemoveKeys(thread, keys, Cause::kClient, &result->version, gate, &status);
  } while (status.ok() && result->more && result->deleted < limit);
  if (attempt != nullptr) attempt->Resume();
  // What was removed stays removed, so it is told; the client sees `more` and comes again.
  if (!status.ok() && result->deleted == 0) {
    committer_.Release(reserved);
    return status;
  }
  if (!status.ok()) result->more = true;
  if (attempt != nullptr) {
    RetryOutcome* const outcome = attempt->outcome();
    outcome->outcome = static_cast<uint8_t>(Outcome::kOk);
    outcome->version = result->version;
    outcome->extra = result->deleted;
    outcome->extra_kind =
        result->more ? RetryOutcome::Extra::kDeletedMore : RetryOutcome::Extra::kDeleted;
    Store::Locked locked(&store_, &thread->participant_, {});
    Commit(thread, &locked, {}, Cause::kClient, attempt, &reserved, gate);
  }
  return Status();
}

Result<SessionId> Engine::OpenSession(EngineThread* thread, uint64_t creator, Gate* gate,
                                      bool* no_room) {
  size_t reserved = 0;
  const size_t bytes = RecordBytes(16);
  if (Status status = Reserve(bytes, &reserved); !status.ok()) {
    *no_room = status.code() == Code::kOverloaded;
    return status;
  }
  Result<SessionId> session = retries_.OpenSession(creator, NowMs());
  if (!session.ok()) {
    committer_.Release(reserved);
    return session;
  }
  ByteBuffer& record = thread->record_;
  record.Clear();
  char* const to = record.Room(kRecordHeaderBytes + 16);
  StoreLittle(to + kRecordHeaderBytes, session->high);
  StoreLittle(to + kRecordHeaderBytes + 8, session->low);
  record.Advance(kRecordHeaderBytes + 16);
  const Committer::Pending pending{RecordType::kSession, &record};
  gate->Add({.open_record = committer_.Append({&pending, 1}, thread->now_ms_, reserved).record});
  return session;
}

// --- Maintenance ------------------------------------------------------------------------------

void Engine::Maintain() {
  EngineThread thread(&store_);
  int64_t last_expiry_ms = 0, last_forget_ms = 0;
  for (;;) {
    {
      MutexLock lock(maintenance_mu_);
      if (stopping_) return;
      maintenance_wake_.WaitFor(maintenance_mu_, std::chrono::milliseconds(kQueueAgeMs));
      if (stopping_) return;
    }
    if (!ready()) continue;
    // Who found no room is called when the committer has made some; also when the log has.
    if (committer_.TakeStarved()) progress_();
    BuildWantedIndexes(&thread);
    EnterTurn(&thread);
    store_.by_value().ApplyQueuesLeftOver(&thread.participant_);
    store_.by_key().ApplyQueuesLeftOver(&thread.participant_);
    LeaveTurn(&thread);
    const int64_t monotonic_ms = MonotonicMicros() / 1000;
    if (monotonic_ms - last_expiry_ms >= kExpiryPeriodMs) {
      last_expiry_ms = monotonic_ms;
      const int64_t now_ms = NowMs();
      for (uint32_t number = 0; number < store_.stripes(); ++number) {
        if (store_.MayHaveExpired(number, now_ms)) ExpireStripe(&thread, number);
      }
    }
    if (monotonic_ms - last_forget_ms >= 1000) {
      last_forget_ms = monotonic_ms;
      retries_.ForgetIdle(NowMs());
    }
  }
}

void Engine::BuildWantedIndexes(EngineThread* thread) {
  for (const IndexOrder order : {IndexOrder::kByValue, IndexOrder::kByKey}) {
    std::atomic<IndexState>& state = index_states_[static_cast<int>(order)];
    if (state.load(std::memory_order_acquire) != IndexState::kWanted) continue;
    EnterTurn(thread);
    store_.BuildIndex(order == IndexOrder::kByValue ? &store_.by_value() : &store_.by_key(),
                      &thread->participant_);
    LeaveTurn(thread);
    MutexLock lock(maintenance_mu_);
    state.store(IndexState::kReady, std::memory_order_release);
    index_ready_.NotifyAll();
  }
}

void Engine::ExpireStripe(EngineThread* thread, uint32_t number) {
  std::vector<std::string> keys;
  Status status;
  do {
    keys.clear();
    EnterTurn(thread);
    store_.ExpiredKeys(number, thread->now_ms_, &keys);
    uint64_t version;
    Gate gate;
    const size_t removed = RemoveKeys(thread, keys, Cause::kExpired, &version, &gate, &status);
    expired_.fetch_add(removed, std::memory_order_relaxed);
    LeaveTurn(thread);
    // Where the log takes nothing now, the next round comes again.
  } while (status.ok() && keys.size() == kExpiryBatch);
}

}  // namespace entrepot
