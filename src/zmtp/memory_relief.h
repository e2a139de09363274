// What one io thread does when memory in all is short: connections that need more for a large
// message wait, and the connection that holds most is closed, by its own thread.
//
// Thread safety: none; belongs to one io thread.
#pragma once

#include <cstdint>
#include <vector>

#include "zmtp/connection_table.h"
#include "zmtp/deadlines.h"
#include "zmtp/inbox.h"

namespace entrepot::zmtp {

class MemoryRelief {
 public:
  class Owner {
   public:
    virtual ~Owner() = default;
    // The connection, of this thread, holds most of all and is to be ended.
    virtual void OnHoldsMost(Connection& connection, Event reason) = 0;
    // The connection that holds most belongs to this other thread.
    virtual void OnOtherHoldsMost(uint32_t io_thread, LookAtMemory order) = 0;
    // A connection that waited may be read again.
    virtual void OnMayRead(Connection& connection) = 0;
  };

  MemoryRelief(uint32_t io_thread, Shared& shared, ConnectionTable& connections, Owner& owner);

  // The connection may not take memory for more input now: it waits.
  void Stall(Connection& connection, int64_t now_micros);
  // A connection that waited (Connection::is_waiting) was read.
  void NoteRead(Connection& connection, int64_t now_micros);
  // Lets those that wait try again when it is time.
  void RetryStalled(int64_t now_micros);
  // Closes what must be closed. Once a turn.
  void Relieve(int64_t now_micros);
  // Another thread asks for it.
  void CloseLargest(LookAtMemory order);

  // When RetryStalled() has something to do, or Deadlines::kNever.
  int64_t next_micros() const { return stalled_.empty() ? Deadlines::kNever : retry_micros_; }

 private:
  // Whether one of `tried_` has still not been read.
  bool IsAnyWaiting() const;

  const uint32_t io_thread_;
  Shared& shared_;
  ConnectionTable& connections_;
  Owner& owner_;

  std::vector<ConnectionHandle> stalled_;
  std::vector<ConnectionHandle> tried_;  // Stalled before the last try.
  int64_t retry_micros_ = 0;
  int64_t progress_micros_ = 0;  // When one of those that wait was read, or the first began to.
};

}  // namespace entrepot::zmtp
