// Connection: one DEALER socket to one server, and the monitor that tells how it fares.
//
// A connection lives from its connect to its first loss and is then thrown away, with whatever it
// still held: requests wait in the client (exchange.h), never in libzmq, so that after a loss it is
// known which of them must be sent again. libzmq's own reconnection serves only the time before
// the first success.
//
// Over inproc there is nothing to monitor: such a connection counts as ready from the start.
//
// Thread safety: none; it belongs to the client's exchange thread.

#pragma once

#include <memory>
#include <string>
#include <zmq.hpp>

#include "entrepot/result.h"

namespace entrepot {

class Connection {
 public:
  enum class State {
    kConnecting,  // No answer from the endpoint yet.
    kRefused,     // At least one attempt failed; libzmq goes on trying.
    kReady,       // The ZMTP handshake is done.
    kLost,        // It was ready and is no more, or it can never become so.
  };

  // Begins to connect. `invalid_argument` for an endpoint that libzmq does not take,
  // `unreachable` where the system has no socket left.
  static Result<std::unique_ptr<Connection>> Open(zmq::context_t& context,
                                                  const std::string& endpoint);

  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  State state() const { return state_; }

  // Sends one body now; false where there is no room.
  bool Send(const std::string& body);

  // Takes the next body that has arrived; false where there is none.
  bool Receive(zmq::message_t* body);

  // Reads what the monitor has told. Call it when the monitor's socket is readable.
  void UpdateState();

  void* socket_handle() { return socket_.handle(); }
  // Null over inproc.
  void* monitor_handle() { return monitor_ ? monitor_.handle() : nullptr; }

 private:
  Connection() = default;

  zmq::socket_t socket_;
  zmq::socket_t monitor_;
  State state_ = State::kConnecting;
};

}  // namespace entrepot
