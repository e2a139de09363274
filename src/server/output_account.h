// Which connections have how many bytes of replies waiting: those that do not read, above all.
//
// A connection is known here only while something of it waits. Small replies are not counted, since
// libzmq's own bound on messages holds them to some hundred KiB a connection.
//
// Thread safety: any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <unordered_map>

#include "base/limits.h"
#include "base/mutex.h"

namespace entrepot {

class OutputAccount {
 public:
  // Bytes that wait. The charge is taken back when it is destroyed, by any thread.
  class Charge {
   public:
    Charge() = default;
    Charge(Charge&& other) noexcept = default;
    Charge& operator=(Charge&& other) noexcept {
      std::swap(connection_, other.connection_);
      std::swap(all_, other.all_);
      std::swap(bytes_, other.bytes_);
      return *this;
    }
    ~Charge() {
      if (connection_ == nullptr) return;
      connection_->fetch_sub(bytes_, std::memory_order_relaxed);
      all_->fetch_sub(bytes_, std::memory_order_relaxed);
    }

   private:
    friend class OutputAccount;
    std::shared_ptr<std::atomic<size_t>> connection_;
    std::shared_ptr<std::atomic<size_t>> all_;
    size_t bytes_ = 0;
  };

  Charge Add(uint64_t connection, size_t bytes) {
    Charge charge;
    charge.all_ = all_;
    charge.bytes_ = bytes;
    all_->fetch_add(bytes, std::memory_order_relaxed);
    MutexLock lock(mu_);
    auto& waiting = connections_[connection];
    if (waiting == nullptr) {
      waiting = std::make_shared<std::atomic<size_t>>(0);
      count_.store(connections_.size(), std::memory_order_relaxed);
    }
    waiting->fetch_add(bytes, std::memory_order_relaxed);
    charge.connection_ = waiting;
    return charge;
  }

  size_t Waiting(uint64_t connection) const {
    if (count_.load(std::memory_order_relaxed) == 0) return 0;
    MutexLock lock(mu_);
    const auto found = connections_.find(connection);
    return found == connections_.end() ? 0 : found->second->load(std::memory_order_relaxed);
  }
  size_t WaitingInAll() const { return all_->load(std::memory_order_relaxed); }

  // Whether a request of the connection is to be run.
  bool TakesMore(uint64_t connection) const {
    const size_t waiting = Waiting(connection);
    if (waiting > kOutputBytesRefuse) return false;
    // When all together have too much, those that have something must wait.
    return waiting == 0 || WaitingInAll() <= kOutputBytesInAll;
  }

  // Whether changes are to be told to the connection. They can wait where they are, in the ring and
  // in the log, so together they get a half of the room only: replies have nowhere else to wait.
  bool TakesEvents(uint64_t connection) const {
    const size_t waiting = Waiting(connection);
    return waiting < kOutputBytesOfPeer &&
           (waiting == 0 || WaitingInAll() < kOutputBytesInAll / 2);
  }

  // Forgets connections for which nothing waits.
  void Sweep() {
    MutexLock lock(mu_);
    std::erase_if(connections_, [](const auto& connection) {
      return connection.second->load(std::memory_order_relaxed) == 0;
    });
    count_.store(connections_.size(), std::memory_order_relaxed);
  }

 private:
  const std::shared_ptr<std::atomic<size_t>> all_ = std::make_shared<std::atomic<size_t>>(0);
  std::atomic<size_t> count_{0};
  mutable Mutex mu_;
  std::unordered_map<uint64_t, std::shared_ptr<std::atomic<size_t>>> connections_ GUARDED_BY(mu_);
};

}  // namespace entrepot
