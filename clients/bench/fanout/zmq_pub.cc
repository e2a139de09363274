// bench-zmq-pub: a bare libzmq PUB that sends messages of two frames, a key and some bytes, at a
// given rate. What it delivers is what any feed on libzmq can at most.
#include <fmt/format.h>
#include <poll.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>
#include <zmq.hpp>

#include "base/clock.h"
#include "bench/echo/program.h"

namespace {

// As the server's feed has it.
constexpr int kHighWaterMark = 4000;
constexpr int kMessagesATurn = 64;

bool Stopped(int stop, int timeout_ms) {
  pollfd poll_stop{stop, POLLIN, 0};
  return poll(&poll_stop, 1, timeout_ms) > 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("A bare libzmq PUB.");
  entrepot::bench::EchoFlags flags;
  size_t event_bytes = 128;
  int64_t rate = 10'000;
  app.add_option("--ports-file", flags.ports_file, "Written when it is ready.");
  app.add_option("--event-bytes", event_bytes, "Of the second frame.");
  app.add_option("--rate", rate, "Messages a second.");
  CLI11_PARSE(app, argc, argv);

  const int stop = entrepot::bench::MakeStopDescriptor();
  zmq::context_t context(1);
  zmq::socket_t socket(context, zmq::socket_type::pub);
  socket.set(zmq::sockopt::linger, 0);
  socket.set(zmq::sockopt::sndhwm, kHighWaterMark);
  socket.set(zmq::sockopt::backlog, 4096);
  socket.bind("tcp://127.0.0.1:0");
  const std::string endpoint = socket.get(zmq::sockopt::last_endpoint);
  const entrepot::Status status =
      entrepot::bench::WritePortsFile(flags, std::stoi(endpoint.substr(endpoint.rfind(':') + 1)));
  if (!status.ok()) {
    fmt::print(stderr, "bench-zmq-pub: {}\n", status.message());
    return 1;
  }
  const std::string event(event_bytes, 'e');
  const int64_t begin_us = entrepot::MonotonicMicros();
  for (int64_t sent = 0;;) {
    const int64_t due = (entrepot::MonotonicMicros() - begin_us) * rate / 1'000'000;
    if (due <= sent) {
      if (Stopped(stop, 1)) return 0;
      continue;
    }
    const int64_t end = std::min(due, sent + kMessagesATurn);
    for (; sent < end; ++sent) {
      const std::string key = fmt::format("key{:013}", sent % 1000);
      socket.send(zmq::buffer(key), zmq::send_flags::sndmore);
      socket.send(zmq::buffer(event), zmq::send_flags::none);
    }
    if (Stopped(stop, 0)) return 0;
  }
}
