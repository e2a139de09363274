#include "bench/options.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <cmath>
#include <iostream>
#include <utility>

namespace entrepot::bench {
namespace {

constexpr int kUsageStatus = 2;
constexpr uint64_t kSpareFiles = 64;  // What the process opens besides its clients.
constexpr double kNsPerSecond = 1e9;

// What CLI11 fills in, before it is checked and turned into Options.
struct Flags {
  std::string target;
  std::string client = "own";
  std::string mix = "get=100";
  std::string arrival = "constant";
  std::string distribution = "uniform";
  std::string value_bytes = "32";
  std::string sweep;
  std::vector<std::string> background;
  GroupOptions main;
  uint32_t idle = 0;
  uint32_t slow = 0;
  uint64_t slow_bytes = 0;
  uint32_t reconnecting = 0;
  uint32_t batches_per_connection = 1;
  double duration = 10;
  double warm_up = 2;
  double drain = 5;
  double connect_timeout = 60;
  bool no_load = false;
};

Status Invalid(std::string message) { return Status(Code::kInvalidArgument, std::move(message)); }

template <typename Number>
bool ReadNumber(std::string_view text, Number* number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

void Declare(CLI::App* app, Flags* flags, Options* options) {
  app->add_option("--target", flags->target,
                  "tcp://host:port or ipc://path (Entrepot), redis://host:port, "
                  "memcached://host:port, zmq-echo://host:port")
      ->required();
  app->add_option("--server-pid", options->plan.server_pid, "Whose CPU time and memory to read");
  app->add_option("--client", flags->client, "own: connections on epoll; libzmq: DEALER sockets")
      ->check(CLI::IsMember({"own", "libzmq"}))
      ->capture_default_str();
  app->add_flag("--memcached-meta", options->memcached_meta, "Use memcached's meta commands");

  const std::string clients = "Clients";
  app->add_option("--clients", flags->main.clients, "Clients that work")
      ->check(CLI::Range(1u, kClientsMax))
      ->capture_default_str()
      ->group(clients);
  app->add_option("--threads", options->plan.threads, "Threads of the tester")
      ->check(CLI::Range(1u, kThreadsMax))
      ->capture_default_str()
      ->group(clients);
  app->add_option("--outstanding", flags->main.outstanding, "Bodies a client waits for at once")
      ->check(CLI::Range(1u, kOutstandingMax))
      ->capture_default_str()
      ->group(clients);
  app->add_option("--body", flags->main.requests_per_batch, "Requests in a body (a pipeline)")
      ->check(CLI::Range(1u, kBatchMax))
      ->capture_default_str()
      ->group(clients);
  app->add_option("--rate", flags->main.rate, "Requests a second (open loop); 0: closed loop")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str()
      ->group(clients);
  app->add_option("--arrival", flags->arrival, "Of an open loop")
      ->check(CLI::IsMember({"constant", "poisson"}))
      ->capture_default_str()
      ->group(clients);
  app->add_option("--idle", flags->idle, "Clients besides that do nothing")->group(clients);
  app->add_option("--slow", flags->slow, "Clients besides that send and do not read")
      ->group(clients);
  app->add_option("--slow-bytes", flags->slow_bytes, "What a slow client reads a second")
      ->group(clients);
  app->add_option("--reconnecting", flags->reconnecting, "Clients besides that connect anew")
      ->group(clients);
  app->add_option("--bodies-per-connection", flags->batches_per_connection,
                  "After which a reconnecting client does so")
      ->check(CLI::PositiveNumber)
      ->capture_default_str()
      ->group(clients);
  app->add_option("--background", flags->background,
                  "A second group, measured by itself: 'find=100;clients=2;rate=1000'")
      ->group(clients);
  app->add_flag("--spin", options->plan.spin,
                "Never sleep: for a tester that has its cores for itself")
      ->group(clients);

  const std::string requests = "Requests";
  app->add_option("--mix", flags->mix,
                  "get=80,set=20 of get, set, find, delete, increment, insert, ping, scan; or "
                  "ycsb-a, ycsb-b, ycsb-c")
      ->capture_default_str()
      ->group(requests);
  app->add_option("--keys", options->workload.keys, "Entries")
      ->check(CLI::PositiveNumber)
      ->capture_default_str()
      ->group(requests);
  app->add_option("--key-bytes", options->workload.key_bytes, "Size of a key")
      ->check(CLI::Range(kKeyBytesMin, kKeyBytesMax))
      ->capture_default_str()
      ->group(requests);
  app->add_option("--value-bytes", flags->value_bytes, "Size of a value, or a range: 16-4096")
      ->capture_default_str()
      ->group(requests);
  app->add_option("--hits", options->workload.hits, "Answers of a find")
      ->check(CLI::Range(1u, 1000u))
      ->capture_default_str()
      ->group(requests);
  app->add_option("--distribution", flags->distribution, "uniform, zipf or latest")
      ->capture_default_str()
      ->group(requests);
  app->add_option("--seed", options->workload.seed, "The same seed sends the same requests")
      ->capture_default_str()
      ->group(requests);
  app->add_flag("--no-load", flags->no_load, "The entries are there already")->group(requests);
  app->add_flag("--load-only", options->load_only, "Load the entries, then exit")->group(requests);
  app->add_flag("--verify", options->plan.verify, "Check every answer against a model")
      ->group(requests);

  const std::string time = "Time, in seconds";
  app->add_option("--duration", flags->duration, "What is measured")
      ->check(CLI::Range(0.1, 86400.0))
      ->capture_default_str()
      ->group(time);
  app->add_option("--warm-up", flags->warm_up, "Before that")
      ->check(CLI::Range(0.0, 86400.0))
      ->capture_default_str()
      ->group(time);
  app->add_option("--drain", flags->drain, "How long answers are waited for after the end")
      ->check(CLI::Range(0.0, 3600.0))
      ->capture_default_str()
      ->group(time);
  app->add_option("--connect-timeout", flags->connect_timeout, "For all clients together")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str()
      ->group(time);

  const std::string output = "Output";
  app->add_option(
         "--sweep", flags->sweep,
         "A run for each value: clients=1,10,100 (or outstanding, body, rate, value-bytes)")
      ->group(output);
  app->add_option("--json", options->json_file, "Write all figures to this file")->group(output);
  app->add_option("--html", options->html_file, "Write a page with plots to this file")
      ->group(output);
  app->add_option("--raw-samples", options->raw_samples_file,
                  "Write each latency of the main clients to this file, in nanoseconds, one a line")
      ->group(output);
  app->add_option("--compare", options->compare_file,
                  "Show the change against this older JSON file")
      ->check(CLI::ExistingFile)
      ->group(output);
  app->add_option("--slo", options->slo,
                  "Exit with 3 unless it holds: 'p99<2ms,rate>100000,errors<1'")
      ->group(output);
}

Status ReadValueBytes(std::string_view text, WorkloadOptions* workload) {
  const size_t dash = text.find('-');
  const std::string_view low = text.substr(0, dash);
  const std::string_view high = dash == std::string_view::npos ? low : text.substr(dash + 1);
  if (!ReadNumber(low, &workload->value_bytes_min) ||
      !ReadNumber(high, &workload->value_bytes_max) ||
      workload->value_bytes_min > workload->value_bytes_max ||
      workload->value_bytes_max > kValueBytesMax) {
    return Invalid(fmt::format("--value-bytes: '{}' is neither a size nor a range up to {}", text,
                               kValueBytesMax));
  }
  return Status();
}

Result<Sweep> ReadSweep(const std::string& text, const Options& options) {
  Sweep sweep;
  const size_t equals = text.find('=');
  sweep.name = text.substr(0, equals);
  std::string_view rest(text);
  rest.remove_prefix(equals == std::string::npos ? text.size() : equals + 1);
  while (!rest.empty()) {
    const std::string_view number = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), number.size() + 1));
    double value;
    if (!ReadNumber(number, &value)) {
      return Invalid(fmt::format("--sweep: '{}' is not a number", number));
    }
    Options tried = options;
    Status status = tried.Apply(sweep.name, value);
    if (!status.ok()) return status;
    sweep.values.push_back(value);
  }
  if (sweep.values.empty()) return Invalid(fmt::format("--sweep: '{}' has no values", text));
  return sweep;
}

