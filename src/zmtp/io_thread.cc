#include "zmtp/io_thread.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/clock.h"
#include "zmtp/handshake.h"

namespace entrepot::zmtp {
namespace {

constexpr int kEventsOfWait = 512;
// Of the inbox in epoll, which is no connection's handle.
constexpr ConnectionHandle kInboxHandle = 0;

thread_local const IoThread* current_thread = nullptr;

}  // namespace

IoThread::IoThread(uint32_t index, Common& common)
    : index_(index),
      common_(common),
      shared_(common.shared),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      // A turn's bytes, the slice that passes them, and room for that and the next one to be read.
      input_arena_bytes_(shared_.limits.turn_bytes + 4 * shared_.limits.slice_bytes),
      input_arena_(new char[input_arena_bytes_]),
      output_(common.shared, *this),
      feed_(common.shared, output_),
      connections_(index),
      endings_(common, connections_, output_, feed_, deadlines_),
      relief_(index, common.shared, connections_, *this) {}

IoThread::~IoThread() {
  CHECK(!thread_.joinable());
  if (epoll_ >= 0) close(epoll_);
}

Status IoThread::Start() {
  if (epoll_ < 0) return ErrnoStatus("cannot make an epoll", errno);
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  event.data.u64 = kInboxHandle;
  if (epoll_ctl(epoll_, EPOLL_CTL_ADD, inbox_.wake_descriptor(), &event) != 0) {
    return ErrnoStatus("cannot watch an eventfd", errno);
  }
  thread_ = std::thread([this] { Run(); });
  return {};
}

void IoThread::RequestStop() {
  stop_requested_.store(true, std::memory_order_release);
  inbox_.Wake();
}

void IoThread::Join() {
  if (thread_.joinable()) thread_.join();
}

bool IoThread::IsCurrent() const { return current_thread == this; }

void IoThread::Run() {
  current_thread = this;
  common_.handler.OnThreadStarted(index_);
  for (;;) {
    Wait();
    TakeInbox();
    relief_.RetryStalled(now_micros_);
    ReadSlices();
    if (!messages_.empty()) common_.handler.OnMessages(index_, messages_);
    output_.Flush();
    FinishTouched();
    endings_.EndNoted(now_micros_);
    MeetDeadlines();
    relief_.Relieve(now_micros_);
    output_.Flush();
    endings_.TellClosed();
    endings_.DestroyKilled();
    connection_count_.store(connections_.size(), std::memory_order_relaxed);
    if (stop_requested_.load(std::memory_order_acquire)) StopTurn();
    if (stop_at_micros_ != 0 && connections_.size() == 0) break;
  }
  posted_.Clear();
  common_.handler.OnThreadStopping(index_);
  current_thread = nullptr;
}

void IoThread::StopTurn() {
  if (stop_at_micros_ == 0) {
    stop_at_micros_ = now_micros_ + shared_.limits.linger_ms * 1000;
    connections_.ForEach([&](Connection& connection) {
      if (connection.state() == Connection::State::kOpen) End(connection, Event::kClosedByServer);
    });
  } else if (now_micros_ >= stop_at_micros_) {
    connections_.ForEach([&](Connection& connection) { endings_.Kill(connection); });
  }
}

int IoThread::TimeoutMs() const {
  if (!to_read_.empty() || output_.has_dirty() || endings_.has_work()) return 0;
  int64_t until = std::min(deadlines_.next_micros(), relief_.next_micros());
  if (stop_at_micros_ != 0) until = std::min(until, stop_at_micros_);
  if (until == Deadlines::kNever) return -1;
  constexpr int64_t kLongestMs = 60'000;
  return static_cast<int>(
      std::clamp<int64_t>((until - MonotonicMicros() + 999) / 1000, 0, kLongestMs));
}

void IoThread::Wait() {
  std::array<epoll_event, kEventsOfWait> events;
  const int count = epoll_wait(epoll_, events.data(), kEventsOfWait, TimeoutMs());
  CHECK(count >= 0 || errno == EINTR);
  now_micros_ = MonotonicMicros();
  for (int i = 0; i < count; ++i) {
    if (events[i].data.u64 == kInboxHandle) continue;
    Connection* const connection = connections_.Find(events[i].data.u64);
    if (connection == nullptr) continue;
    const uint32_t happened = events[i].events;
    if ((happened & EPOLLOUT) != 0) output_.MarkDirty(*connection);
    if ((happened & ~EPOLLOUT) == 0) continue;
    if (connection->state() == Connection::State::kDraining) {
      ContinueDraining(*connection, happened);
    } else if (connection->WantsRead()) {
      Enqueue(*connection);
    } else if ((happened & (EPOLLHUP | EPOLLERR)) != 0) {
      End(*connection, Event::kSocketFailed);
    }
  }
}

void IoThread::TakeInbox() {
  inbox_.Take(&posted_);
  for (Inbox::Order& order : posted_.orders) {
    if (auto* accepted = std::get_if<NewConnection>(&order)) {
      Accept(*accepted);
    } else if (const auto* bytes = std::get_if<SendBytes>(&order)) {
      AppendSent(bytes->connection,
                 std::string_view(posted_.bytes).substr(bytes->begin, bytes->size), nullptr);
    } else if (auto* send = std::get_if<SendPiece>(&order)) {
      AppendSent(send->connection, send->piece.bytes, &send->piece);
      send->piece.release = nullptr;
    } else if (const auto* command = std::get_if<ConnectionOrder>(&order)) {
      Obey(*command);
    } else if (const auto* publication = std::get_if<Publication>(&order)) {
      feed_.Deliver(*publication);
    } else if (const auto* look = std::get_if<LookAtMemory>(&order)) {
      relief_.CloseLargest(*look);
    }
  }
  posted_.Clear();
}

void IoThread::Accept(NewConnection& order) {
  if (stop_at_micros_ != 0) {
    common_.addresses.Remove(order.address);
    return;  // The batch closes the socket.
  }
  auto made = std::make_unique<Connection>(order.socket, order.kind, connections_.NextHandle(),
                                           std::move(order.address), now_micros_, shared_,
                                           feed_.subscriptions());
  order.socket = -1;
  Connection& connection = *connections_.Add(std::move(made));
  connection_count_.store(connections_.size(), std::memory_order_relaxed);
  connection.interest = EPOLLIN;
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = connection.handle();
  if (epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.socket(), &event) != 0) {
    return End(connection, Event::kDescriptors);
  }
  output_.AppendBytes(connection, Greeting());
  ScheduleDeadline(connection);
}

