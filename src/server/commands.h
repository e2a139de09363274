// The methods of the protocol: reads the params of a request, has the engine do it, and writes the
// response.
//
// Thread safety: Commands may be used from any thread, each with a CommandThread of its own, inside
// a turn of it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/engine.h"
#include "protocol/encoder.h"
#include "protocol/message.h"
#include "server/data_folder.h"
#include "server/feed.h"
#include "server/logger.h"
#include "server/metrics.h"
#include "server/params.h"
#include "server/transport.h"

namespace entrepot {

// What `hello` and `stats` tell of the server around.
struct ServerFacts {
  std::string server;  // Name and version.
  std::string sync;    // What an acknowledgement waits for.
  std::vector<std::string> listen;
  std::string feed;            // Empty: off.
  std::string admin;           // Likewise.
  DataFolder* data = nullptr;  // Null: data is kept in memory only.
  int64_t start_ms = 0;
};

// Adds the fields of `stats` that Commands does not know.
using StatsSource = std::function<void(const StatAdder&)>;

struct CommandThread {
  EngineThread engine;
  ThreadMetrics* metrics;
};

// How far a `count` has come; and what a `save` or a `backup` waits for.
struct CountWalk {
  uint64_t pages = 0;
  uint64_t count = 0;
  uint64_t version = 0;
  uint64_t version_end = 0;
  IndexRange rest;
  std::shared_ptr<const SnapshotTask> task;
};

// What of a body's answer is not in its reply: for the feed, once the body has run.
struct FeedWork {
  std::vector<std::unique_ptr<Poll>> polls;  // Calls of `changes`, with the responses before each.
  std::vector<uint64_t> watches;             // To be told of changes behind the reply.
  size_t bytes = 0;                          // Of the responses in `polls`.
};

class Commands {
 public:
  enum class Verdict : uint8_t {
    kDone,        // Answered, if an answer was due.
    kMalformed,   // Likewise, and the rest of the body is to be dropped.
    kLong,        // Takes long, nothing has happened: to be run on a worker.
    kUnfinished,  // A slice of it was done: to be run again, with the same walk.
    kNoRoom,      // The commit queue is full, nothing has happened: to be run after progress.
    kWaits,       // For a snapshot: to be run again, with the same walk, when tasks are done.
  };

  // All outlive it.
  Commands(Engine* engine, Metrics* metrics, Logger* logger)
      : engine_(engine), metrics_(metrics), logger_(logger), feed_(engine) {}

  // Before the first request.
  void SetFacts(ServerFacts facts, StatsSource stats);

  // Runs one request of `origin`, appends its response to `reply`, and adds to `gate` what that has
  // to wait for. `walk` is the body's, and empty but after kUnfinished and kWaits; so is
  // `feed_work`, to which the responses move that stand before a call of `changes`. Without
  // `long_allowed` what may take long is not run.
  Verdict Run(const Request& request, const Origin& origin, bool long_allowed,
              CommandThread* thread, CountWalk* walk, FeedWork* feed_work, Reply* reply,
              Gate* gate);

  // Answers a request with an error, and counts it.
  void Refuse(const Request& request, const Status& status, CommandThread* thread, Reply* reply);

  const Limits& limits() const { return engine_->limits(); }
  Feed& feed() { return feed_; }

 private:
  class Call;

  Engine* const engine_;
  Metrics* const metrics_;
  Logger* const logger_;
  ServerFacts facts_;
  StatsSource stats_;
  Feed feed_;
};

}  // namespace entrepot
