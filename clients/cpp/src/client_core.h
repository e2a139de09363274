// ClientCore: what a Client, its walks and its pipelines share: the options, and the exchange of
// the process they run in.
//
// The exchange starts with the first call. After a fork the child starts another one; the parent's
// is left as it is, for its thread does not exist in the child and its sockets belong to the
// parent.
//
// Thread safety: all methods.

#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "entrepot/client.h"
#include "entrepot/result.h"
#include "entrepot/types.h"
#include "entrepot/watch.h"
#include "entrepot/wire_request.h"
#include "exchange_thread.h"
#include "reply.h"
#include "watch_queue.h"
#include "watches.h"

namespace entrepot {

class ClientCore : public std::enable_shared_from_this<ClientCore> {
 public:
  ClientCore(std::string endpoint, const ClientOptions& options);
  ~ClientCore();
  ClientCore(const ClientCore&) = delete;
  ClientCore& operator=(const ClientCore&) = delete;

  const Status& status() const { return status_; }
  const std::string& endpoint() const { return endpoint_; }
  int64_t timeout_ms(const CallOptions& call) const {
    return call.timeout_ms.value_or(options_.timeout_ms);
  }

  // Sends the requests in one body. `done` is called exactly once, with one reply a request, on
  // the exchange's thread or, where nothing could be submitted, on this one.
  void Submit(std::vector<WireRequest> requests, const CallOptions& call, BodyDone done);

  // The same, and waits.
  std::vector<Reply> Call(std::vector<WireRequest> requests, const CallOptions& call);
  template <typename T>
  Result<T> Call(Request<T> request) {
    const std::vector<Reply> replies = Call({std::move(request.wire)}, request.call);
    if (!replies.front().ok()) return replies.front().status();
    return request.decode(*replies.front());
  }

  // Begins a watch and waits until it has begun. `invalid_argument` for a credit of 0; the errors
  // of a call.
  Result<std::shared_ptr<WatchQueue>> StartWatch(std::string key_prefix, WatchOptions options);

  void Close();

 private:
  // Runs the task on the exchange's thread, if there is one in this process.
  void Post(std::function<void(entrepot::Exchange&)> task);
  // The exchange of this process, started if need be.
  Result<ExchangeThread*> StartedExchange();

  // Constant after construction.
  const std::string endpoint_;
  const ClientOptions options_;
  const pid_t made_by_;
  const Status status_;

  // Synchronises itself: written under the fork lock (client_core.cc), the process last.
  std::atomic<ExchangeThread*> exchange_{nullptr};
  std::atomic<pid_t> exchange_process_{0};
  std::atomic<bool> closed_{false};
  std::atomic<WatchNumber> last_watch_{0};
};

}  // namespace entrepot