void IoThread::AppendSent(ConnectionHandle handle, std::string_view bytes, const Piece* piece) {
  shared_.output_budget.RemoveUnassigned(bytes.size());
  Connection* const connection = connections_.Find(handle);
  const bool is_taken = connection != nullptr && connection->state() == Connection::State::kOpen &&
                        !IsOverOutput(*connection, bytes.size());
  if (connection == nullptr) common_.handler.OnSentToNobody(handle);
  if (!is_taken) {
    if (piece != nullptr) piece->release(piece->owner);
  } else if (piece != nullptr) {
    output_.AppendPiece(*connection, *piece);
  } else {
    output_.AppendBytes(*connection, bytes);
  }
}

void IoThread::Obey(const ConnectionOrder& order) {
  Connection* const connection = connections_.Find(order.connection);
  if (connection == nullptr || connection->state() != Connection::State::kOpen) return;
  switch (order.kind) {
    case ConnectionOrder::Kind::kPauseReading:
      connection->is_paused = true;
      break;
    case ConnectionOrder::Kind::kResumeReading:
      connection->is_paused = false;
      break;
    case ConnectionOrder::Kind::kClose:
      return endings_.EndLater(*connection, Event::kClosedByServer);
  }
  UpdateInterest(*connection);
}

void IoThread::Enqueue(Connection& connection) {
  if (connection.is_queued) return;
  connection.is_queued = true;
  to_read_.push_back(connection.handle());
}

