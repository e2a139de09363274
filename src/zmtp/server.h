// A ZMTP 3.1 server (RFC 37, and 23 for peers that speak 3.0) on epoll: the sockets ROUTER (RFC 28)
// and PUB (RFC 29) without libzmq.
//
// Peers are libzmq and every other implementation. It is made for many connections that ask and are
// answered, some of them slow, broken or hostile: everything it keeps for a peer has a bound
// (ZmtpLimits), and every refusal a name and a counter (Event). It does not connect, does not route
// by identity (an announced one is ignored), speaks no security mechanism but NULL, and knows
// nothing of what bodies mean.
//
// Lifetime: Listen(), Start(), Stop(); all once. The handler outlives the server.
//
// Thread safety: Send(), PauseReading(), ResumeReading(), Close() and Publish() from any thread
// between Start() and the end of Stop(); on the io thread of their connection they are cheap, from
// elsewhere they are queued. Messages to one connection from one thread keep their order.
//
//    class Echo : public Handler {
//      void OnMessages(uint32_t, std::span<const Message> messages) override {
//        for (const Message& message : messages) {
//          const Piece body{message.body};
//          server->Send(message.connection, message.envelope, {&body, 1});
//        }
//      }
//      …
//    };
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"
#include "zmtp/acceptor.h"
#include "zmtp/events.h"
#include "zmtp/handler.h"
#include "zmtp/io_thread.h"
#include "zmtp/limits.h"
#include "zmtp/message.h"

namespace entrepot::zmtp {

struct ServerOptions {
  uint32_t io_threads = 1;  // 1 to kIoThreadsMax.
  ZmtpLimits limits;
};

class Server {
 public:
  Server(const ServerOptions& options, Handler& handler);
  ~Server();  // Stops.
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Binds one more endpoint (see endpoint.h) and gives back its name with the port that was picked.
  Result<std::string> Listen(const std::string& endpoint, EndpointKind kind);
  Status Start();
  // No new connections from now on; those that are there go on.
  void StopListening();
  // Ends: connections take what waits for them, for at most ZmtpLimits::linger_ms.
  void Stop();

  // Sends one message: the frames of `envelope`, as received, then one frame with the pieces of
  // `body`. Pieces with a release function are taken over whatever the result.
  SendResult Send(ConnectionHandle connection, std::string_view envelope,
                  std::span<const Piece> body);
  // Bytes that wait to be sent to the connection, 0 when it is gone. On its io thread only.
  size_t WaitingOutput(ConnectionHandle connection) const;

  // No more messages of this connection are handed over than those of the current turn, until
  // ResumeReading(). What it sends meanwhile waits in the kernel: the peer feels it.
  void PauseReading(ConnectionHandle connection);
  void ResumeReading(ConnectionHandle connection);
  void Close(ConnectionHandle connection);

  // Sends the frames to every subscriber of a prefix of the first one. Never waits: a subscriber
  // whose queue is full does not get it, and it is dropped for all when more is published than can
  // be dealt out. `frames` are 1 to ZmtpLimits::frames.
  void Publish(std::span<const std::string_view> frames);
  // False: so much that was published was not dealt out yet that more had better wait.
  bool TakesPublications() const;
  // Whether anyone is connected to a feed endpoint.
  bool HasSubscribers() const;

  // Connections in all, memory of unfinished input and of waiting output, in bytes.
  size_t Connections() { return common_.addresses.all(); }
  size_t HeldInput() const { return common_.shared.input_budget.total(); }
  size_t HeldOutput() const { return common_.shared.output_budget.total(); }
  const Counters& counters() const { return common_.shared.counters; }

 private:
  IoThread* ThreadOf(ConnectionHandle connection) const;
  void Order(ConnectionHandle connection, ConnectionOrder::Kind kind);

  Common common_;
  Acceptor acceptor_;
  bool is_running_ = false;
};

}  // namespace entrepot::zmtp
