// The engine: one order for everything. It joins the store, the log and the outcomes of safe
// retries, and says what each answer has to wait for.
//
// A write goes: (lock of its session) → room in the commit queue → stripes, ascending → queues of
// the indexes, ascending → revision and record → entries and queues changed → all released. What
// can fail or wait comes before the first stripe. docs/DESIGN.md, "Locks", has the list.
//
// It knows neither sockets nor msgpack-rpc; requests reach it as the structs of operation.h and
// transaction.h. It waits for nobody: a write that finds no room in the queue says so, and a reply
// that has to wait for the log is handed back with its Gate.
//
// Thread safety: any thread, each with an EngineThread of its own.
//
// Invariants:
//  1. A change is in the log's queue before it can be seen in the store.
//  2. An answer's Gate covers every change that the answer shows.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <absl/functional/function_ref.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/mutex.h"
#include "engine/committer.h"
#include "engine/operation.h"
#include "engine/retries.h"
#include "engine/transaction.h"
#include "log/log.h"
#include "store/store.h"

namespace entrepot {

// What a thread needs to use the engine.
class EngineThread {
 public:
  explicit EngineThread(Store* store) : participant_(&store->epochs()) {}

 private:
  friend class Engine;
  Epochs::Participant participant_;
  int64_t now_ms_ = 0;  // Of the turn.
  ByteBuffer record_;
  std::vector<ByteBuffer> expiry_records_;
};

class Engine {
 public:
  struct Options {
    uint32_t stripes = kStripesDefault;
    bool key_index = true;  // Kept from its first use on; false: never.
    bool value_index = true;
    Limits limits;
    SyncPolicy sync;
    uint32_t index_waiters_max = 1;  // Threads that may wait for an index to be built.
    // Of a log that was there before; see log/recovery.h.
    std::string history;  // Empty: a new one is made up.
    uint64_t next_revision = 1;
    int64_t time_ms = 0;
  };

  // `log` and `clock` outlive the engine. `progress` is called by a thread of the engine when
  // replies that were parked may leave, when the queue has room again, and when the log has failed.
  Engine(const Options& options, Log* log, const Clock& clock, Committer::Progress progress);
  // Ends expiry and the rest of the maintenance, then as Committer::Stop(). Nothing else may be
  // called afterwards.
  Status Stop();
  // Stops.
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  Store& store() { return store_; }
  Committer& committer() { return committer_; }
  Retries& retries() { return retries_; }
  const Limits& limits() const { return options_.limits; }
  int64_t NowMs() const { return clock_.NowMs(); }
  // 16 hexadecimal characters: the name of this sequence of revisions.
  const std::string& history() const { return history_; }

  // A turn: what is found in it stays readable (store/epoch.h), and has one time, taken when it
  // begins: after the requests that run in it were received, so each of them runs at a time between
  // its call and its answer.
  void EnterTurn(EngineThread* thread) {
    thread->participant_.Enter();
    thread->now_ms_ = clock_.NowMs();
  }
  void LeaveTurn(EngineThread* thread) {
    store_.by_value().ApplyQueuesAfterTurn(&thread->participant_);
    store_.by_key().ApplyQueuesAfterTurn(&thread->participant_);
    thread->participant_.Leave();
  }

  // --- Recovery (recovery.cc) ----------------------------------------------------------------
  // Before SetReady(); until then nothing else but committer() and NowMs() is used.

  // Puts an item of a snapshot back, or an index into use. Any thread.
  Status RestoreItem(EngineThread* thread, std::string_view item);
  // Applies a record of the log, where it is newer than what is there. In the order of the log.
  Status ReplayRecord(EngineThread* thread, const Record& record);
  // From now on requests are run, entries expire, and indexes in use are built.
  void SetReady();
  bool ready() const { return ready_.load(std::memory_order_acquire); }
  // Whether an index by this order is in use; part of a snapshot.
  bool IndexInUse(IndexOrder order) const;

  // --- Reading -------------------------------------------------------------------------------

  // Calls function(entry or null, …) below the stripe's lock, with null for one that has expired.
  // It is told the milliseconds that are left, too; 0 for an entry that does not expire.
  template <typename Function>
  void Get(EngineThread* thread, uint64_t hash, std::string_view key, Gate* gate,
           Function function) {
    const int64_t now_ms = thread->now_ms_;
    store_.Read(hash, key, [&](const Entry* entry, uint64_t last_removal) {
      gate->Add(GateOfReading(entry, last_removal));
      const bool live = entry != nullptr && !entry->ExpiredAt(now_ms);
      const int64_t expires_at_ms = live ? entry->expires_at_ms() : 0;
      function(live ? entry : nullptr, expires_at_ms != 0 ? expires_at_ms - now_ms : 0);
    });
  }