void IoThread::ReadSlices() {
  messages_.clear();
  arena_used_ = turn_bytes_ = 0;
  const ZmtpLimits& limits = shared_.limits;
  // Each connection once: what is put back into the queue waits for the next turn.
  for (size_t left = to_read_.size(); left > 0; --left) {
    if (messages_.size() >= limits.turn_messages || turn_bytes_ >= limits.turn_bytes) break;
    if (input_arena_bytes_ - arena_used_ < 2 * limits.slice_bytes) break;
    if (MonotonicMicros() - now_micros_ >= limits.turn_micros && !touched_.empty()) break;
    Connection* const connection = connections_.Find(to_read_.front());
    to_read_.pop_front();
    if (connection == nullptr) continue;
    connection->is_queued = false;
    if (connection->WantsRead()) ReadOne(*connection);
  }
  if (!messages_.empty()) shared_.counters.Add(Event::kMessagesReceived, messages_.size());
  if (turn_bytes_ != 0) shared_.counters.Add(Event::kBytesReceived, turn_bytes_);
}

void IoThread::ReadOne(Connection& connection) {
  answers_.clear();
  const std::span<char> arena(input_arena_.get() + arena_used_, input_arena_bytes_ - arena_used_);
  const size_t messages_before = messages_.size();
  const Connection::Slice slice = connection.Read(arena, &messages_, &answers_);
  // Bytes that no message looks at are free again.
  if (messages_.size() != messages_before) arena_used_ += slice.arena_bytes;
  turn_bytes_ += slice.bytes;
  if (!connection.is_touched) {
    connection.is_touched = true;
    touched_.push_back(&connection);
  }
  if (slice.bytes != 0) connection.set_last_traffic(now_micros_);
  if (!answers_.empty()) {
    output_.AppendBytes(connection, answers_);
    ScheduleDeadline(connection);
  }
  if (slice.is_sliced) Enqueue(connection);
  if (slice.is_stalled) {
    relief_.Stall(connection, now_micros_);
  } else if (connection.is_waiting) {
    relief_.NoteRead(connection, now_micros_);
  }
  if (!connection.is_opened && connection.is_ready()) Open(connection);
  if (slice.end != Event::kNone) endings_.EndLater(connection, slice.end);
}

void IoThread::Open(Connection& connection) {
  connection.is_opened = true;
  shared_.counters.Add(Event::kConnectionsOpened);
  feed_.OnOpened(connection);
  common_.handler.OnOpened(connection.handle(), connection.kind(), connection.address());
}

SendResult IoThread::Send(ConnectionHandle handle, std::string_view envelope,
                          std::span<const Piece> body) {
  Connection* const connection = connections_.Find(handle);
  if (connection == nullptr || connection->state() != Connection::State::kOpen) [[unlikely]] {
    ReleasePieces(body);
    return SendResult::kGone;
  }
  if (IsOverOutput(*connection, envelope.size() + PiecesBytes(body))) [[unlikely]] {
    ReleasePieces(body);
    return SendResult::kOverloaded;
  }
  output_.AppendMessage(*connection, envelope, body);
  ++messages_sent_;
  return SendResult::kQueued;
}

size_t IoThread::WaitingOutput(ConnectionHandle handle) const {
  const Connection* const connection = connections_.Find(handle);
  return connection == nullptr ? 0 : connection->output().waiting_bytes();
}

bool IoThread::IsOverOutput(Connection& connection, size_t bytes) {
  const size_t waiting = connection.output().waiting_bytes() + bytes;
  if (waiting > shared_.limits.output_bytes_close) {
    End(connection, Event::kOutputOfPeer);
    return true;
  }
  // Relief may have to come from another thread; until then a little more may be taken.
  const Budget& budget = shared_.output_budget;
  if (budget.total() + bytes > budget.bytes_max() + budget.bytes_max() / 8) {
    End(connection, Event::kOutputInAll);
    return true;
  }
  return false;
}

