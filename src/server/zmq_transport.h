// The transport over libzmq: one ROUTER socket, bound to all endpoints, owned by one thread.
//
// It drains up to kTurnMessages between two polls, answers what is ready at once on the same
// thread, and takes other replies through a queue and an eventfd. A peer that is full (EAGAIN) is
// tried again each turn, from a queue of its own with a bound on its bytes; one that is gone
// (EHOSTUNREACH) is forgotten.
//
// What libzmq keeps from us: it reads every peer whether we want it or not, never tells that a peer
// has gone or how many there are, and gathers all frames of a message before we see the first. So a
// peer that takes no replies is answered `overloaded` instead of not being read, and after that its
// replies are dropped; see docs/OPERATING.md. The native transport has none of these limits.
//
// Thread safety: any thread.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "base/status.h"
#include "server/transport.h"

namespace entrepot {

class ZmqTransport final : public Transport {
 public:
  struct Options {
    std::vector<std::string> listen;  // tcp://, ipc:// or inproc://; port 0 picks a free one.
    std::string feed;                 // "off", "auto" or an endpoint; see FeedEndpoint().
    size_t body_bytes_max = 0;
    // The zmq_ctx_t to use, so that inproc endpoints can be reached; null: one of its own.
    void* context = nullptr;
    // Called with the transport when it is bound and before it reads.
    std::function<void(Transport*)> started;
  };

  // Binds the endpoints and starts the thread. `handler` outlives the transport. Errors:
  // kInvalidArgument, kUnavailable, with the endpoint and the reason.
  static Result<std::unique_ptr<ZmqTransport>> Start(const Options& options,
                                                     MessageHandler* handler);
  ~ZmqTransport() override;

  void Send(std::vector<Outbound> replies) override;
  bool TakesMore(uint64_t connection) const override;
  bool TakesEvents(uint64_t connection) const override;
  bool HasSubscribers() const override;
  bool TakesPublications() const override;
  void Publish(Publications publications) override;
  const std::vector<std::string>& endpoints() const override { return endpoints_; }
  const std::string& feed_endpoint() const override { return feed_endpoint_; }
  void StopReading() override;
  void Stop() override;
  void AddStats(const StatAdder& add) const override;

 private:
  class FeedLoop;
  class Loop;

  ZmqTransport();

  std::vector<std::string> endpoints_;
  std::string feed_endpoint_;
  std::unique_ptr<Loop> loop_;
  std::unique_ptr<FeedLoop> feed_loop_;  // Null: there is no feed.
};

}  // namespace entrepot
