#include "bench/report/document.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <thread>

namespace entrepot::bench {
namespace {

using nlohmann::json;

constexpr std::array<const char*, 5> kRoleNames = {"work", "load", "idle", "slow", "reconnect"};
constexpr std::array<const char*, 4> kProtocolNames = {"entrepot", "echo", "redis", "memcached"};

json Latency(const Histogram& histogram) {
  if (histogram.count() == 0) return nullptr;
  return {{"count", histogram.count()},      {"mean", std::round(histogram.mean())},
          {"p50", histogram.Quantile(0.5)},  {"p90", histogram.Quantile(0.9)},
          {"p99", histogram.Quantile(0.99)}, {"p99_9", histogram.Quantile(0.999)},
          {"max", histogram.max()}};
}

// The percentile curve: [share of requests, nanoseconds], at steps that get finer towards 1.
json Percentiles(const Histogram& histogram) {
  json curve = json::array();
  if (histogram.count() == 0) return curve;
  constexpr int kStepsPerTenth = 20;
  constexpr int kTenths = 6;  // Up to 99.9999 %.
  for (int step = 0; step <= kStepsPerTenth * kTenths; ++step) {
    const double above = std::pow(10, -static_cast<double>(step) / kStepsPerTenth);
    if (above * static_cast<double>(histogram.count()) < 1) break;
    curve.push_back({1 - above, histogram.Quantile(1 - above)});
  }
  curve.push_back({1.0, histogram.max()});
  return curve;
}

json Intervals(const Measurement& measurement) {
  json series = json::array();
  const double seconds = static_cast<double>(measurement.interval_ns()) / 1e9;
  double at = 0;
  for (const Measurement::Interval& interval : measurement.intervals()) {
    series.push_back({{"at_s", at},
                      {"rate", std::round(static_cast<double>(interval.requests) / seconds)},
                      {"p99_ns", interval.latency.Quantile(0.99)}});
    at += seconds;
  }
  return series;
}

std::string CpuModel() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown";
}

std::string Now() { return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr))); }

json Machine() {
  utsname system{};
  CHECK(uname(&system) == 0);
  return {{"cpu", CpuModel()},
          {"cores", std::thread::hardware_concurrency()},
          {"system", fmt::format("{} {} {}", system.sysname, system.release, system.machine)}};
}

json SettingsOf(const GroupOptions& group) {
  return {{"name", group.name},
          {"role", kRoleNames[static_cast<size_t>(group.role)]},
          {"clients", group.clients},
          {"outstanding", group.outstanding},
          {"requests_per_body", group.requests_per_batch},
          {"rate_offered", group.rate > 0 ? json(group.rate) : json()},
          {"arrival", group.arrival == Arrival::kPoisson ? "poisson" : "constant"},
          {"mix", group.mix.ToString()}};
}

}  // namespace

json MakeDocument(const Options& options) {
  const WorkloadOptions& workload = options.workload;
  const RunPlan& plan = options.plan;
  return {
      {"schema", kSchemaName},
      {"started_at", Now()},
      {"command", options.command},
      {"machine", Machine()},
      {"target",
       {{"endpoint", options.endpoint.text},
        {"protocol", kProtocolNames[static_cast<size_t>(options.endpoint.protocol)]},
        {"memcached_meta", options.memcached_meta}}},
      {"settings",
       {{"keys", workload.keys},
        {"key_bytes", workload.key_bytes},
        {"value_bytes", {workload.value_bytes_min, workload.value_bytes_max}},
        {"hits", workload.hits},
        {"distribution", DistributionName(workload.distribution)},
        {"seed", workload.seed},
        {"client", plan.libzmq ? "libzmq" : "own"},
        {"threads", plan.threads},
        {"spin", plan.spin},
        {"verify", plan.verify},
        {"warm_up_s", static_cast<double>(plan.warm_up_ns) / 1e9},
        {"duration_s", static_cast<double>(plan.duration_ns) / 1e9}}},
      {"rows", json::array()},
      {"errors_by_name", json::object()},
      {"wrong_answers", json::array()},
      {"server_stats", nullptr},
  };
}

void AppendRows(const Options& options, const json& swept, const RunResult& result,
                json* document) {
  uint64_t all = 0;
  for (const Measurement& group : result.groups) all += group.requests;
  const bool server_known = options.plan.server_pid != 0;
  const auto each_ns = [&](double seconds) {
    return all == 0 ? json() : json(std::round(seconds * 1e9 / static_cast<double>(all)));
  };
  for (size_t number = 0; number < result.groups.size(); ++number) {
    const Measurement& group = result.groups[number];
    json row = SettingsOf(options.plan.groups[number]);
    row["swept"] = swept.is_null() ? json::object() : swept;
    row["rate"] = std::round(static_cast<double>(group.requests) / result.seconds);
    row["requests"] = group.requests;
    row["errors"] = group.errors;
    row["misses"] = group.misses;
    row["wrong"] = group.wrong;
    row["unfinished"] = group.unfinished;
    row["connection_failures"] = group.failures;
    row["reconnects"] = group.reconnects;
    const Histogram total = group.Total();
    row["latency_ns"] = Latency(total);
    row["tester_late_p99_ns"] = group.lateness().Quantile(0.99);
    row["latency_by_kind_ns"] = json::object();
    for (size_t kind = 0; kind < kKinds; ++kind) {
      if (group.by_kind()[kind].count() == 0) continue;
      row["latency_by_kind_ns"][std::string(KindName(static_cast<Kind>(kind)))] =
          Latency(group.by_kind()[kind]);
    }
    row["percentiles"] = Percentiles(total);
    row["intervals"] = Intervals(group);
    row["cpu_ns_per_request"] = {
        {"server", server_known ? each_ns(result.server_cpu_seconds) : json()},
        {"tester", each_ns(result.tester_cpu_seconds)}};
    row["busy_cores"] = {
        {"server", server_known ? json(result.server_cpu_seconds / result.seconds) : json()},
        {"tester", result.tester_cpu_seconds / result.seconds}};
    row["server_resident_bytes"] = {
        {"before", server_known ? json(result.server_resident_before) : json()},
        {"end", server_known ? json(result.server_resident_end) : json()}};
    row["void"] = result.void_reason.empty() ? json() : json(result.void_reason);
    (*document)["rows"].push_back(std::move(row));
  }
  for (const auto& [name, count] : result.findings.errors) {
    json& errors = (*document)["errors_by_name"];
    errors[name] = errors.value(name, uint64_t{0}) + count;
  }
  for (const std::string& text : result.findings.wrong_answers) {
    (*document)["wrong_answers"].push_back(text);
  }
}

Result<json> ReadDocument(const std::string& path) {
  std::ifstream file(path);
  json document = json::parse(file, nullptr, /*allow_exceptions=*/false);
  if (!document.is_object() || document.value("schema", "") != kSchemaName) {
    return Status(Code::kInvalidArgument,
                  fmt::format("{} is not a document of {}", path, kSchemaName));
  }
  return document;
}

Status WriteTextFile(const std::string& path, const std::string& text) {
  const std::string partial = path + ".partial";
  std::ofstream file(partial, std::ios::binary);
  file << text;
  file.close();
  if (!file || std::rename(partial.c_str(), path.c_str()) != 0) {
    return ErrnoStatus(fmt::format("cannot write {}", path), errno);
  }
  return Status();
}

}  // namespace entrepot::bench
