// Safe retries: the outcomes of writes that carry `once`, so that the same write sent again has one
// effect and one outcome (docs/PROTOCOL.md, "Safe retries").
//
// The idea of a session that numbers its requests, and of a server that remembers their outcomes
// until they were received, is that of NFS 4.1 sessions (RFC 8881, section 2.10.6) and of D.
// Ongaro, "Consensus: Bridging Theory and Practice" (2014), section 6.3.
//
// Thread safety: any thread. The lock of a session is held while a write of it runs, so the same
// write sent twice at once runs once; it has rank kSession, below all locks of the store. A write
// that takes long is marked as running instead.
//
// Invariants:
//  1. An outcome is remembered from the moment at which its write takes effect.
//  2. A session is not forgotten within kSessionIdleMs of its last use.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "base/mutex.h"
#include "base/status.h"
#include "store/change.h"

namespace entrepot {

struct SessionId {
  uint64_t high = 0;
  uint64_t low = 0;

  bool operator==(const SessionId&) const = default;
  // As on the wire: 32 lower-case hexadecimal characters.
  std::string ToString() const;
  // False where `text` is not of that form.
  static bool Parse(std::string_view text, SessionId* id);
};

// The option `once` of a write.
struct Once {
  SessionId session;
  uint64_t number = 0;  // From 1.
  uint64_t done = 0;    // The client has the replies of all numbers up to here.
};

class Retries {
 public:
  // A write in its session: holds the session's lock until it is destroyed.
  class Attempt;

  // A new session, made by the connection `creator`. kOverloaded: there are too many.
  Result<SessionId> OpenSession(uint64_t creator, int64_t now_ms);

  // Begins the write `once`. An Attempt whose replayed() is not null has run before. Errors:
  // kSessionExpired, kOutcomeUnknown, kOverloaded; then nothing is to run.
  Result<std::unique_ptr<Attempt>> Begin(const Once& once, int64_t now_ms);

  // Forgets sessions that have not been used for kSessionIdleMs.
  void ForgetIdle(int64_t now_ms);

  // For recovery: a session as it was in a snapshot, or begun; what an outcome says. Used at
  // `now_ms`, whenever that was.
  void Restore(const SessionId& id, uint64_t done, const std::vector<RetryOutcome>& outcomes,
               int64_t now_ms);

  // For a snapshot: calls function(id, done, outcomes) for each session, one locked at a time.
  template <typename Function>
  void ForEach(Function function) {
    for (const auto& [id, session] : Sessions()) {
      std::vector<RetryOutcome> outcomes;
      uint64_t done;
      {
        MutexLock lock(session->mu);
        done = session->done;
        for (const auto& [number, outcome] : session->outcomes) outcomes.push_back(outcome);
      }
      function(id, done, outcomes);
    }
  }

  size_t sessions() const;
  size_t outcomes() const { return outcomes_.load(std::memory_order_relaxed); }

 private:
  struct Session {
    Mutex mu{LockRank::kSession};
    uint64_t creator = 0;
    std::atomic<int64_t> last_use_ms{0};
    uint64_t done GUARDED_BY(mu) = 0;
    std::map<uint64_t, RetryOutcome> outcomes GUARDED_BY(mu);
    std::set<uint64_t> running GUARDED_BY(mu);  // Numbers of suspended attempts.
  };
  struct HashId {
    size_t operator()(const SessionId& id) const { return id.low; }  // Random by itself.
  };

  std::vector<std::pair<SessionId, std::shared_ptr<Session>>> Sessions() const;

  mutable Mutex mu_;
  std::unordered_map<SessionId, std::shared_ptr<Session>, HashId> sessions_ GUARDED_BY(mu_);
  std::unordered_map<uint64_t, size_t> sessions_of_ GUARDED_BY(mu_);  // By creator.
  std::atomic<size_t> outcomes_{0};
};

class Retries::Attempt {
 public:
  Attempt(Retries* retries, std::shared_ptr<Session> session, const Once& once);
  ~Attempt();
  Attempt(const Attempt&) = delete;
  Attempt& operator=(const Attempt&) = delete;

  // The outcome of the first time; null: this is it.
  const RetryOutcome* replayed() const { return replayed_; }
  // Whether the first time is suspended: nothing is to run, and the same asked again later.
  bool runs_elsewhere() const { return runs_elsewhere_; }
  // The outcome so far, for the log: session, number and done are filled in.
  RetryOutcome* outcome() { return &outcome_; }
  // Remembers outcome(). Without it the attempt leaves no trace: errors are not remembered.
  void Remember();

  // Gives the session's lock back while the write takes long, until Resume(). Meanwhile its number
  // runs elsewhere.
  void Suspend();
  void Resume();

 private:
  friend class Retries;
  Retries* const retries_;
  const std::shared_ptr<Session> session_;
  const RetryOutcome* replayed_ = nullptr;
  bool runs_elsewhere_ = false;
  RetryOutcome outcome_;
};

}  // namespace entrepot
