#include "connection.h"

#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <zmq.hpp>

namespace entrepot {
namespace {

// How long libzmq waits between attempts to connect: at first, and at most (it doubles).
constexpr int kConnectRetryMs = 20;
constexpr int kConnectRetryMaxMs = 1000;
// A server that accepts and then says nothing is given up after this long.
constexpr int kHandshakeMs = 5000;

constexpr int kMonitoredEvents = ZMQ_EVENT_CONNECT_RETRIED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED |
                                 ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                                 ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                                 ZMQ_EVENT_HANDSHAKE_FAILED_AUTH | ZMQ_EVENT_DISCONNECTED;

// A name for the monitor's own endpoint that no other connection of the process has.
std::string MonitorEndpoint() {
  static std::atomic<uint64_t> count{0};
  return "inproc://entrepot-monitor-" + std::to_string(count.fetch_add(1));
}

}  // namespace

Result<std::unique_ptr<Connection>> Connection::Open(zmq::context_t& context,
                                                     const std::string& endpoint) {
  std::unique_ptr<Connection> connection(new Connection);
  try {
    zmq::socket_t socket(context, zmq::socket_type::dealer);
    socket.set(zmq::sockopt::linger, 0);
    socket.set(zmq::sockopt::reconnect_ivl, kConnectRetryMs);
    socket.set(zmq::sockopt::reconnect_ivl_max, kConnectRetryMaxMs);
    socket.set(zmq::sockopt::handshake_ivl, kHandshakeMs);
    socket.set(zmq::sockopt::sndhwm, 0);  // The client's own bound is narrower.
    socket.set(zmq::sockopt::rcvhwm, 0);
    if (endpoint.starts_with("inproc://")) {
      connection->state_ = State::kReady;
    } else {
      const std::string monitor_endpoint = MonitorEndpoint();
      if (zmq_socket_monitor(socket.handle(), monitor_endpoint.c_str(), kMonitoredEvents) != 0) {
        throw zmq::error_t();
      }
      connection->monitor_ = zmq::socket_t(context, zmq::socket_type::pair);
      connection->monitor_.set(zmq::sockopt::linger, 0);
      connection->monitor_.connect(monitor_endpoint);
    }
    socket.connect(endpoint);
    connection->socket_ = std::move(socket);
  } catch (const zmq::error_t& error) {
    const bool bad_endpoint = error.num() == EINVAL || error.num() == EPROTONOSUPPORT ||
                              error.num() == ENOCOMPATPROTO || error.num() == ENODEV;
    return Status(bad_endpoint ? StatusCode::kInvalidArgument : StatusCode::kUnreachable,
                  "cannot connect to " + endpoint + ": " + error.what());
  }
  return connection;
}

Connection::~Connection() {
  // First the monitoring, then its receiver: libzmq's own thread would wait for ever to send an
  // event to a receiver that is gone, and with it every socket of the context.
  if (monitor_) zmq_socket_monitor(socket_.handle(), nullptr, 0);
}

bool Connection::Send(const std::string& body) {
  try {
    return socket_.send(zmq::buffer(body), zmq::send_flags::dontwait).has_value();
  } catch (const zmq::error_t&) {
    state_ = State::kLost;
    return false;
  }
}

bool Connection::Receive(zmq::message_t* body) {
  try {
    bool more = true;
    if (!socket_.recv(*body, zmq::recv_flags::dontwait)) return false;
    more = body->more();
    // The envelope is empty here, but a proxy may add to it; the body is the last frame.
    while (more) {
      if (!socket_.recv(*body)) return false;
      more = body->more();
    }
    return true;
  } catch (const zmq::error_t&) {
    state_ = State::kLost;
    return false;
  }
}

void Connection::UpdateState() {
  zmq::message_t event_frame;
  zmq::message_t address_frame;
  try {
    while (monitor_.recv(event_frame, zmq::recv_flags::dontwait)) {
      if (!monitor_.recv(address_frame)) return;
      uint16_t event = 0;  // libzmq: 16 bits of event and 32 of value, in the host's byte order.
      if (event_frame.size() < sizeof event) continue;
      std::memcpy(&event, event_frame.data(), sizeof event);
      switch (event) {
        case ZMQ_EVENT_CONNECT_RETRIED:
          if (state_ == State::kConnecting) state_ = State::kRefused;
          break;
        case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
          if (state_ != State::kLost) state_ = State::kReady;
          break;
        case ZMQ_EVENT_DISCONNECTED:
          state_ = state_ == State::kReady ? State::kLost : State::kRefused;
          break;
        default:  // The three ways in which a handshake fails.
          if (state_ == State::kConnecting) state_ = State::kRefused;
          break;
      }
    }
  } catch (const zmq::error_t&) {
    state_ = State::kLost;
  }
}

}  // namespace entrepot
