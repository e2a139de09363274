// A server inside this program, spoken to over inproc:// by every peer that connects over tcp: what
// the conformance suite runs against to see that inproc behaves as the other transports do.
//
// Each peer of the front gets a DEALER of its own towards the store, so that the store sees as many
// connections as there are peers, and the envelopes that they send. A zmq_proxy would add a frame.
//
// It is called as entrepot-server is, with one --listen; its ports file names the front, and the
// endpoint of the feed, which needs no bridge.
//
// Thread safety: one thread owns the sockets.

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <zmq.hpp>

#include "base/file.h"
#include "server/config.h"
#include "server/json.h"
#include "server/logger.h"
#include "server/server.h"

namespace entrepot {
namespace {

constexpr const char* kStore = "inproc://store";
constexpr int kPeersMax = 1000;  // Sockets of this program.
constexpr std::chrono::milliseconds kStopLook{20};

volatile std::sig_atomic_t stopping = 0;

std::vector<zmq::message_t> Receive(zmq::socket_t* socket) {
  std::vector<zmq::message_t> frames;
  for (bool more = true; more;) {
    zmq::message_t& frame = frames.emplace_back();
    if (!socket->recv(frame, zmq::recv_flags::dontwait)) return {};
    more = frame.more();
  }
  return frames;
}

void Send(zmq::socket_t* socket, std::vector<zmq::message_t>* frames, size_t first) {
  for (size_t i = first; i < frames->size(); ++i) {
    socket->send((*frames)[i],
                 i + 1 < frames->size() ? zmq::send_flags::sndmore : zmq::send_flags::none);
  }
}

class Bridge {
 public:
  explicit Bridge(zmq::context_t* context)
      : context_(*context), front_(*context, zmq::socket_type::router) {
    front_.set(zmq::sockopt::linger, 0);
    front_.bind("tcp://127.0.0.1:*");
  }

  std::string endpoint() const { return front_.get(zmq::sockopt::last_endpoint); }

  // Until a signal.
  void Run() {
    while (stopping == 0) {
      std::vector<zmq::pollitem_t> items{{front_.handle(), 0, ZMQ_POLLIN, 0}};
      std::vector<Peer*> peers;
      for (auto& [name, peer] : peers_) {
        items.push_back({peer.socket.handle(), 0, ZMQ_POLLIN, 0});
        peers.push_back(&peer);
      }
      try {
        zmq::poll(items, kStopLook);
      } catch (const zmq::error_t& error) {
        if (error.num() != EINTR) throw;
      }
      while (TakeFromFront()) {
      }
      for (Peer* const peer : peers) {
        while (TakeFromStore(peer)) {
        }
      }
    }
  }

 private:
  struct Peer {
    std::string name;  // The routing id that the front has given it.
    zmq::socket_t socket;
  };

  bool TakeFromFront() {
    std::vector<zmq::message_t> frames = Receive(&front_);
    if (frames.empty()) return false;
    const std::string name = frames[0].to_string();
    auto found = peers_.find(name);
    if (found == peers_.end()) {
      zmq::socket_t socket(context_, zmq::socket_type::dealer);
      socket.set(zmq::sockopt::linger, 0);
      socket.connect(kStore);
      found = peers_.emplace(name, Peer{name, std::move(socket)}).first;
    }
    Send(&found->second.socket, &frames, 1);
    return true;
  }
  bool TakeFromStore(Peer* peer) {
    std::vector<zmq::message_t> frames = Receive(&peer->socket);
    if (frames.empty()) return false;
    front_.send(zmq::buffer(peer->name), zmq::send_flags::sndmore);
    Send(&front_, &frames, 0);
    return true;
  }

  zmq::context_t& context_;
  zmq::socket_t front_;
  std::map<std::string, Peer> peers_;
};

int Main(int argc, char** argv) {
  const std::vector<const char*> arguments(argv + 1, argv + argc);
  Result<Config> config = ReadConfig(
      arguments, [](const char* name) -> const char* { return std::getenv(name); },
      ServerVersion());
  if (!config.ok()) {
    fmt::print(stderr, "inproc_bridge: {}\n", config.status().message());
    return 2;
  }
  std::signal(SIGTERM, [](int) { stopping = 1; });
  config->options.listen = {kStore};
  Logger logger(config->log_level);
  zmq::context_t context(/*io_threads=*/1, kPeersMax);
  Result<std::unique_ptr<Server>> server =
      Server::Start(config->options, &logger, context.handle());
  if (!server.ok()) {
    logger.Error("{}", server.status().message());
    return 1;
  }
  {
    Bridge bridge(&context);
    FileSystem& files = FileSystem::Posix();
    const std::string unfinished = config->ports_file + ".tmp";
    const std::string& feed = (*server)->feed_endpoint();
    Status status = WriteWholeFile(
        files, unfinished,
        fmt::format("{{\"listen\": [{}], \"feed\": {}, \"admin\": null}}\n",
                    JsonString(bridge.endpoint()), feed.empty() ? "null" : JsonString(feed)));
    if (status.ok()) status = files.Rename(unfinished, config->ports_file);
    if (!status.ok()) {
      logger.Error("{}", status.message());
      return 1;
    }
    bridge.Run();
  }
  return (*server)->Stop().ok() ? 0 : 1;
}

}  // namespace
}  // namespace entrepot

int main(int argc, char** argv) { return entrepot::Main(argc, argv); }