void AddGroup(std::string name, Role role, uint32_t clients, const Flags& flags, Options* options) {
  if (clients == 0) return;
  GroupOptions group = options->plan.groups[0];
  group.name = std::move(name);
  group.role = role;
  group.clients = clients;
  group.rate = 0;
  group.slow_bytes_per_second = flags.slow_bytes;
  group.batches_per_connection = flags.batches_per_connection;
  options->plan.groups.push_back(std::move(group));
}

Status RaiseFileLimit(const Options& options) {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
    return ErrnoStatus("cannot read the file limit", errno);
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
    return ErrnoStatus("cannot raise the file limit", errno);
  }
  uint64_t needed = kSpareFiles;
  for (const GroupOptions& group : options.plan.groups) needed += group.clients;
  if (needed > limit.rlim_cur) {
    return Invalid(fmt::format("{} clients need more than the {} files a process may open here",
                               needed - kSpareFiles, limit.rlim_cur));
  }
  return Status();
}

// What depends on more than one option.
Status CheckTogether(const Options& options) {
  const WorkloadOptions& workload = options.workload;
  const std::vector<GroupOptions>& groups = options.plan.groups;
  uint64_t clients = 0;
  bool finds = false, inserts = false;
  for (const GroupOptions& group : groups) {
    clients += group.clients;
    finds = finds || group.mix.Has(Kind::kFind);
    inserts = inserts || group.mix.Has(Kind::kInsert);
  }
  if (finds && workload.value_bytes_min < kGroupBytes) {
    return Invalid(fmt::format("a find needs values of at least {} bytes", kGroupBytes));
  }
  if (options.plan.verify) {
    if (workload.keys < clients) return Invalid("--verify needs at least one key a client");
    if (workload.value_bytes_min < kVerifiedValueBytesMin) {
      return Invalid(
          fmt::format("--verify needs values of at least {} bytes", kVerifiedValueBytesMin));
    }
    if (inserts && workload.distribution == Distribution::kLatest) {
      return Invalid("--verify cannot follow 'latest' with inserts: clients would share keys");
    }
    for (const GroupOptions& group : groups) {
      if (group.role == Role::kSlow || group.role == Role::kReconnect) {
        return Invalid("--verify does not go with --slow and --reconnecting: they lose answers");
      }
    }
  }
  if (options.plan.libzmq) {
    const bool zmq = options.endpoint.protocol == Protocol::kEntrepot ||
                     options.endpoint.protocol == Protocol::kEcho;
    if (!zmq) return Invalid("--client libzmq needs a target that speaks ZeroMQ");
    for (const GroupOptions& group : groups) {
      if (group.role != Role::kWork) {
        return Invalid("--client libzmq goes with neither --idle, --slow nor --reconnecting");
      }
    }
  }
  return Status();
}

