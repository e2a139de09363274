#include "server/server.h"

#include <algorithm>
#include <atomic>
#include <optional>
#include <thread>

#include "engine/engine.h"
#include "log/log.h"
#include "server/commands.h"
#include "server/data_folder.h"
#include "server/dispatcher.h"
#include "server/native_transport.h"
#include "server/zmq_transport.h"

namespace entrepot {

namespace {

// How long a stop waits for what has been begun.
constexpr int64_t kDrainMs = 10'000;

uint32_t WorkersOf(const Options& options) {
  if (options.workers != 0) return options.workers;
  return std::max(2u, std::thread::hardware_concurrency());
}

Engine::Options EngineOptionsOf(const Options& options, const DataFolder* data) {
  Engine::Options engine{.stripes = options.stripes,
                         .key_index = options.key_index == IndexMode::kAuto,
                         .value_index = options.value_index == IndexMode::kAuto,
                         .limits = options.limits,
                         .sync = *ReadSyncPolicy(options.sync),
                         .index_waiters_max = std::max(1u, WorkersOf(options) - 1)};
  if (data != nullptr) data->Describe(&engine);
  return engine;
}

}  // namespace

std::string_view ServerVersion() { return ENTREPOT_VERSION; }

class Server::Parts {
 public:
  // `data` is null for a server that keeps its data in memory only.
  Parts(const Options& options, std::unique_ptr<DataFolder> data, Logger* logger)
      : logger_(*logger),
        sync_(data == nullptr ? "none" : options.sync),
        data_(std::move(data)),
        engine_(std::in_place, EngineOptionsOf(options, data_.get()),
                data_ == nullptr ? static_cast<Log*>(&null_log_) : data_->log(), Clock::System(),
                [this] { OnProgress(); }),
        commands_(&*engine_, &metrics_, logger),
        dispatcher_(std::in_place,
                    Dispatcher::Options{.inline_allowed = options.dispatch == DispatchMode::kInline,
                                        .workers = WorkersOf(options)},
                    &*engine_, &commands_, &metrics_) {}

  ~Parts() {
    owned_transport_.reset();
    Silence();
  }

  // Whether it came up: false when `give_up` said so.
  Result<bool> Start(const Options& options, void* zmq_context,
                     const std::function<bool()>& give_up) {
    const auto started = [this](Transport* transport) {
      transport_ = transport;
      dispatcher_->SetTransport(transport);
      ready_.store(true);
      commands_.SetFacts(Facts(*transport), [this](const StatAdder& add) { AddStats(add); });
    };
    Status status = options.transport == TransportKind::kNative
                        ? Own(NativeTransport::Start({.listen = options.listen,
                                                      .feed = options.feed,
                                                      .body_bytes_max = options.limits.body_bytes,
                                                      .io_threads = options.io_threads,
                                                      .started = started},
                                                     &*dispatcher_, &logger_))
                        : Own(ZmqTransport::Start({.listen = options.listen,
                                                   .feed = options.feed,
                                                   .body_bytes_max = options.limits.body_bytes,
                                                   .context = zmq_context,
                                                   .started = started},
                                                  &*dispatcher_));
    if (!status.ok()) return status;
    // From here on peers are answered, those who ask for data that it is being read.
    if (data_ != nullptr) {
      status = data_->Recover(
          &*engine_, [this] { dispatcher_->WakeWaiting(); }, give_up);
      if (status.code() == Code::kUnavailable && give_up()) {
        transport_->Stop();
        // Nothing was written but that the server began, so the log ends where it did.
        status = Close();
        return status.ok() ? Result<bool>(false) : Result<bool>(status);
      }
    }
    if (!status.ok()) return status;
    engine_->SetReady();
    return true;
  }

  bool read_only() { return engine_->committer().read_only(); }
  bool failed() { return engine_->committer().failed(); }
  std::string failure() { return engine_->committer().failure(); }

  void RequestSnapshot() {
    if (data_ != nullptr) data_->snapshotter()->Request();
  }

  const std::vector<std::string>& endpoints() const { return transport_->endpoints(); }
  const std::string& feed_endpoint() const { return transport_->feed_endpoint(); }

  Status Stop() {
    transport_->StopReading();
    // Whoever waits for a snapshot is told at once.
    if (data_ != nullptr) data_->snapshotter()->Stop();
    if (!dispatcher_->Drain(kDrainMs)) {
      logger_.Warning("stopping with requests unanswered: they took longer than {} s",
                      kDrainMs / 1000);
    }
    // What waits for changes is answered now.
    commands_.feed().Stop();
    dispatcher_->Drain(kDrainMs);
    transport_->Stop();
    if (data_ == nullptr) return Status();
    data_->StopSnapshots();
    return Close();
  }

