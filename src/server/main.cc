// The program entrepot-server: reads its configuration, starts a Server, waits for a signal, stops.
//
// Exit status: 0 after SIGTERM or SIGINT; 1 when the system refuses something, such as a port that
// is in use, or room on the disk to stop cleanly; 2 for a configuration that cannot be meant. The
// tools for a data folder (folder_tools.h) have statuses of their own.

#include <sys/resource.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/file.h"
#include "server/config.h"
#include "server/folder_tools.h"
#include "server/json.h"
#include "server/logger.h"
#include "server/option.h"
#include "server/server.h"

namespace entrepot {
namespace {

constexpr int kExitRefused = 1;
constexpr int kExitUsage = 2;

// Whoever waits for the file finds it whole or not at all.
Status WritePortsFile(const std::string& path, const std::vector<std::string>& endpoints,
                      const std::string& feed) {
  std::string listen;
  for (const std::string& endpoint : endpoints) {
    listen += (listen.empty() ? "" : ", ") + JsonString(endpoint);
  }
  const std::string unfinished = path + ".tmp";
  FileSystem& files = FileSystem::Posix();
  Status status =
      WriteWholeFile(files, unfinished,
                     fmt::format("{{\"listen\": [{}], \"feed\": {}, \"admin\": null}}\n", listen,
                                 feed.empty() ? "null" : JsonString(feed)));
  return status.ok() ? files.Rename(unfinished, path) : status;
}

// Each connection takes a file. Returns how many there may be.
uint64_t RaiseFileLimit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

// Whether SIGINT or SIGTERM has come and was not looked at yet.
bool StopIsPending() {
  sigset_t pending;
  sigpending(&pending);
  return sigismember(&pending, SIGINT) == 1 || sigismember(&pending, SIGTERM) == 1;
}

// In plain words, for the start line.
std::string WhatCanBeLost(const Options& options) {
  if (options.data == "none") {
    return "data is kept in memory only: a stop or a crash empties the store";
  }
  if (options.sync == "always") return "an acknowledged write is on disk";
  if (options.sync == "never") {
    return "a crash of the server loses nothing, one of the machine what the system had not "
           "written yet";
  }
  return fmt::format(
      "a crash of the server loses nothing, one of the machine what was written in "
      "the last {}",
      options.sync);
}

int Main(int argc, char** argv) {
  const std::vector<const char*> arguments(argv + 1, argv + argc);
  if (const std::optional<int> status = RunFolderTool(arguments, stdout, stderr)) return *status;
  Result<Config> config = ReadConfig(
      arguments, [](const char* name) -> const char* { return std::getenv(name); },
      ServerVersion());
  if (!config.ok()) {
    fmt::print(stderr, "entrepot-server: {}\n", config.status().message());
    return kExitUsage;
  }
  if (config->answer) {
    fmt::print("{}", *config->answer);
    return 0;
  }

  // Before any thread is started, so that all of them leave the signals to sigtimedwait() below.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGUSR1);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);

  Logger logger(config->log_level);
  const uint64_t files = RaiseFileLimit();
  logger.Info("entrepot-server {} starting, room for {} open files", ServerVersion(), files);
  Result<std::unique_ptr<Server>> server =
      Server::Start(config->options, &logger, /*zmq_context=*/nullptr, StopIsPending);
  if (!server.ok()) {
    logger.Error("{}", server.status().message());
    return server.status().code() == Code::kInvalidArgument ? kExitUsage : kExitRefused;
  }
  if (*server == nullptr) {
    logger.Info("stopped by a signal while the data was read");
    return 0;
  }
  for (const std::string& endpoint : (*server)->endpoints()) {
    logger.Info("listening on {}", endpoint);
    if (!IsLocalEndpoint(endpoint)) {
      logger.Warning(
          "{} can be reached by other machines, and there is no access control: anyone "
          "there may read and write, and libzmq cannot refuse to read a peer that sends "
          "without end",
          endpoint);
    }
  }
  const std::string& feed = (*server)->feed_endpoint();
  if (!feed.empty()) logger.Info("publishing changes on {}", feed);
  if (!config->ports_file.empty()) {
    const Status status = WritePortsFile(config->ports_file, (*server)->endpoints(), feed);
    if (!status.ok()) {
      logger.Error("{}", status.message());
      return kExitRefused;
    }
  }
  logger.Info("ready; {}", WhatCanBeLost(config->options));

  for (bool read_only = false;;) {
    const timespec second{1, 0};
    const int signal = sigtimedwait(&signals, nullptr, &second);
    logger.TellRefused();
    if (signal == SIGUSR1) (*server)->RequestSnapshot();
    if ((*server)->read_only() != read_only) {
      read_only = !read_only;
      read_only ? logger.Warning("the disk is full: writes are refused, reads go on")
                : logger.Info("the disk has room again: writes go on");
    }
    if ((*server)->failed()) {
      logger.Error("the log failed, so the server ends: {}", (*server)->failure());
      static_cast<void>((*server)->Stop().ok());  // It says the same again.
      return kExitRefused;
    }
    if (signal != SIGINT && signal != SIGTERM) continue;
    logger.Info("stopping on {}", signal == SIGINT ? "SIGINT" : "SIGTERM");
    if (Status status = (*server)->Stop(); !status.ok()) {
      logger.Error("stopped, but not cleanly: {}", status.message());
      return kExitRefused;
    }
    logger.Info("stopped");
    return 0;
  }
}

}  // namespace
}  // namespace entrepot

int main(int argc, char** argv) { return entrepot::Main(argc, argv); }