Status Fill(const Flags& flags, Options* options) {
  Result<Endpoint> endpoint = Endpoint::Parse(flags.target);
  if (!endpoint.ok()) return endpoint.status();
  options->endpoint = *endpoint;
  Result<Mix> mix = Mix::Parse(flags.mix);
  if (!mix.ok()) return mix.status();
  Result<Distribution> distribution = ParseDistribution(flags.distribution);
  if (!distribution.ok()) return distribution.status();
  options->workload.distribution = *distribution;
  Status status = ReadValueBytes(flags.value_bytes, &options->workload);
  if (!status.ok()) return status;

  GroupOptions main = flags.main;
  main.mix = *mix;
  main.arrival = flags.arrival == "poisson" ? Arrival::kPoisson : Arrival::kConstant;
  options->plan.groups.push_back(main);
  for (const std::string& text : flags.background) {
    Result<GroupOptions> group = ParseBackground(text, options->plan.groups.size());
    if (!group.ok()) return group.status();
    options->plan.groups.push_back(*group);
  }
  AddGroup("idle", Role::kIdle, flags.idle, flags, options);
  AddGroup("slow", Role::kSlow, flags.slow, flags, options);
  AddGroup("reconnecting", Role::kReconnect, flags.reconnecting, flags, options);

  RunPlan& plan = options->plan;
  plan.libzmq = flags.client == "libzmq";
  plan.raw_samples = !options->raw_samples_file.empty();
  plan.live_line = isatty(STDERR_FILENO) == 1;
  plan.warm_up_ns = static_cast<uint64_t>(flags.warm_up * kNsPerSecond);
  plan.duration_ns = static_cast<uint64_t>(flags.duration * kNsPerSecond);
  plan.drain_ns = static_cast<uint64_t>(flags.drain * kNsPerSecond);
  plan.connect_ns = static_cast<uint64_t>(flags.connect_timeout * kNsPerSecond);
  options->load = !flags.no_load;
  if (!flags.sweep.empty()) {
    Result<Sweep> sweep = ReadSweep(flags.sweep, *options);
    if (!sweep.ok()) return sweep.status();
    options->sweep = *sweep;
  }
  status = CheckTogether(*options);
  return status.ok() ? RaiseFileLimit(*options) : status;
}

}  // namespace

