#include "link.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>
#include <zmq.hpp>

namespace entrepot {
namespace {

constexpr milliseconds kReopenFirst{20};
constexpr milliseconds kReopenMax{1000};
// Connections put aside at a time; the oldest gives way. A call has rarely more attempts.
constexpr size_t kAsideMax = 8;

}  // namespace

Status Link::Open(TimePoint now) {
  if (current_ || now < reopen_at_) return Status();
  Result<std::unique_ptr<Connection>> opened = Connection::Open(context_, endpoint_);
  if (!opened.ok()) return opened.status();
  current_.emplace(Numbered{++last_number_, *std::move(opened), {}});
  return Status();
}

std::optional<TimePoint> Link::reopen_at() const {
  if (current_) return std::nullopt;
  return reopen_at_;
}

bool Link::ready() const {
  return current_ && current_->connection->state() == Connection::State::kReady;
}

bool Link::Send(const std::string& body, uint64_t sequence) {
  if (!ready() || !current_->connection->Send(body)) return false;
  current_->awaited.insert(sequence);
  return true;
}

void Link::Notify(uint64_t connection, const std::string& body) {
  // Where it cannot be sent the connection is lost, which Receive() tells.
  if (ready() && connection == current_->number) current_->connection->Send(body);
}

void Link::Renew() {
  if (!current_) return;
  if (aside_.size() == kAsideMax) aside_.erase(aside_.begin());
  aside_.push_back(*std::move(current_));
  current_.reset();
}

void Link::Read(Numbered* numbered, Arrivals* arrivals) {
  zmq::message_t body;
  while (numbered->connection->Receive(&body)) {
    reopen_wait_ = milliseconds{0};
    arrivals->bodies.push_back({numbered->number, std::move(body)});
  }
  if (numbered->connection->monitor_handle() != nullptr) numbered->connection->UpdateState();
}

Link::Arrivals Link::Receive(TimePoint now) {
  Arrivals arrivals;
  for (Numbered& numbered : aside_) Read(&numbered, &arrivals);
  std::erase_if(aside_, [&](const Numbered& numbered) {
    if (numbered.connection->state() != Connection::State::kLost) return false;
    arrivals.ended.push_back(numbered.number);
    return true;
  });
  if (!current_) return arrivals;
  Read(&*current_, &arrivals);
  switch (current_->connection->state()) {
    case Connection::State::kConnecting:
      break;
    case Connection::State::kReady:
      refused_since_.reset();
      break;
    case Connection::State::kRefused:
      if (!refused_since_) refused_since_ = now;
      break;
    case Connection::State::kLost:
      arrivals.ended.push_back(current_->number);
      current_.reset();
      reopen_at_ = now + reopen_wait_;
      reopen_wait_ = std::clamp(reopen_wait_ * 2, kReopenFirst, kReopenMax);
      break;
  }
  return arrivals;
}

void Link::Forget(uint64_t sequence) {
  if (current_) current_->awaited.erase(sequence);
  for (Numbered& numbered : aside_) numbered.awaited.erase(sequence);
  std::erase_if(aside_, [](const Numbered& numbered) { return numbered.awaited.empty(); });
}

void Link::Reset() {
  aside_.clear();
  current_.reset();
  refused_since_.reset();
  reopen_at_ = TimePoint{};
}

void Link::AddPollItems(std::vector<zmq_pollitem_t>* items) {
  const auto add = [items](Numbered& numbered) {
    items->push_back({numbered.connection->socket_handle(), 0, ZMQ_POLLIN, 0});
    if (void* monitor = numbered.connection->monitor_handle(); monitor != nullptr) {
      items->push_back({monitor, 0, ZMQ_POLLIN, 0});
    }
  };
  if (current_) add(*current_);
  for (Numbered& numbered : aside_) add(numbered);
}

}  // namespace entrepot
