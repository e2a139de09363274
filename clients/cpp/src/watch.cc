#include "entrepot/watch.h"

#include <chrono>
#include <memory>
#include <optional>
#include <utility>

#include "client_clock.h"
#include "watch_queue.h"

namespace entrepot {

Watch::Watch(std::shared_ptr<WatchQueue> queue) : queue_(std::move(queue)) {}

Watch::~Watch() { Close(); }

Watch::Watch(Watch&&) noexcept = default;

Watch& Watch::operator=(Watch&& other) noexcept {
  if (this != &other) {
    Close();
    queue_ = std::move(other.queue_);
    current_ = std::move(other.current_);
    status_ = std::move(other.status_);
  }
  return *this;
}

Result<Event> Watch::Next() { return Take(std::nullopt); }

Result<Event> Watch::Next(std::chrono::milliseconds patience) {
  return Take(Clock::now() + patience);
}

Result<Event> Watch::Take(std::optional<TimePoint> until) {
  Result<Event> event = queue_->Take(until);
  const bool goes_on = event.ok() || event.status().code() == StatusCode::kTimeout;
  if (!goes_on && !queue_->closed()) status_ = event.status();
  return event;
}

std::optional<Token> Watch::token() const { return queue_->token(); }

bool Watch::is_live() const { return queue_->is_live(); }

void Watch::Close() {
  if (queue_ != nullptr) queue_->Close();
}

void Watch::Iterator::Step() {
  Result<Event> event = watch_->Next();
  if (event.ok()) {
    watch_->current_ = *std::move(event);
  } else {
    watch_ = nullptr;
  }
}

}  // namespace entrepot