Status Options::Apply(const std::string& name, double value) {
  GroupOptions& main = plan.groups[0];
  if (name == "rate") {
    if (!(value > 0)) return Invalid("--sweep: a rate is above 0");
    main.rate = value;
    return Status();
  }
  const auto whole = [&](uint32_t most, uint32_t* out) {
    if (!(value >= 1 && value <= most) || value != std::floor(value)) {
      return Invalid(
          fmt::format("--sweep: {}={:g} is not a number from 1 to {}", name, value, most));
    }
    *out = static_cast<uint32_t>(value);
    return Status();
  };
  if (name == "clients") return whole(kClientsMax, &main.clients);
  if (name == "outstanding") return whole(kOutstandingMax, &main.outstanding);
  if (name == "body") return whole(kBatchMax, &main.requests_per_batch);
  if (name == "value-bytes") {
    Status status = whole(kValueBytesMax, &workload.value_bytes_min);
    workload.value_bytes_max = workload.value_bytes_min;
    return status;
  }
  return Invalid(
      fmt::format("--sweep: '{}' is none of clients, outstanding, body, rate, "
                  "value-bytes",
                  name));
}

Result<GroupOptions> ParseBackground(const std::string& text, size_t number) {
  GroupOptions group;
  group.name = number == 1 ? "background" : fmt::format("background-{}", number);
  group.clients = 1;
  const size_t first = text.find(';');
  Result<Mix> mix = Mix::Parse(text.substr(0, first));
  if (!mix.ok()) return mix.status();
  group.mix = *mix;
  std::string_view rest(text);
  rest.remove_prefix(first == std::string::npos ? text.size() : first + 1);
  while (!rest.empty()) {
    const std::string_view part = rest.substr(0, rest.find(';'));
    rest.remove_prefix(std::min(rest.size(), part.size() + 1));
    const std::string_view name = part.substr(0, part.find('='));
    const std::string_view number_text =
        name.size() == part.size() ? std::string_view() : part.substr(name.size() + 1);
    bool fits = false;
    if (name == "rate") fits = ReadNumber(number_text, &group.rate) && group.rate > 0;
    if (name == "clients") fits = ReadNumber(number_text, &group.clients) && group.clients > 0;
    if (name == "outstanding") {
      fits = ReadNumber(number_text, &group.outstanding) && group.outstanding > 0;
    }
    if (name == "body") {
      fits = ReadNumber(number_text, &group.requests_per_batch) && group.requests_per_batch > 0 &&
             group.requests_per_batch <= kBatchMax;
    }
    if (!fits) {
      return Invalid(
          fmt::format("--background: '{}' is none of clients=, outstanding=, body=, rate= "
                      "with a number above 0",
                      part));
    }
  }
  return group;
}

ParsedCommandLine ParseCommandLine(int argc, char** argv) {
  Flags flags;
  Options options;
  options.command.assign(argv, argv + argc);
  CLI::App app("Measures Entrepot, Redis, memcached and bare echoes with one tester and one clock.",
               "entrepot-bench");
  app.set_version_flag("--version", "entrepot-bench " ENTREPOT_VERSION);
  app.footer(
      "Exit status: 0 done, 1 the run failed, lost a connection, or --verify found a wrong answer, "
      "2 usage,\n3 an objective of --slo was missed (or cannot be judged: the row is void).");
  Declare(&app, &flags, &options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return {std::nullopt, app.exit(error) == 0 ? 0 : kUsageStatus};
  }
  const Status status = Fill(flags, &options);
  if (!status.ok()) {
    std::cerr << "entrepot-bench: " << status.message() << '\n';
    return {std::nullopt, kUsageStatus};
  }
  options.plan.endpoint = options.endpoint;
  return {options, 0};
}

}  // namespace entrepot::bench
