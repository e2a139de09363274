#include "bench/echo/program.h"

#include <fmt/format.h>
#include <sys/signalfd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>

namespace entrepot::bench {
namespace {

constexpr int kUsageStatus = 2;
constexpr int kPortMax = 65535;

bool ReadEndpoint(std::string_view text, EchoFlags* flags) {
  constexpr std::string_view kScheme = "tcp://";
  const size_t colon = text.rfind(':');
  if (!text.starts_with(kScheme) || colon < kScheme.size()) return false;
  flags->host = text.substr(kScheme.size(), colon - kScheme.size());
  const std::string_view port = text.substr(colon + 1);
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), flags->port);
  return error == std::errc() && end == port.data() + port.size() && flags->port >= 0 &&
         flags->port <= kPortMax;
}

}  // namespace

EchoFlags ParseEchoFlags(int argc, char** argv, const char* name, const char* description) {
  EchoFlags flags;
  std::string listen = "tcp://127.0.0.1:0";
  CLI::App app(description, name);
  app.add_option("--listen", listen, "Where to listen; port 0 picks a free one")
      ->capture_default_str();
  app.add_option("--ports-file", flags.ports_file, "Written when ready: the port that was picked");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error) == 0 ? 0 : kUsageStatus);
  }
  if (!ReadEndpoint(listen, &flags)) {
    std::cerr << name << ": --listen: '" << listen << "' is not of the form tcp://address:port\n";
    std::exit(kUsageStatus);
  }
  return flags;
}

Status WritePortsFile(const EchoFlags& flags, int port) {
  const std::string endpoint = fmt::format("tcp://{}:{}", flags.host, port);
  if (flags.ports_file.empty()) {
    fmt::print("listening on {}\n", endpoint);
    std::fflush(stdout);
    return Status();
  }
  const std::string partial = flags.ports_file + ".partial";
  std::ofstream file(partial);
  file << "{\"listen\": [\"" << endpoint << "\"]}\n";
  file.close();
  if (!file || std::rename(partial.c_str(), flags.ports_file.c_str()) != 0) {
    return ErrnoStatus(fmt::format("cannot write {}", flags.ports_file), errno);
  }
  return Status();
}

int MakeStopDescriptor() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  CHECK(sigprocmask(SIG_BLOCK, &signals, nullptr) == 0);
  const int descriptor = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
  CHECK(descriptor >= 0);
  return descriptor;
}

}  // namespace entrepot::bench
