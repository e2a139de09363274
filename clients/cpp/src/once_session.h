// OnceSession: the numbers under which this client's writes are remembered by the server.
//
// A write carries `once: [session, number, done]`. Sent again under the same number it has no
// second effect. Numbers rise from 1; `done` is the highest number up to which nothing is awaited
// any more, and the server forgets up to there.
//
// Invariants:
//  1. A number is given once in a session.
//  2. At most kOnceWindow numbers above done() are given out: the server refuses more than 1,024.
//  3. A number that is released never comes back: a late copy of its request does not run.
//
// Thread safety: none; it belongs to the client's exchange thread.

#pragma once

#include <cstdint>
#include <set>
#include <string>

namespace entrepot {

// Numbers above `done` that are given out at a time.
constexpr uint64_t kOnceWindow = 1000;

class OnceSession {
 public:
  // A write's place: valid for the session in which it was given.
  struct Ticket {
    uint64_t generation;
    uint64_t number;
  };

  bool known() const { return !id_.empty(); }
  const std::string& id() const { return id_; }
  // The history of the store that gave out the session.
  const std::string& history() const { return history_; }

  // A new session, given out by the server; what the one before gave out is void.
  void Begin(std::string id, std::string history);
  // The server does not know the session any more.
  void End() { id_.clear(); }

  // Whether `count` numbers can be given out now.
  bool HasRoom(uint64_t count) const { return last_ - done() + count <= kOnceWindow; }

  // The next number. A session must be known and have room.
  Ticket Take();

  // The outcome is known, or nobody waits for it any more.
  void Release(const Ticket& ticket);

  bool IsCurrent(const Ticket& ticket) const { return known() && ticket.generation == generation_; }

  uint64_t done() const { return awaited_.empty() ? last_ : *awaited_.begin() - 1; }

 private:
  std::string id_;
  std::string history_;
  uint64_t generation_ = 0;
  uint64_t last_ = 0;
  std::set<uint64_t> awaited_;
};

}  // namespace entrepot
