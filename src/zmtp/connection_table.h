// The connections of one io thread, found by their handles.
//
// Thread safety: none; belongs to one io thread.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/status.h"
#include "zmtp/connection.h"
#include "zmtp/limits.h"

namespace entrepot::zmtp {

class ConnectionTable {
 public:
  explicit ConnectionTable(uint32_t io_thread) : io_thread_(io_thread) {}

  // The handle for the next Add().
  ConnectionHandle NextHandle() const {
    const uint64_t slot = free_.empty() ? slots_.size() : free_.back();
    const uint64_t generation = free_.empty() ? 1 : uint64_t{slots_[slot].generation} + 1;
    return generation << 32 | slot << 8 | io_thread_;
  }

  // Takes a connection made with NextHandle(). At most kConnectionsOfThreadMax.
  Connection* Add(std::unique_ptr<Connection> connection) {
    const uint32_t slot = SlotOf(connection->handle());
    CHECK(slot < kConnectionsOfThreadMax);
    if (free_.empty()) {
      slots_.emplace_back();
    } else {
      free_.pop_back();
    }
    slots_[slot].generation = static_cast<uint32_t>(connection->handle() >> 32);
    slots_[slot].connection = std::move(connection);
    ++size_;
    return slots_[slot].connection.get();
  }

  // Null when it is gone.
  Connection* Find(ConnectionHandle handle) const {
    const uint32_t slot = SlotOf(handle);
    if (slot >= slots_.size()) return nullptr;
    Connection* const connection = slots_[slot].connection.get();
    return connection != nullptr && connection->handle() == handle ? connection : nullptr;
  }

  void Remove(ConnectionHandle handle) {
    const uint32_t slot = SlotOf(handle);
    slots_[slot].connection.reset();
    free_.push_back(slot);
    --size_;
  }

  template <typename Visit>
  void ForEach(Visit&& visit) const {
    for (const Slot& slot : slots_) {
      if (slot.connection != nullptr) visit(*slot.connection);
    }
  }

  size_t size() const { return size_; }

 private:
  struct Slot {
    std::unique_ptr<Connection> connection;
    uint32_t generation = 0;  // Of the connection that is, or was, here.
  };
  static uint32_t SlotOf(ConnectionHandle handle) {
    return static_cast<uint32_t>(handle >> 8) & (kConnectionsOfThreadMax - 1);
  }

  const uint32_t io_thread_;
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_;
  size_t size_ = 0;
};

}  // namespace entrepot::zmtp
