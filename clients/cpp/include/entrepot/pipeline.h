// Pipeline: calls that travel in one body, in one round trip.
//
//    entrepot::Pipeline pipeline = client.Pipeline();
//    auto created = pipeline.Add(entrepot::request::Set("a", 1));
//    auto found = pipeline.Add(entrepot::request::Get("a"));
//    entrepot::Status sent = pipeline.Send();
//    if (sent.ok()) Use(*found.get());
//
// The calls take effect in order, but together they are not atomic (that is Transaction). Each has
// its own result or error. More than 512 calls or 8 MiB go in several bodies, one after the other;
// if a body gets no answer, its calls and those behind it all fail with that error, and so does
// Send(). Each body has the pipeline's `call` options; those of the requests do not count.
//
// Thread safety: none; use one pipeline from one thread. The client must not be closed meanwhile.

#pragma once

#include <functional>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "entrepot/request.h"
#include "entrepot/result.h"
#include "entrepot/types.h"
#include "entrepot/wire_request.h"

namespace entrepot {

class ClientCore;

class Pipeline {
 public:
  Pipeline(std::shared_ptr<ClientCore> core, CallOptions call);

  // The future is ready after Send(), or when the pipeline is destroyed unsent: then it is
  // `closed`.
  template <typename T>
  std::future<Result<T>> Add(Request<T> request) {
    auto promise = std::make_shared<std::promise<Result<T>>>();
    std::future<Result<T>> future = promise->get_future();
    Append(std::move(request.wire),
           [promise, decode = std::move(request.decode)](const Result<std::string>& reply) {
             promise->set_value(reply.ok() ? decode(*reply) : Result<T>(reply.status()));
           });
    return future;
  }

  size_t size() const { return requests_.size(); }

  // Sends what was added and waits for all replies; afterwards the pipeline is empty and can be
  // used again. The status is that of the sending, not of the calls.
  Status Send();

  ~Pipeline();
  Pipeline(Pipeline&&) = default;
  Pipeline& operator=(Pipeline&&) = delete;

 private:
  using Finish = std::function<void(const Result<std::string>& reply)>;

  void Append(WireRequest wire, Finish finish);

  std::shared_ptr<ClientCore> core_;
  CallOptions call_;
  std::vector<WireRequest> requests_;
  std::vector<Finish> finishes_;
};

}  // namespace entrepot
