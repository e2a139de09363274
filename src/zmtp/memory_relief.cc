#include "zmtp/memory_relief.h"

#include <algorithm>

namespace entrepot::zmtp {

MemoryRelief::MemoryRelief(uint32_t io_thread, Shared& shared, ConnectionTable& connections,
                           Owner& owner)
    : io_thread_(io_thread), shared_(shared), connections_(connections), owner_(owner) {}

void MemoryRelief::Stall(Connection& connection, int64_t now_micros) {
  if (stalled_.empty()) {
    if (!IsAnyWaiting()) progress_micros_ = now_micros;
    retry_micros_ = now_micros + kStalledRetryMs * 1000;
  }
  connection.is_stalled = true;
  connection.is_waiting = true;
  stalled_.push_back(connection.handle());
  shared_.counters.Add(Event::kReadingStalled);
}

void MemoryRelief::NoteRead(Connection& connection, int64_t now_micros) {
  connection.is_waiting = false;
  progress_micros_ = now_micros;
}

void MemoryRelief::RetryStalled(int64_t now_micros) {
  if (now_micros < next_micros()) return;
  for (const ConnectionHandle handle : stalled_) {
    Connection* const connection = connections_.Find(handle);
    if (connection == nullptr || connection->state() != Connection::State::kOpen) continue;
    connection->is_stalled = false;
    owner_.OnMayRead(*connection);
  }
  tried_.swap(stalled_);
  stalled_.clear();
}

bool MemoryRelief::IsAnyWaiting() const {
  return std::ranges::any_of(tried_, [this](ConnectionHandle handle) {
    const Connection* const connection = connections_.Find(handle);
    return connection != nullptr && connection->is_waiting &&
           connection->state() == Connection::State::kOpen;
  });
}

void MemoryRelief::Relieve(int64_t now_micros) {
  if (!stalled_.empty() && now_micros - progress_micros_ >= kStalledCloseMs * 1000) {
    progress_micros_ = now_micros;
    CloseLargest({.is_input = true, .is_stalled = true});
  }
  CloseLargest({.is_input = true, .is_stalled = false});
  CloseLargest({.is_input = false, .is_stalled = false});
}

void MemoryRelief::CloseLargest(LookAtMemory order) {
  Budget& budget = order.is_input ? shared_.input_budget : shared_.output_budget;
  if (!order.is_stalled && !budget.exceeded()) return;
  Connection* largest = nullptr;
  size_t most = 0;
  connections_.ForEach([&](Connection& connection) {
    const size_t held = order.is_input ? connection.held_input() : connection.output().held_bytes();
    if (held > most) most = held, largest = &connection;
  });
  budget.SetLargest(io_thread_, most);
  const uint32_t holder = budget.ThreadOfLargest();
  if (holder != io_thread_) {
    owner_.OnOtherHoldsMost(holder, order);
  } else if (largest != nullptr) {
    owner_.OnHoldsMost(*largest, order.is_input ? Event::kInputInAll : Event::kOutputInAll);
  }
}

}  // namespace entrepot::zmtp
