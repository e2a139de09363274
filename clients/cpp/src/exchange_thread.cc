#include "exchange_thread.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <system_error>
#include <utility>
#include <vector>
#include <zmq.hpp>

namespace entrepot {
namespace {

// Bodies that may be open in a client at a time, on their way or waiting.
constexpr size_t kBodiesMax = 65'536;

}  // namespace

Result<std::unique_ptr<ExchangeThread>> ExchangeThread::Start(Exchange::Settings settings,
                                                              zmq::context_t* shared_context) {
  const int wake_descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_descriptor < 0) {
    return Status(StatusCode::kOverloaded,
                  std::string("no descriptor for a client: ") + std::strerror(errno));
  }
  try {
    std::unique_ptr<ExchangeThread> started(
        new ExchangeThread(std::move(settings), shared_context, wake_descriptor));
    started->thread_ = std::thread([thread = started.get()] { thread->Run(); });
    return started;
  } catch (const std::system_error& error) {
    return Status(StatusCode::kOverloaded, std::string("no thread for a client: ") + error.what());
  }
}

ExchangeThread::ExchangeThread(Exchange::Settings settings, zmq::context_t* shared_context,
                               int wake_descriptor)
    : own_context_(shared_context != nullptr ? nullptr : std::make_unique<zmq::context_t>()),
      exchange_(shared_context != nullptr ? *shared_context : *own_context_, std::move(settings)),
      wake_descriptor_(wake_descriptor) {}

ExchangeThread::~ExchangeThread() { Close(); }

Status ExchangeThread::Submit(std::unique_ptr<Body> body) {
  const std::lock_guard lock(mu_);
  if (closing_) return Status(StatusCode::kClosed, "the client is closed");
  if (open_bodies_.load(std::memory_order_relaxed) >= kBodiesMax) {
    return Status(StatusCode::kOverloaded, "too many calls are open in this client")
        .SetRetryLater(0);
  }
  open_bodies_.fetch_add(1, std::memory_order_relaxed);
  body->done = [this, done = std::move(body->done)](std::vector<Reply> replies) {
    open_bodies_.fetch_sub(1, std::memory_order_relaxed);
    done(std::move(replies));
  };
  inbox_.push_back(std::move(body));
  if (inbox_.size() == 1) WakeLocked();
  return Status();
}

Status ExchangeThread::Post(std::function<void(Exchange&)> task) {
  const std::lock_guard lock(mu_);
  if (closing_) return Status(StatusCode::kClosed, "the client is closed");
  tasks_.push_back(std::move(task));
  if (tasks_.size() == 1) WakeLocked();
  return Status();
}

void ExchangeThread::Close() {
  {
    const std::lock_guard lock(mu_);
    closing_ = true;
    if (wake_descriptor_ >= 0) WakeLocked();
  }
  const std::lock_guard join_lock(join_mu_);
  if (thread_.joinable()) thread_.join();
  const std::lock_guard lock(mu_);
  if (wake_descriptor_ >= 0) close(wake_descriptor_);
  wake_descriptor_ = -1;
}

void ExchangeThread::WakeLocked() {
  const uint64_t one = 1;
  // The only failure is a full counter, and then the thread is awake.
  [[maybe_unused]] const ssize_t written = write(wake_descriptor_, &one, sizeof one);
}

bool ExchangeThread::TakeInbox(std::vector<std::unique_ptr<Body>>* taken,
                               std::vector<std::function<void(Exchange&)>>* tasks) {
  const std::lock_guard lock(mu_);
  taken->swap(inbox_);
  tasks->swap(tasks_);
  return !closing_;
}

void ExchangeThread::Run() {
  std::vector<std::unique_ptr<Body>> taken;
  std::vector<std::function<void(Exchange&)>> tasks;
  bool open = true;
  while (open) {
    open = TakeInbox(&taken, &tasks);
    for (std::unique_ptr<Body>& body : taken) exchange_.Submit(std::move(body));
    for (const std::function<void(Exchange&)>& task : tasks) task(exchange_);
    taken.clear();
    tasks.clear();
    if (!open) break;
    exchange_.Turn(Clock::now());
    Poll();
  }
  exchange_.Close();
  if (own_context_ != nullptr) own_context_->close();
}

void ExchangeThread::Poll() {
  std::vector<zmq_pollitem_t> items{{nullptr, wake_descriptor_, ZMQ_POLLIN, 0}};
  exchange_.AddPollItems(&items);
  long timeout_ms = -1;
  if (const TimePoint next = exchange_.NextTurn(); next != TimePoint::max()) {
    const auto wait = std::chrono::ceil<milliseconds>(next - Clock::now());
    timeout_ms = std::max<long>(0, wait.count());
  }
  // An interrupted or failed poll is a turn with nothing new: time still acts in it.
  if (zmq_poll(items.data(), static_cast<int>(items.size()), timeout_ms) <= 0) return;
  if (items[0].revents != 0) {
    uint64_t count = 0;
    [[maybe_unused]] const ssize_t taken = read(wake_descriptor_, &count, sizeof count);
  }
}

}  // namespace entrepot