  // Calls function(i, entry or null) for each key, all at one instant; `version` is the highest
  // version seen, or the revision of a removal.
  void GetMany(EngineThread* thread, std::span<const Operation> gets, Gate* gate,
               absl::FunctionRef<void(size_t, const Entry*)> function);

  struct Page {
    uint64_t revision = 0;        // Of the instant for which the page is exact.
    uint32_t examined = 0;        // Index entries looked at.
    bool more = false;            // Whether there may be others behind.
    const Entry* last = nullptr;  // The last one looked at, for as long as the turn lasts.
  };
  // Calls `visit` for the entries of a page, expired ones left out. Errors: kNoIndex; kOverloaded
  // while the index is being built.
  Result<Page> ReadPage(EngineThread* thread, IndexOrder order,
                        const OrderedIndex::PageRequest& request, Gate* gate,
                        absl::FunctionRef<OrderedIndex::Visit(const Entry&)> visit);
  // Changes that the next page by `order` has to apply first; SIZE_MAX where it is not ready.
  size_t PageBacklog(IndexOrder order);

  // --- Writing -------------------------------------------------------------------------------
  // `attempt` is that of a write with `once`, else null; the outcome is put into it and remembered.
  // `reply_room` bounds the bytes of values in the result: more is kTooLarge, and nothing happens.
  // Errors besides those of operation.h: kOverloaded when the commit queue has no room: the same
  // call is to be made again after progress. kReadOnly, kUnavailable.

  Status Write(EngineThread* thread, const Operation& operation, Retries::Attempt* attempt,
               size_t reply_room, OperationResult* result, Gate* gate);
  Status Transact(EngineThread* thread, const Transaction& transaction, Retries::Attempt* attempt,
                  size_t reply_room, TransactionResult* result, Gate* gate);

  struct PrefixDeletion {
    uint64_t deleted = 0;
    bool more = false;
    uint64_t version = 0;
  };
  // Removes at most `limit` entries whose key starts with `prefix`, each at a revision of its own.
  Status DeletePrefix(EngineThread* thread, std::string_view prefix, uint64_t limit,
                      Retries::Attempt* attempt, PrefixDeletion* result, Gate* gate);

  // A session of safe retries, made by the connection `creator`. Errors: those of Retries and of
  // Write(); `no_room` is set where it is the commit queue that is full, and not the sessions.
  Result<SessionId> OpenSession(EngineThread* thread, uint64_t creator, Gate* gate, bool* no_room);

  uint64_t expired_entries() const { return expired_.load(std::memory_order_relaxed); }

 private:
  // A key that a write touches, and what is to become of it.
  struct Planned {
    std::string_view key;
    uint64_t hash = 0;
    Entry* old = nullptr;  // Also an expired one.
    bool expired = false;
    Effect effect;
  };
  enum class IndexState : uint8_t { kOff, kIdle, kWanted, kReady };

  static Gate GateOfReading(const Entry* entry, uint64_t last_removal);
  // Appends records of `planned` that have an effect, and makes it: the one place where the store
  // changes. Gives the revision of the write; that of the last
  // record where nothing changes. `gate` is told what the write has to wait for.
  uint64_t Commit(EngineThread* thread, Store::Locked* locked, std::span<const Planned> planned,
                  Cause cause, Retries::Attempt* attempt, size_t* reserved, Gate* gate);
  // What Commit() will need in the queue.
  static size_t RecordBytesOf(std::span<const Planned> planned, bool with_outcome);
  // Makes `*reserved` at least `bytes`.
  Status Reserve(size_t bytes, size_t* reserved);

  // Applies one change of a record, if it is newer than what its key has.
  void ReplayChange(EngineThread* thread, const Change& change, uint64_t revision);
  Status WaitForIndex(EngineThread* thread, IndexOrder order);
  // Has it built, and writes down that it is in use.
  void WantIndex(EngineThread* thread, IndexOrder order);
  void Maintain();
  void BuildWantedIndexes(EngineThread* thread);
  void ExpireStripe(EngineThread* thread, uint32_t number);
  // Removes the entries of `keys`: expired ones for Cause::kExpired, only live ones else. Counts
  // them; stops at an error.
  size_t RemoveKeys(EngineThread* thread, std::span<const std::string> keys, Cause cause,
                    uint64_t* version, Gate* gate, Status* status);

  // Constant after construction.
  const Options options_;
  const Committer::Progress progress_;
  const std::string history_;

  // Synchronise themselves.
  EngineClock clock_;
  Store store_;
  Retries retries_;
  Committer committer_;
  std::atomic<bool> ready_{false};
  std::atomic<IndexState> index_states_[2];
  std::atomic<uint32_t> index_waiters_{0};
  std::atomic<uint64_t> expired_{0};
  Mutex maintenance_mu_;
  CondVar maintenance_wake_;
  CondVar index_ready_;
  bool stopping_ GUARDED_BY(maintenance_mu_) = false;

  std::thread maintenance_;
};

}  // namespace entrepot
