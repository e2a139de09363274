// The methods of the protocol: reads the params of a request, has the engine do it, and writes the
// response.
//
// Thread safety: Commands may be used from any thread, each with a CommandThread of its own, inside
// a turn of it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/engine.h"
#include "protocol/encoder.h"
#include "protocol/message.h"
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
  std::string feed;   // Empty: off.
  std::string admin;  // Likewise.
  int64_t start_ms = 0;
};

// Adds the fields of `stats` that Commands does not know.
using StatsSource = std::function<void(const StatAdder&)>;

struct CommandThread {
  EngineThread engine;
  ThreadMetrics* metrics;
};

// How far a `count` has come.
struct CountWalk {
  uint64_t pages = 0;
  uint64_t count = 0;
  uint64_t version = 0;
  uint64_t version_end = 0;
  IndexRange rest;
};

class Commands {
 public:
  enum class Verdict : uint8_t {
    kDone,        // Answered, if an answer was due.
    kMalformed,   // Likewise, and the rest of the body is to be dropped.
    kLong,        // Takes long, nothing has happened: to be run on a worker.
    kUnfinished,  // A slice of it was done: to be run again, with the same walk.
    kNoRoom,      // The commit queue is full, nothing has happened: to be run after progress.
  };

  // All outlive it.
  Commands(Engine* engine, Metrics* metrics, Logger* logger)
      : engine_(engine), metrics_(metrics), logger_(logger) {}

  // Before the first request.
  void SetFacts(ServerFacts facts, StatsSource stats);

  // Runs one request of `connection`, appends its response to `reply`, and adds to `gate` what that
  // has to wait for. `walk` is the body's; it is empty but after kUnfinished. Without
  // `long_allowed` what may take long is not run.
  Verdict Run(const Request& request, uint64_t connection, bool long_allowed, CommandThread* thread,
              CountWalk* walk, Reply* reply, Gate* gate);

  // Answers a request with an error, and counts it.
  void Refuse(const Request& request, const Status& status, CommandThread* thread, Reply* reply);

  const Limits& limits() const { return engine_->limits(); }

 private:
  class Call;

  Engine* const engine_;
  Metrics* const metrics_;
  Logger* const logger_;
  ServerFacts facts_;
  StatsSource stats_;
};

}  // namespace entrepot
