// bench-zmq-echo: a bare libzmq ROUTER that sends each message back. What it costs is what any
// server on libzmq pays before it has done anything.
//
// It is built as well as libzmq allows: messages are moved, not copied, and up to 256 are drained
// between two polls.
#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <string>
#include <zmq.hpp>

#include "bench/echo/program.h"

namespace {

constexpr int kMessagesATurn = 256;

// Sends the parts of one message back; false when none is there. What a full peer cannot take is
// dropped, as ROUTER does.
bool EchoOne(zmq::socket_t* router, zmq::message_t* part) {
  if (!router->recv(*part, zmq::recv_flags::dontwait)) return false;
  while (part->more()) {
    router->send(*part, zmq::send_flags::sndmore);
    static_cast<void>(router->recv(*part));
  }
  router->send(*part, zmq::send_flags::none);
  return true;
}

int Serve(const entrepot::bench::EchoFlags& flags) {
  const int stop = entrepot::bench::MakeStopDescriptor();
  zmq::context_t context(1);
  zmq::socket_t router(context, zmq::socket_type::router);
  router.set(zmq::sockopt::linger, 0);
  router.set(zmq::sockopt::sndhwm, 0);
  router.set(zmq::sockopt::rcvhwm, 0);
  router.set(zmq::sockopt::backlog, 4096);
  context.set(zmq::ctxopt::max_sockets, 1);
  router.bind(fmt::format("tcp://{}:{}", flags.host, flags.port));
  const std::string endpoint = router.get(zmq::sockopt::last_endpoint);
  const int port = std::stoi(endpoint.substr(endpoint.rfind(':') + 1));
  const entrepot::Status status = entrepot::bench::WritePortsFile(flags, port);
  if (!status.ok()) {
    fmt::print(stderr, "bench-zmq-echo: {}\n", status.message());
    return 1;
  }
  std::array<zmq::pollitem_t, 2> items = {
      {{router.handle(), 0, ZMQ_POLLIN, 0}, {nullptr, stop, ZMQ_POLLIN, 0}}};
  zmq::message_t part;
  while (true) {
    zmq::poll(items, std::chrono::milliseconds(-1));
    if (items[1].revents != 0) return 0;
    int left = kMessagesATurn;
    while (left > 0 && EchoOne(&router, &part)) --left;
  }
}

}  // namespace

int main(int argc, char** argv) {
  const entrepot::bench::EchoFlags flags = entrepot::bench::ParseEchoFlags(
      argc, argv, "bench-zmq-echo", "A bare libzmq ROUTER that sends each message back.");
  try {
    return Serve(flags);
  } catch (const zmq::error_t& error) {
    fmt::print(stderr, "bench-zmq-echo: {}: {}\n", flags.host, error.what());
    return 1;
  }
}