void IoThread::OnWritten(Connection& connection, OutputQueue::Outcome outcome) {
  if (outcome == OutputQueue::Outcome::kFailed) return End(connection, Event::kSocketFailed);
  connection.wants_write = outcome == OutputQueue::Outcome::kBlocked;
  const size_t waiting = connection.output().waiting_bytes();
  if (connection.is_output_full) {
    connection.is_output_full = waiting > shared_.limits.output_bytes_pause / 2;
  } else if (waiting > shared_.limits.output_bytes_pause) {
    connection.is_output_full = true;
    shared_.counters.Add(Event::kReadingPaused);
  }
  if (connection.state() == Connection::State::kDraining && !connection.wants_write) {
    connection.ShutdownOutput();
    if (connection.has_peer_finished()) return endings_.Kill(connection);
  }
  UpdateInterest(connection);
}

void IoThread::UpdateInterest(Connection& connection) {
  const bool is_draining = connection.state() == Connection::State::kDraining;
  const bool reads = is_draining ? !connection.has_peer_finished() : connection.WantsRead();
  const uint32_t interest = (reads ? EPOLLIN : 0u) | (connection.wants_write ? EPOLLOUT : 0u);
  if (connection.WantsRead() && connection.has_backlog()) Enqueue(connection);
  if (interest == connection.interest) return;
  connection.interest = interest;
  epoll_event event{};
  event.events = interest;
  event.data.u64 = connection.handle();
  CHECK(epoll_ctl(epoll_, EPOLL_CTL_MOD, connection.socket(), &event) == 0);
}

void IoThread::FinishTouched() {
  if (messages_sent_ != 0) shared_.counters.Add(Event::kMessagesSent, messages_sent_);
  messages_sent_ = 0;
  for (Connection* connection : touched_) {
    connection->is_touched = false;
    connection->EndTurn();
    UpdateInterest(*connection);
  }
  touched_.clear();
}

void IoThread::End(Connection& connection, Event reason) {
  endings_.End(connection, reason, now_micros_);
}

void IoThread::OnHoldsMost(Connection& connection, Event reason) { End(connection, reason); }

void IoThread::OnOtherHoldsMost(uint32_t io_thread, LookAtMemory order) {
  common_.io_threads[io_thread]->inbox().Post(order);
}

void IoThread::OnMayRead(Connection& connection) {
  UpdateInterest(connection);
  if (connection.WantsRead()) Enqueue(connection);
}

void IoThread::ContinueDraining(Connection& connection, uint32_t happened) {
  // Both halves are closed, or the connection was reset: there is nobody to write to.
  if ((happened & (EPOLLHUP | EPOLLERR)) != 0) return endings_.Kill(connection);
  const std::span<char> scratch(input_arena_.get(), shared_.limits.slice_bytes);
  if (!connection.Discard(scratch)) return;
  if (connection.output().empty()) return endings_.Kill(connection);
  UpdateInterest(connection);
}

void IoThread::ScheduleDeadline(Connection& connection) {
  deadlines_.Schedule(connection.handle(), connection.DeadlineMicros(),
                      &connection.scheduled_micros);
}

void IoThread::MeetDeadlines() {
  while (const auto due = deadlines_.Due(now_micros_)) {
    Connection* const connection = connections_.Find(*due);
    CHECK(connection != nullptr);
    deadlines_.Cancel(*due, &connection->scheduled_micros);
    // Who is not listened to cannot be blamed for its silence.
    if (connection->is_ready() && !connection->WantsRead()) {
      connection->set_last_traffic(now_micros_);
    }
    if (connection->DeadlineMicros() > now_micros_) {
      ScheduleDeadline(*connection);
    } else {
      End(*connection, connection->DeadlineReason());
    }
  }
}

}  // namespace entrepot::zmtp
