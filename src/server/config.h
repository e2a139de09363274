// What the server is told at start, and the reader of it: flags beat environment variables, those
// beat the configuration file, that beats the defaults.
//
// A program that starts a server inside itself fills Options and needs nothing else of this file
// but CheckOptions(). All options stand in one table in config.cc, from which flags, environment
// variables, file keys, --help and --print-config come: a further option is one row there and one
// field here. CLI11's own configuration files were refused: they ignore unknown keys, and let the
// file beat the environment.
//
// Thread safety: none needed; all of it happens before the server starts.
//
//    flag         --max-value-bytes 16MiB
//    environment  ENTREPOT_MAX_VALUE_BYTES=16MiB
//    file (TOML)  max-value-bytes = "16MiB"
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.h"
#include "base/status.h"
#include "engine/committer.h"
#include "server/logger.h"

namespace entrepot {

// Which implementation speaks to the network.
enum class TransportKind { kZmq, kNative };
// Where a short request runs: on the thread that received it, or on the workers.
enum class DispatchMode { kInline, kWorkers };
// An ordered index is kept from its first use on, or never.
enum class IndexMode { kAuto, kOff };

inline constexpr uint32_t kWorkersMax = 256;  // Threads; far more than machines have cores.

// What a server needs to know.
struct Options {
  std::vector<std::string> listen = {"tcp://127.0.0.1:5555"};
  std::string feed = "auto";    // The change feed's endpoint; see FeedEndpoint().
  std::string admin = "off";    // The HTTP endpoint for operators.
  std::string data = "none";    // The data folder; `none` keeps the data in memory only.
  std::string sync = "always";  // When the log is synced; see ReadSyncPolicy().
  // Of the log that no start needs, for watchers that were away; see ReadKeepTime().
  uint64_t log_keep_bytes = uint64_t{256} << 20;
  std::string log_keep_time = "24h";
  TransportKind transport = TransportKind::kZmq;
  uint32_t io_threads = 1;  // Of the native transport.
  DispatchMode dispatch = DispatchMode::kInline;
  uint32_t workers = 0;  // Threads for long requests; 0 is one a core, and at least 2.
  uint32_t stripes = kStripesDefault;
  IndexMode key_index = IndexMode::kAuto;
  IndexMode value_index = IndexMode::kAuto;
  Limits limits;
  bool insecure = false;  // Allows listeners that other machines reach.
};

// What the program `entrepot-server` needs to know.
struct Config {
  Options options;
  LogLevel log_level = LogLevel::kInfo;
  std::string ports_file;  // Written whole when the server is ready; empty: none.

  // There for --help, --version, --check-config and --print-config: what to print on stdout
  // instead of serving.
  std::optional<std::string> answer;
};

// The value of an environment variable, or null.
using Environment = std::function<const char*(const char* name)>;

// Reads the configuration of a program that was called with `arguments` (without its own name).
// Errors: kInvalidArgument, with a message that names the flag, the variable, or the file with line
// and column, and what was expected there. The program then ends with status 2.
Result<Config> ReadConfig(std::span<const char* const> arguments, const Environment& environment,
                          std::string_view version);

// What `sync` says: "always", "never", or a duration such as "100ms" or "1s", of at least a
// millisecond and at most an hour. Errors: kInvalidArgument.
Result<SyncPolicy> ReadSyncPolicy(std::string_view text);

// What `log_keep_time` says, in milliseconds: a duration such as "90s", "15m", "24h" or "7d", at
// most 10 years. Errors: kInvalidArgument.
Result<int64_t> ReadKeepTime(std::string_view text);

// Whether a server can be started with `options`: ranges, endpoints, and `insecure`.
// Errors: kInvalidArgument, with a message that names the option.
Status CheckOptions(const Options& options);

// The configuration file that says what `config` says.
std::string ConfigAsToml(const Config& config);

}  // namespace entrepot
