// Publishes this machine's readings from /proc, with a TTL: what is not renewed is gone.
//
// The C++ twin of python/machine_readings.py: same keys, same flags, same habits. A server that is
// away is said once, and so is its return; readings of the time between are not caught up.

#include <entrepot/client.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdint>
#include <ctime>
#include <fstream>
#include <iostream>
#include <limits>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

// A reading lives for so many turns, and for three seconds at least.
constexpr int kTtlTurns = 3;
constexpr int64_t kTtlMsMin = 3000;
constexpr int64_t kSectorBytes = 512;
// How long an answer is awaited before the server counts as away.
constexpr int64_t kAnswerTimeoutMs = 2000;

struct Reading {
  std::string name;
  entrepot::Value value;
};

// The lines of a file of /proc, without the first `skip` ones.
std::vector<std::string> LinesOf(const char* path, size_t skip = 0) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  std::string line;
  while (std::getline(file, line)) {
    if (skip > 0) {
      --skip;
    } else {
      lines.push_back(line);
    }
  }
  return lines;
}

std::vector<std::string> WordsOf(const std::string& line) {
  std::istringstream stream(line);
  return {std::istream_iterator<std::string>(stream), {}};
}

// The share of time that the processors were busy since the last reading.
class Processor {
 public:
  double Percent() {
    const std::vector<std::string> words = WordsOf(LinesOf("/proc/stat").at(0));
    int64_t total = 0;
    for (size_t i = 1; i <= 8; ++i) total += std::stoll(words.at(i));
    const int64_t busy = total - std::stoll(words.at(4)) - std::stoll(words.at(5));
    const int64_t elapsed = std::max<int64_t>(total - std::exchange(total_, total), 1);
    const double percent = 100.0 * static_cast<double>(busy - std::exchange(busy_, busy)) /
                           static_cast<double>(elapsed);
    return std::round(percent * 10) / 10;
  }

 private:
  int64_t total_ = 0;
  int64_t busy_ = 0;
};

void ReadMemory(std::vector<Reading>* readings) {
  for (const std::string& line : LinesOf("/proc/meminfo")) {
    const std::vector<std::string> words = WordsOf(line);
    const char* name = words.at(0) == "MemTotal:"       ? "memory_total_bytes"
                       : words.at(0) == "MemAvailable:" ? "memory_available_bytes"
                                                        : nullptr;
    if (name != nullptr) readings->push_back({name, std::stoll(words.at(1)) * 1024});
  }
}

void ReadDisks(std::vector<Reading>* readings) {
  for (const std::string& line : LinesOf("/proc/diskstats")) {
    const std::vector<std::string> words = WordsOf(line);
    const std::string& name = words.at(2);
    if (name.starts_with("loop") || name.starts_with("ram")) continue;
    readings->push_back({"disk:" + name + ":read_bytes", std::stoll(words.at(5)) * kSectorBytes});
    readings->push_back(
        {"disk:" + name + ":written_bytes", std::stoll(words.at(9)) * kSectorBytes});
  }
}

void ReadNetwork(std::vector<Reading>* readings) {
  for (const std::string& line : LinesOf("/proc/net/dev", 2)) {
    const size_t colon = line.find(':');
    const std::string name = WordsOf(line.substr(0, colon)).at(0);
    const std::vector<std::string> words = WordsOf(line.substr(colon + 1));
    readings->push_back({"network:" + name + ":received_bytes", std::stoll(words.at(0))});
    readings->push_back({"network:" + name + ":sent_bytes", std::stoll(words.at(8))});
  }
}

std::vector<Reading> ReadAll(Processor* processor) {
  std::vector<Reading> readings = {{"cpu_percent", processor->Percent()}};
  ReadMemory(&readings);
  ReadDisks(&readings);
  ReadNetwork(&readings);
  return readings;
}

// Publishes in one body; the first error of the sending or of a write.
entrepot::Status Publish(entrepot::Client& client, const std::string& prefix,
                         const std::vector<Reading>& readings, int64_t ttl_ms) {
  entrepot::Pipeline pipeline = client.Pipeline({.timeout_ms = kAnswerTimeoutMs});
  std::vector<std::future<entrepot::Result<entrepot::Outcome>>> writes;
  for (const Reading& reading : readings) {
    writes.push_back(pipeline.Add(
        entrepot::request::Set(prefix + reading.name, reading.value, {.ttl_ms = ttl_ms})));
  }
  if (entrepot::Status sent = pipeline.Send(); !sent.ok()) return sent;
  for (auto& write : writes) {
    if (const auto outcome = write.get(); !outcome.ok()) return outcome.status();
  }
  return entrepot::Status();
}

// Waits for the time, or for one of the signals; true when it was a signal.
bool WaitForSignal(const sigset_t& signals, Clock::time_point until) {
  const auto wait = std::max(until - Clock::now(), Clock::duration::zero());
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(wait);
  const timespec time = {seconds.count(), std::chrono::nanoseconds(wait - seconds).count()};
  return sigtimedwait(&signals, nullptr, &time) > 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::string server;
  double rate = 1;
  int64_t count = std::numeric_limits<int64_t>::max();
  CLI::App app("Publishes this machine's readings from /proc", "machine_readings");
  app.add_option("--server", server, "Endpoint of the server")->envname("ENTREPOT_SERVER");
  app.add_option("--rate", rate, "Turns a second (default 1)")->check(CLI::PositiveNumber);
  app.add_option("--count", count, "End after so many turns")->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);

  // Blocked here, before the client has threads, so that only sigtimedwait() takes them.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  entrepot::Client client(server);
  if (!client.status().ok()) {
    std::cerr << client.status() << '\n';
    return 2;
  }
  std::array<char, 256> host = {};
  gethostname(host.data(), host.size() - 1);
  const std::string prefix = "machine:" + std::string(host.data()) + ":";
  const auto ttl_ms = std::max<int64_t>(std::llround(kTtlTurns * 1000 / rate), kTtlMsMin);
  const auto turn =
      std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(1 / rate));

  std::cerr << "publishing to " << client.server() << "; Ctrl-C ends\n";
  Processor processor;
  int64_t published = 0;
  bool away = false;
  Clock::time_point next = Clock::now();
  while (true) {
    const entrepot::Status sent = Publish(client, prefix, ReadAll(&processor), ttl_ms);
    if (sent.ok()) ++published;
    if (!sent.ok() && !away) std::cerr << "the server is away: " << sent.message() << '\n';
    if (sent.ok() && away) std::cerr << "the server is back\n";
    away = !sent.ok();
    if (published >= count) break;
    next = std::max(next + turn, Clock::now());
    if (WaitForSignal(signals, next)) break;
  }
  std::cerr << "ended after " << published << '\n';
  return 0;
}
