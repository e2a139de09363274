#include "watch_queue.h"

#include <unistd.h>

#include <mutex>
#include <optional>
#include <utility>

namespace entrepot {

WatchQueue::WatchQueue(uint64_t credit, Exchange exchange)
    : credit_(credit), exchange_(std::move(exchange)), process_(getpid()) {}

void WatchQueue::Push(WatchBatch batch, bool live) {
  const std::lock_guard lock(mu_);
  if (closed_) return;
  live_ = live;
  if (batch.events.empty()) {
    if (batches_.empty()) {
      token_ = std::move(batch.token);
      token_moved_ = token_.has_value();
      changed_.notify_one();
    } else {
      batches_.back().token = std::move(batch.token);
    }
    return;
  }
  batches_.push_back(std::move(batch));
  changed_.notify_one();
}

void WatchQueue::SetNotLive() {
  const std::lock_guard lock(mu_);
  live_ = false;
}

void WatchQueue::End(const Status& error) {
  const std::lock_guard lock(mu_);
  if (ended_) return;
  live_ = false;
  ended_ = true;
  end_ = error;
  changed_.notify_all();
}

Status WatchQueue::WaitLocked(std::unique_lock<std::mutex>& lock, std::optional<TimePoint> until,
                              bool token_is_enough) {
  const auto has_something = [this, token_is_enough] {
    return !batches_.empty() || (token_is_enough && token_moved_);
  };
  const auto is_due = [&] { return closed_ || ended_ || has_something(); };
  if (!until) {
    changed_.wait(lock, is_due);
  } else if (!changed_.wait_until(lock, *until, is_due)) {
    return Status(StatusCode::kTimeout, "nothing has changed meanwhile");
  }
  if (closed_) return Status(StatusCode::kClosed, "the watch was closed");
  return has_something() ? Status() : end_;
}

uint64_t WatchQueue::CountLocked(uint64_t taken) {
  unreported_ += taken;
  // A report for each half is enough: while less is unreported, the server is allowed some still.
  if (2 * unreported_ < credit_) return 0;
  return std::exchange(unreported_, 0);
}

Result<Event> WatchQueue::Take(std::optional<TimePoint> until) {
  if (getpid() != process_) return Status(StatusCode::kClosed, "a watch ends with a fork");
  std::unique_lock lock(mu_);
  if (const Status ready = WaitLocked(lock, until, false); !ready.ok()) return ready;
  WatchBatch& batch = batches_.front();
  Event event = std::move(batch.events[next_]);
  if (++next_ == batch.events.size()) {
    token_ = std::move(batch.token);
    batches_.pop_front();
    next_ = 0;
  }
  const uint64_t report = CountLocked(1);
  lock.unlock();
  if (report > 0) exchange_.taken(report);
  return event;
}

Result<WatchBatch> WatchQueue::TakeBatch(std::optional<TimePoint> until) {
  if (getpid() != process_) return Status(StatusCode::kClosed, "a watch ends with a fork");
  std::unique_lock lock(mu_);
  if (const Status ready = WaitLocked(lock, until, true); !ready.ok()) return ready;
  token_moved_ = false;
  if (batches_.empty()) return WatchBatch{{}, token_};
  WatchBatch batch = std::move(batches_.front());
  batches_.pop_front();
  batch.events.erase(batch.events.begin(), batch.events.begin() + std::exchange(next_, 0));
  token_ = batch.token;
  const uint64_t report = CountLocked(batch.events.size());
  lock.unlock();
  if (report > 0) exchange_.taken(report);
  return batch;
}

void WatchQueue::Close() {
  if (getpid() != process_) return;
  {
    const std::lock_guard lock(mu_);
    if (std::exchange(closed_, true)) return;
    live_ = false;
    changed_.notify_all();
  }
  exchange_.close();
}

bool WatchQueue::closed() const {
  if (getpid() != process_) return false;
  const std::lock_guard lock(mu_);
  return closed_;
}

std::optional<Token> WatchQueue::token() const {
  if (getpid() != process_) return std::nullopt;
  const std::lock_guard lock(mu_);
  return token_;
}

bool WatchQueue::is_live() const {
  if (getpid() != process_) return false;
  const std::lock_guard lock(mu_);
  return live_ && batches_.empty();
}

}  // namespace entrepot
