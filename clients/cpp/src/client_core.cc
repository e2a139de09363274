#include "client_core.h"

#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "endpoint.h"

namespace entrepot {
namespace {

// Held while an exchange is started or given up, and across every fork, so that a child never
// finds either half done.
std::mutex& ForkMutex() {
  static std::mutex* const mutex = [] {
    static std::mutex held_across_forks;
    pthread_atfork([] { held_across_forks.lock(); }, [] { held_across_forks.unlock(); },
                   [] { held_across_forks.unlock(); });
    return &held_across_forks;
  }();
  return *mutex;
}

}  // namespace

ClientCore::ClientCore(std::string endpoint, const ClientOptions& options)
    : endpoint_(std::move(endpoint)),
      options_(options),
      made_by_(getpid()),
      status_(CheckEndpoint(endpoint_)) {}

ClientCore::~ClientCore() {
  // What a parent process started stays: see the header.
  if (exchange_process_.load() == getpid()) delete exchange_.load();
}

Result<ExchangeThread*> ClientCore::StartedExchange() {
  const pid_t process = getpid();
  if (exchange_process_.load(std::memory_order_acquire) == process) {
    return exchange_.load(std::memory_order_relaxed);
  }
  const std::lock_guard lock(ForkMutex());
  if (closed_.load()) return Status(StatusCode::kClosed, "the client is closed");
  if (exchange_process_.load(std::memory_order_relaxed) == process) {
    return exchange_.load(std::memory_order_relaxed);
  }
  if (options_.context != nullptr && process != made_by_) {
    return Status(StatusCode::kClosed, "a client with a shared context ends with a fork");
  }
  Result<std::unique_ptr<ExchangeThread>> started = ExchangeThread::Start(
      {.endpoint = endpoint_, .connect_wait = milliseconds(options_.connect_wait_ms)},
      options_.context);
  if (!started.ok()) return started.status();
  // Where there was an exchange it is the parent's: its memory stays, as it must.
  exchange_.store(started->release(), std::memory_order_relaxed);
  exchange_process_.store(process, std::memory_order_release);
  return exchange_.load(std::memory_order_relaxed);
}

void ClientCore::Submit(std::vector<WireRequest> requests, const CallOptions& call, BodyDone done) {
  const size_t count = requests.size();
  const auto fail = [&](const Status& status) { done(std::vector<Reply>(count, Reply(status))); };
  if (!status_.ok()) return fail(status_);
  if (closed_.load()) return fail(Status(StatusCode::kClosed, "the client is closed"));
  Result<ExchangeThread*> exchange = StartedExchange();
  if (!exchange.ok()) return fail(exchange.status());
  auto body = std::make_unique<Body>();
  body->requests = std::move(requests);
  body->submitted = Clock::now();
  body->deadline =
      body->submitted + milliseconds(std::max<int64_t>(1, timeout_ms(call))) + body->wait();
  body->retries = std::max(0, call.retries.value_or(options_.retries));
  body->done = done;
  if (const Status submitted = (*exchange)->Submit(std::move(body)); !submitted.ok()) {
    fail(submitted);
  }
}

std::vector<Reply> ClientCore::Call(std::vector<WireRequest> requests, const CallOptions& call) {
  // Shared, for set_value() may still be at work when get() has returned.
  const auto promise = std::make_shared<std::promise<std::vector<Reply>>>();
  std::future<std::vector<Reply>> replies = promise->get_future();
  Submit(std::move(requests), call,
         [promise](std::vector<Reply> arrived) { promise->set_value(std::move(arrived)); });
  return replies.get();
}

Result<std::shared_ptr<WatchQueue>> ClientCore::StartWatch(std::string key_prefix,
                                                           WatchOptions options) {
  if (!status_.ok()) return status_;
  if (closed_.load()) return Status(StatusCode::kClosed, "the client is closed");
  if (options.credit < 1) return Status(StatusCode::kInvalidArgument, "credit is at least 1");
  Result<ExchangeThread*> exchange = StartedExchange();
  if (!exchange.ok()) return exchange.status();
  const WatchNumber number = last_watch_.fetch_add(1) + 1;
  const std::weak_ptr<ClientCore> weak = weak_from_this();
  const auto post = [weak](std::function<void(entrepot::Exchange&)> task) {
    if (const std::shared_ptr<ClientCore> core = weak.lock()) core->Post(std::move(task));
  };
  auto queue = std::make_shared<WatchQueue>(
      options.credit,
      WatchQueue::Exchange{.taken =
                               [post, number](uint64_t count) {
                                 post([=](entrepot::Exchange& at) {
                                   at.watches().Taken(number, count);
                                 });
                               },
                           .close =
                               [post, number] {
                                 post([=](entrepot::Exchange& at) { at.watches().Close(number); });
                               }});
  const auto begun = std::make_shared<std::promise<Status>>();
  const auto start = std::make_shared<WatchStart>(
      WatchStart{.number = number,
                 .state = WatchState(std::move(key_prefix), options),
                 .queue = queue,
                 .timeout = milliseconds(std::max<int64_t>(1, timeout_ms(options.call))),
                 .retries = std::max(0, options.call.retries.value_or(options_.retries)),
                 .begun = [begun](const Status& status) { begun->set_value(status); }});
  const Status posted =
      (*exchange)->Post([start](entrepot::Exchange& at) { at.watches().Start(std::move(*start)); });
  if (!posted.ok()) return posted;
  if (Status status = begun->get_future().get(); !status.ok()) return status;
  return queue;
}

void ClientCore::Post(std::function<void(entrepot::Exchange&)> task) {
  if (exchange_process_.load(std::memory_order_acquire) != getpid()) return;
  // A client that is closed has ended its watches.
  [[maybe_unused]] const Status posted =
      exchange_.load(std::memory_order_relaxed)->Post(std::move(task));
}

void ClientCore::Close() {
  closed_.store(true);
  ExchangeThread* exchange = nullptr;
  {
    const std::lock_guard lock(ForkMutex());
    if (exchange_process_.load() == getpid()) exchange = exchange_.load();
  }
  if (exchange != nullptr) exchange->Close();
}

}  // namespace entrepot