 private:
  // Ends what uses the data folder, then the folder.
  Status Close() {
    // Whatever uses the engine goes before it.
    owned_transport_.reset();
    Silence();
    dispatcher_.reset();
    // Ending, the engine writes and syncs what is queued.
    Status status = engine_->Stop();
    engine_.reset();
    return status.ok() ? data_->Close() : status;
  }

  template <typename Kind>
  Status Own(Result<std::unique_ptr<Kind>> transport) {
    if (!transport.ok()) return transport.status();
    owned_transport_ = std::move(*transport);
    return Status();
  }

  // The engine may have something to tell before there is anybody to be told, and afterwards.
  void OnProgress() {
    in_progress_.fetch_add(1);
    if (ready_.load()) dispatcher_->OnProgress();
    in_progress_.fetch_sub(1);
    in_progress_.notify_all();
  }
  // From now on the dispatcher is not called any more. In the one order of these operations either
  // OnProgress() sees that, or its count is seen here.
  void Silence() {
    ready_.store(false);
    for (uint32_t calls = in_progress_.load(); calls != 0; calls = in_progress_.load()) {
      in_progress_.wait(calls);
    }
  }

  ServerFacts Facts(const Transport& transport) {
    return {.server = "entrepot " + std::string(ServerVersion()),
            .sync = sync_,
            .listen = transport.endpoints(),
            .feed = transport.feed_endpoint(),
            .admin = {},
            .data = data_.get(),
            .start_ms = engine_->NowMs()};
  }

  void AddStats(const StatAdder& add) {
    transport_->AddStats(add);
    const Dispatcher::Gauges gauges = dispatcher_->gauges();
    add("peers_waiting", gauges.strands);
    add("input_waiting_bytes", gauges.waiting_bytes);
    add("replies_parked", gauges.parked);
    const Feed::Gauges feed = commands_.feed().gauges();
    add("watches", feed.watches);
    add("changes_waiting", feed.polls);
    add("watches_behind", feed.behind);
    add("publications", feed.published);
    add("publications_skipped", feed.skipped);
    add("ready", engine_->ready() ? 1 : 0);
    if (data_ != nullptr) {
      add("recovered_items", data_->recovered());
      add("log_bytes", data_->log()->bytes());
      add("log_oldest", data_->log()->oldest());
      if (engine_->ready()) add("snapshots", data_->snapshotter()->written());
    }
  }

  Logger& logger_;
  const std::string sync_;
  Metrics metrics_;
  NullLog null_log_;
  std::unique_ptr<DataFolder> data_;
  std::atomic<bool> ready_{false};
  std::atomic<uint32_t> in_progress_{0};
  std::optional<Engine> engine_;
  Commands commands_;
  std::optional<Dispatcher> dispatcher_;
  Transport* transport_ = nullptr;
  std::unique_ptr<Transport> owned_transport_;
};

Server::Server(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Server::~Server() {
  if (parts_ != nullptr) static_cast<void>(Stop().ok());
}

Result<std::unique_ptr<Server>> Server::Start(const Options& options, Logger* logger,
                                              void* zmq_context,
                                              const std::function<bool()>& give_up) {
  if (Status status = CheckOptions(options); !status.ok()) return status;
  std::unique_ptr<DataFolder> data;
  if (options.data != "none") {
    Result<std::unique_ptr<DataFolder>> opened = DataFolder::Open(
        options.data,
        {.bytes = options.log_keep_bytes, .time_ms = *ReadKeepTime(options.log_keep_time)}, logger);
    if (!opened.ok()) return opened.status();
    data = std::move(*opened);
  }
  auto parts = std::make_unique<Parts>(options, std::move(data), logger);
  const Result<bool> started = parts->Start(options, zmq_context, give_up);
  if (!started.ok()) return started.status();
  if (!*started) return std::unique_ptr<Server>();
  return std::unique_ptr<Server>(new Server(std::move(parts)));
}

const std::vector<std::string>& Server::endpoints() const { return parts_->endpoints(); }
const std::string& Server::feed_endpoint() const { return parts_->feed_endpoint(); }

bool Server::read_only() const { return parts_->read_only(); }
bool Server::failed() const { return parts_->failed(); }
std::string Server::failure() const { return parts_->failure(); }
void Server::RequestSnapshot() { parts_->RequestSnapshot(); }

Status Server::Stop() {
  const Status status = parts_->Stop();
  parts_.reset();
  return status;
}

}  // namespace entrepot
