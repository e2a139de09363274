// A C++ program with the store inside: threads of it, and nobody else, speak to it over inproc://.
//
// The same server can listen on tcp:// too, so that other programs see what this one keeps: run it
// with an endpoint as its argument, for instance tcp://127.0.0.1:5555.

#include <cstdint>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include <msgpack.hpp>
#include <zmq.hpp>

#include "server/server.h"

namespace {

// One request, one response: the result, or an exception with the error.
msgpack::object_handle Call(zmq::socket_t& socket, const msgpack::sbuffer& request) {
  socket.send(zmq::buffer(request.data(), request.size()));
  zmq::message_t reply;
  if (!socket.recv(reply)) throw std::runtime_error("no reply");
  return msgpack::unpack(reply.data<char>(), reply.size());
}

// increment(key, 1)
msgpack::sbuffer Increment(uint32_t msgid, const std::string& key) {
  msgpack::sbuffer buffer;
  msgpack::packer packer(buffer);
  packer.pack_array(4).pack(0).pack(msgid).pack("increment");
  packer.pack_array(2).pack(key).pack(1);
  return buffer;
}

void Work(zmq::context_t& context, int jobs) {
  zmq::socket_t socket(context, zmq::socket_type::dealer);
  socket.connect("inproc://store");
  for (int job = 0; job < jobs; ++job) {
    Call(socket, Increment(static_cast<uint32_t>(job), "jobs:done"));
  }
}

}  // namespace

int main(int argc, char** argv) {
  zmq::context_t context;
  entrepot::Logger logger(entrepot::LogLevel::kWarning);
  entrepot::Options options;
  options.listen = {"inproc://store"};
  for (int i = 1; i < argc; ++i) options.listen.emplace_back(argv[i]);

  auto server = entrepot::Server::Start(options, &logger, context.handle());
  if (!server.ok()) {
    std::cerr << server.status().message() << "\n";
    return 1;
  }

  constexpr int kThreads = 4, kJobs = 1000;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) threads.emplace_back([&] { Work(context, kJobs); });
  for (std::thread& thread : threads) thread.join();

  zmq::socket_t socket(context, zmq::socket_type::dealer);
  socket.connect("inproc://store");
  const msgpack::object_handle answer = Call(socket, Increment(0, "jobs:done"));
  std::cout << "4 threads did " << kThreads * kJobs << " jobs; one more makes " << answer.get()
            << "\n";
  socket.close();
  return (*server)->Stop().ok() ? 0 : 1;
}
