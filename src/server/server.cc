#include "server/server.h"

#include <algorithm>
#include <thread>

#include "engine/engine.h"
#include "log/log.h"
#include "server/commands.h"
#include "server/dispatcher.h"
#include "server/zmq_transport.h"

namespace entrepot {

namespace {

// How long a stop waits for what has been begun.
constexpr int64_t kDrainMs = 10'000;

uint32_t WorkersOf(const Options& options) {
  if (options.workers != 0) return options.workers;
  return std::max(2u, std::thread::hardware_concurrency());
}

Engine::Options EngineOptionsOf(const Options& options) {
  return {.stripes = options.stripes,
          .key_index = options.key_index == IndexMode::kAuto,
          .value_index = options.value_index == IndexMode::kAuto,
          .limits = options.limits,
          .sync = {},
          .index_waiters_max = std::max(1u, WorkersOf(options) - 1)};
}

}  // namespace

std::string_view ServerVersion() { return ENTREPOT_VERSION; }

class Server::Parts {
 public:
  Parts(const Options& options, Logger* logger)
      : logger_(*logger),
        engine_(EngineOptionsOf(options), &log_, Clock::System(),
                [this] { dispatcher_.OnProgress(); }),
        commands_(&engine_, &metrics_, logger),
        dispatcher_({.inline_allowed = options.dispatch == DispatchMode::kInline,
                     .workers = WorkersOf(options)},
                    &engine_, &commands_, &metrics_) {}

  Status Start(const Options& options, void* zmq_context) {
    Result<std::unique_ptr<ZmqTransport>> transport = ZmqTransport::Start(
        {.listen = options.listen,
         .body_bytes_max = options.limits.body_bytes,
         .context = zmq_context,
         .started =
             [&](Transport* started) {
               transport_ = started;
               dispatcher_.SetTransport(started);
               commands_.SetFacts(Facts(*started), [this](const auto& add) { AddStats(add); });
             }},
        &dispatcher_);
    if (!transport.ok()) return transport.status();
    owned_transport_ = std::move(*transport);
    return Status();
  }

  const std::vector<std::string>& endpoints() const { return transport_->endpoints(); }

  void Stop() {
    transport_->StopReading();
    if (!dispatcher_.Drain(kDrainMs)) {
      logger_.Warning("stopping with requests unanswered: they took longer than {} s",
                      kDrainMs / 1000);
    }
    transport_->Stop();
  }

 private:
  ServerFacts Facts(const Transport& transport) {
    return {.server = "entrepot " + std::string(ServerVersion()),
            .sync = "none",
            .listen = transport.endpoints(),
            .feed = {},
            .admin = {},
            .start_ms = engine_.NowMs()};
  }

  void AddStats(const std::function<void(std::string_view, uint64_t)>& add) {
    const Transport::Counters counters = transport_->counters();
    add("messages_in", counters.messages_in);
    add("messages_out", counters.messages_out);
    add("bytes_in", counters.bytes_in);
    add("bytes_out", counters.bytes_out);
    add("messages_refused", counters.refused_messages);
    add("replies_dropped", counters.dropped_replies);
    add("output_waiting_bytes", counters.waiting_bytes);
    const Dispatcher::Gauges gauges = dispatcher_.gauges();
    add("peers_waiting", gauges.strands);
    add("input_waiting_bytes", gauges.waiting_bytes);
    add("replies_parked", gauges.parked);
  }

  Logger& logger_;
  Metrics metrics_;
  NullLog log_;
  Engine engine_;
  Commands commands_;
  Dispatcher dispatcher_;
  Transport* transport_ = nullptr;
  std::unique_ptr<Transport> owned_transport_;
};

Server::Server(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Server::~Server() {
  if (parts_ != nullptr) Stop();
}

Result<std::unique_ptr<Server>> Server::Start(const Options& options, Logger* logger,
                                              void* zmq_context) {
  if (Status status = CheckOptions(options); !status.ok()) return status;
  auto parts = std::make_unique<Parts>(options, logger);
  if (Status status = parts->Start(options, zmq_context); !status.ok()) return status;
  return std::unique_ptr<Server>(new Server(std::move(parts)));
}

const std::vector<std::string>& Server::endpoints() const { return parts_->endpoints(); }

void Server::Stop() {
  parts_->Stop();
  parts_.reset();
}

}  // namespace entrepot
