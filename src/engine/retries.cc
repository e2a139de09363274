#include "engine/retries.h"

#include <algorithm>
#include <charconv>

#include "base/random.h"

namespace entrepot {

std::string SessionId::ToString() const { return Hex64(high) + Hex64(low); }

bool SessionId::Parse(std::string_view text, SessionId* id) {
  if (text.size() != 32) return false;
  const auto parse = [](std::string_view half, uint64_t* to) {
    const auto [end, error] = std::from_chars(half.data(), half.data() + half.size(), *to, 16);
    return error == std::errc() && end == half.data() + half.size();
  };
  return parse(text.substr(0, 16), &id->high) && parse(text.substr(16), &id->low);
}

Result<SessionId> Retries::OpenSession(uint64_t creator, int64_t now_ms) {
  const SessionId id{RandomUint64(), RandomUint64()};
  MutexLock lock(mu_);
  size_t& made = sessions_of_[creator];
  if (made >= kSessionsOfConnection) {
    return Status(Code::kOverloaded, "this connection has made " + std::to_string(made) +
                                         " sessions, the most it may");
  }
  if (sessions_.size() >= kSessionsMax) {
    if (made == 0) sessions_of_.erase(creator);
    return Status(Code::kOverloaded,
                  "there are " + std::to_string(kSessionsMax) + " sessions, the most there may be");
  }
  ++made;
  auto session = std::make_shared<Session>();
  session->creator = creator;
  session->last_use_ms = now_ms;
  sessions_.emplace(id, std::move(session));
  return id;
}

// The analysis cannot follow a lock that the Attempt holds for as long as it lives.
Result<std::unique_ptr<Retries::Attempt>> Retries::Begin(const Once& once,
                                                         int64_t now_ms) NO_THREAD_SAFETY_ANALYSIS {
  std::shared_ptr<Session> session;
  {
    MutexLock lock(mu_);
    const auto found = sessions_.find(once.session);
    if (found == sessions_.end()) {
      return Status(Code::kSessionExpired,
                    "the session " + once.session.ToString() + " is not known; nothing ran");
    }
    session = found->second;
    // Below the map's lock: from here on the session is in use, and is not forgotten.
    session->last_use_ms.store(now_ms, std::memory_order_relaxed);
  }
  auto attempt = std::make_unique<Attempt>(this, std::move(session), once);
  Session& held = *attempt->session_;
  if (once.done > held.done) {
    held.done = once.done;
    const auto end = held.outcomes.upper_bound(once.done);
    size_t forgotten = 0;
    for (auto at = held.outcomes.begin(); at != end; ++forgotten) at = held.outcomes.erase(at);
    outcomes_.fetch_sub(forgotten, std::memory_order_relaxed);
  }
  if (once.number <= held.done) {
    return Status(Code::kOutcomeUnknown, "the outcome of number " + std::to_string(once.number) +
                                             " is forgotten: the client is done up to " +
                                             std::to_string(held.done));
  }
  if (once.number > held.done + kOnceWindow) {
    return Status(Code::kOverloaded, "number " + std::to_string(once.number) + " is more than " +
                                         std::to_string(kOnceWindow) + " above done, " +
                                         std::to_string(held.done));
  }
  const auto found = held.outcomes.find(once.number);
  if (found != held.outcomes.end()) {
    attempt->replayed_ = &found->second;
  } else if (held.running.contains(once.number)) {
    attempt->runs_elsewhere_ = true;
  } else if (outcomes() >= kOutcomesMax) {
    return Status(Code::kOverloaded,
                  std::to_string(kOutcomesMax) + " outcomes are remembered, the most there may be");
  }
  return attempt;
}

void Retries::ForgetIdle(int64_t now_ms) {
  MutexLock lock(mu_);
  for (auto at = sessions_.begin(); at != sessions_.end();) {
    // One that an Attempt holds is in use, even when its clock says otherwise.
    if (at->second->last_use_ms.load(std::memory_order_relaxed) + kSessionIdleMs > now_ms ||
        at->second.use_count() > 1) {
      ++at;
      continue;
    }
    const auto made = sessions_of_.find(at->second->creator);
    if (--made->second == 0) sessions_of_.erase(made);
    {
      // Nobody else has it any more; the lock is for the analysis.
      const std::shared_ptr<Session> session = at->second;
      at = sessions_.erase(at);
      outcomes_.fetch_sub([&]() NO_THREAD_SAFETY_ANALYSIS { return session->outcomes.size(); }(),
                          std::memory_order_relaxed);
    }
  }
}

void Retries::Restore(const SessionId& id, uint64_t done, const std::vector<RetryOutcome>& outcomes,
                      int64_t now_ms) {
  std::shared_ptr<Session> session;
  {
    MutexLock lock(mu_);
    auto& found = sessions_[id];
    if (found == nullptr) {
      found = std::make_shared<Session>();
      ++sessions_of_[found->creator];  // Nobody's: the connection is gone.
    }
    session = found;
  }
  session->last_use_ms.store(now_ms, std::memory_order_relaxed);
  MutexLock lock(session->mu);
  session->done = std::max(session->done, done);
  for (const RetryOutcome& outcome : outcomes) {
    session->done = std::max(session->done, outcome.done);
    if (session->outcomes.emplace(outcome.number, outcome).second) {
      outcomes_.fetch_add(1, std::memory_order_relaxed);
    }
  }
  while (!session->outcomes.empty() && session->outcomes.begin()->first <= session->done) {
    session->outcomes.erase(session->outcomes.begin());
    outcomes_.fetch_sub(1, std::memory_order_relaxed);
  }
}

std::vector<std::pair<SessionId, std::shared_ptr<Retries::Session>>> Retries::Sessions() const {
  MutexLock lock(mu_);
  return {sessions_.begin(), sessions_.end()};
}

size_t Retries::sessions() const {
  MutexLock lock(mu_);
  return sessions_.size();
}

Retries::Attempt::Attempt(Retries* retries, std::shared_ptr<Session> session,
                          const Once& once) NO_THREAD_SAFETY_ANALYSIS
    : retries_(retries),
      session_(std::move(session)) {
  session_->mu.Lock();
  outcome_.session_high = once.session.high;
  outcome_.session_low = once.session.low;
  outcome_.number = once.number;
  outcome_.done = once.done;
}

Retries::Attempt::~Attempt() NO_THREAD_SAFETY_ANALYSIS { session_->mu.Unlock(); }

void Retries::Attempt::Suspend() NO_THREAD_SAFETY_ANALYSIS {
  session_->running.insert(outcome_.number);
  session_->mu.Unlock();
}

void Retries::Attempt::Resume() NO_THREAD_SAFETY_ANALYSIS {
  session_->mu.Lock();
  session_->running.erase(outcome_.number);
}

void Retries::Attempt::Remember() NO_THREAD_SAFETY_ANALYSIS {
  // While it was suspended the client may have said that it is done with it.
  if (outcome_.number <= session_->done) return;
  if (session_->outcomes.emplace(outcome_.number, outcome_).second) {
    retries_->outcomes_.fetch_add(1, std::memory_order_relaxed);
  }
}

}  // namespace entrepot
