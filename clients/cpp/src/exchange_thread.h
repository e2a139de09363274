// ExchangeThread: the one thread that owns a client's sockets and runs its Exchange.
//
// Any thread hands it bodies; it answers through their `done`, on its own thread. It ends when it
// is destroyed: what is open then ends as `closed`.
//
// Thread safety: Submit() and Close() from any thread. A `done` must not wait for another call.

#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>
#include <zmq.hpp>

#include "body.h"
#include "entrepot/result.h"
#include "exchange.h"

namespace entrepot {

class ExchangeThread {
 public:
  // Starts the thread. `shared_context` is used in place of an own libzmq context where it is not
  // null; it must outlive this object. `overloaded` where the system has no thread or descriptor
  // left.
  static Result<std::unique_ptr<ExchangeThread>> Start(Exchange::Settings settings,
                                                       zmq::context_t* shared_context);

  ~ExchangeThread();
  ExchangeThread(const ExchangeThread&) = delete;
  ExchangeThread& operator=(const ExchangeThread&) = delete;

  // `closed` after Close(), `overloaded` while kBodiesMax are open; then `done` is not called.
  Status Submit(std::unique_ptr<Body> body);

  // Runs the task on the thread; `closed` after Close(): then it does not run.
  Status Post(std::function<void(Exchange&)> task);

  // Ends all that is open, the sockets and the thread, and waits for it. May be called twice.
  void Close();

 private:
  ExchangeThread(Exchange::Settings settings, zmq::context_t* shared_context, int wake_descriptor);

  void Run();
  // mu_ is held.
  void WakeLocked();
  bool TakeInbox(std::vector<std::unique_ptr<Body>>* taken,
                 std::vector<std::function<void(Exchange&)>>* tasks);
  void Poll();

  // Constant after construction.
  const std::unique_ptr<zmq::context_t> own_context_;

  // Synchronises itself.
  std::atomic<size_t> open_bodies_{0};

  // Owned by the thread.
  Exchange exchange_;

  // Guarded by mu_.
  std::mutex mu_;
  std::vector<std::unique_ptr<Body>> inbox_;
  std::vector<std::function<void(Exchange&)>> tasks_;
  bool closing_ = false;
  int wake_descriptor_;  // -1 after Close(); the thread, which has ended then, reads it unguarded.

  // Guarded by join_mu_.
  std::mutex join_mu_;
  std::thread thread_;
};

}  // namespace entrepot
