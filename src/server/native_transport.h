// The transport of our own: ZMTP spoken by this process on epoll (src/zmtp/), for tcp and ipc.
//
// A peer that does not take its replies is not read any more, and then closed; every bound holds
// before memory is taken. inproc endpoints stay libzmq's (zmq_transport.h).
//
// Thread safety: any thread.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/hash.h"
#include "server/logger.h"
#include "server/output_account.h"
#include "server/transport.h"
#include "zmtp/server.h"

namespace entrepot {

class NativeTransport final : public Transport, private zmtp::Handler {
 public:
  struct Options {
    std::vector<std::string> listen;  // tcp:// or ipc://; port 0 picks a free one.
    std::string feed;                 // "off", "auto" or an endpoint; see FeedEndpoint().
    size_t body_bytes_max = 0;
    uint32_t io_threads = 1;
    // Called with the transport when it is bound and before it reads.
    std::function<void(Transport*)> started;
  };

  // Binds the endpoints and starts the threads. `handler` and `logger` outlive the transport.
  // Errors: kInvalidArgument, kUnavailable, with the endpoint and the reason.
  static Result<std::unique_ptr<NativeTransport>> Start(const Options& options,
                                                        MessageHandler* handler, Logger* logger);
  ~NativeTransport() override;

  void Send(std::vector<Outbound> replies) override;
  bool TakesMore(uint64_t connection) const override;
  bool TakesEvents(uint64_t connection) const override;
  bool HasSubscribers() const override { return server_.HasSubscribers(); }
  bool TakesPublications() const override { return server_.TakesPublications(); }
  void Publish(Publications publications) override;
  const std::vector<std::string>& endpoints() const override { return endpoints_; }
  const std::string& feed_endpoint() const override { return feed_endpoint_; }
  void StopReading() override;
  void Stop() override;
  void AddStats(const StatAdder& add) const override;

 private:
  class Sink;

  NativeTransport(const Options& options, MessageHandler* handler, Logger* logger);
  void SweepAccount();
  uint64_t PeerOf(const zmtp::Message& message) const;
  void SendReply(uint64_t connection, std::string_view envelope, const Reply& reply);

  // zmtp::Handler
  void OnThreadStarted(uint32_t io_thread) override;
  void OnThreadStopping(uint32_t io_thread) override;
  void OnMessages(uint32_t io_thread, std::span<const zmtp::Message> messages) override;
  void OnOpened(zmtp::ConnectionHandle connection, zmtp::EndpointKind kind,
                std::string_view address) override;
  void OnClosed(zmtp::ConnectionHandle connection, zmtp::Event reason) override;
  void OnSentToNobody(zmtp::ConnectionHandle connection) override;
  void OnRefused(zmtp::Event reason, std::string_view address, uint64_t suppressed) override;

  // Of one io thread, used by it only.
  struct IoThread {
    std::unique_ptr<MessageHandler::Lane> lane;
    std::vector<Inbound> inbound;
  };

  // Constant after Start().
  MessageHandler* const handler_;
  Logger& logger_;
  const HashSecret secret_;
  std::vector<std::string> endpoints_;
  std::string feed_endpoint_;

  // Each belongs to its thread; the time to the first one.
  std::vector<IoThread> threads_;
  int64_t last_sweep_us_ = 0;

  // Synchronise themselves.
  OutputAccount account_;  // Of replies that came from workers.
  std::atomic<bool> reading_{true};
  std::atomic<uint32_t> handling_{0};  // Threads that are in OnMessages().
  zmtp::Server server_;
};

}  // namespace entrepot
