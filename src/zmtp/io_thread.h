// One io thread: it owns its connections and serves them in turns.
//
// A turn: wait; take what other threads posted; read a slice of each connection that has something,
// round robin, until the turn is full; hand all messages over at once; write each connection that
// was answered, once; then close, time out, and look at memory. epoll is level-triggered: what a
// turn had no room for is told again.
//
// Thread safety: the public calls may come from any thread where nothing else is said. Everything
// private belongs to the thread itself.
//
// Invariants:
//  1. A connection takes at most one slice of a turn.
//  2. Views in messages stay valid until the handler returns: the arena is used again, and input is
//     freed, only after that.
//  3. A connection is destroyed at the end of a turn only, when no list of the turn names it.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "zmtp/common.h"
#include "zmtp/connection.h"
#include "zmtp/connection_table.h"
#include "zmtp/deadlines.h"
#include "zmtp/endings.h"
#include "zmtp/feed_side.h"
#include "zmtp/handler.h"
#include "zmtp/inbox.h"
#include "zmtp/memory_relief.h"
#include "zmtp/output_side.h"

namespace entrepot::zmtp {

// What Send() did.
enum class SendResult : uint8_t {
  kQueued,      // It leaves when the peer takes it, unless the connection ends first.
  kGone,        // There is no such connection any more.
  kOverloaded,  // Its waiting output, or that of all, is over the bound: it is closed.
};

class IoThread final : private OutputSide::Owner, private MemoryRelief::Owner {
 public:
  IoThread(uint32_t index, Common& common);
  ~IoThread() override;
  IoThread(const IoThread&) = delete;
  IoThread& operator=(const IoThread&) = delete;

  Status Start();
  // Ends the thread when its connections have taken their output, or after linger_ms.
  void RequestStop();
  void Join();

  Inbox& inbox() { return inbox_; }
  // Whether the caller is this thread.
  bool IsCurrent() const;
  size_t connections() const { return connection_count_.load(std::memory_order_relaxed); }
  // Whether anyone here may get what is published.
  bool has_subscribers() const { return feed_.has_subscribers(); }

  // On this thread only.
  SendResult Send(ConnectionHandle handle, std::string_view envelope, std::span<const Piece> body);
  size_t WaitingOutput(ConnectionHandle handle) const;
  void Obey(const ConnectionOrder& order);

 private:
  // OutputSide::Owner.
  void OnWritten(Connection& connection, OutputQueue::Outcome outcome) override;
  // MemoryRelief::Owner.
  void OnHoldsMost(Connection& connection, Event reason) override;
  void OnOtherHoldsMost(uint32_t io_thread, LookAtMemory order) override;
  void OnMayRead(Connection& connection) override;

  void Run();
  // --- The parts of a turn, in order ---
  void Wait();
  void TakeInbox();
  void ReadSlices();
  void FinishTouched();
  void MeetDeadlines();
  void StopTurn();

  void Accept(NewConnection& order);
  void AppendSent(ConnectionHandle handle, std::string_view bytes, const Piece* piece);
  void ReadOne(Connection& connection);
  void Open(Connection& connection);
  void End(Connection& connection, Event reason);
  // True when it is closed because of `bytes` more of output.
  bool IsOverOutput(Connection& connection, size_t bytes);
  void Enqueue(Connection& connection);
  void UpdateInterest(Connection& connection);
  void ScheduleDeadline(Connection& connection);
  void ContinueDraining(Connection& connection, uint32_t happened);
  int TimeoutMs() const;

  // Constant after construction.
  const uint32_t index_;
  Common& common_;
  Shared& shared_;
  const int epoll_;
  const size_t input_arena_bytes_;
  const std::unique_ptr<char[]> input_arena_;

  // Synchronise themselves.
  Inbox inbox_;
  std::atomic<bool> stop_requested_{false};
  std::atomic<size_t> connection_count_{0};
  std::thread thread_;

  // Owned by the thread.
  OutputSide output_;
  FeedSide feed_;  // Before the connections, which take themselves out of it.
  ConnectionTable connections_;
  Deadlines deadlines_;
  Endings endings_;
  MemoryRelief relief_;
  Inbox::Batch posted_;
  std::deque<ConnectionHandle> to_read_;
  std::vector<Message> messages_;  // Of this turn, as are the next three.
  std::vector<Connection*> touched_;
  std::string answers_;
  size_t arena_used_ = 0;
  size_t turn_bytes_ = 0;
  uint64_t messages_sent_ = 0;
  int64_t now_micros_ = 0;
  int64_t stop_at_micros_ = 0;  // 0: not stopping.
};

}  // namespace entrepot::zmtp
