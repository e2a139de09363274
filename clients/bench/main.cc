// entrepot-bench: options, loading, one run for each point of the sweep, reports.
#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <utility>

#include "bench/options.h"
#include "bench/report/document.h"
#include "bench/report/objectives.h"
#include "bench/report/page.h"
#include "bench/report/table.h"
#include "bench/run/runner.h"
#include "bench/run/server_stats.h"

namespace entrepot::bench {
namespace {

using nlohmann::json;

constexpr int kFailedStatus = 1;
constexpr int kUsageStatus = 2;
constexpr int kMissedStatus = 3;

constexpr uint32_t kLoadClientsMax = 8;
constexpr uint32_t kLoadOutstanding = 4;
constexpr uint32_t kLoadBatch = 64;
constexpr uint64_t kIndexTryNs = 200'000'000;  // A try to use an index that may be building.
constexpr uint64_t kIndexWaitNs = 120'000'000'000;
constexpr uint64_t kLoadBatchBytesMax = 1024 * 1024;  // Large values are sent in smaller batches.

std::unique_ptr<Codec> MakeCodec(const Options& options, const Workload* workload) {
  switch (options.endpoint.protocol) {
    case Protocol::kRedis:
      return MakeRedisCodec(workload);
    case Protocol::kMemcached:
      return MakeMemcachedCodec(workload, options.memcached_meta);
    case Protocol::kEcho:
    case Protocol::kEntrepot:
      break;
  }
  std::unique_ptr<BodyCodec> body = options.endpoint.protocol == Protocol::kEcho
                                        ? MakeEchoCodec(workload)
                                        : MakeEntrepotCodec(workload);
  return options.plan.libzmq ? MakeUnframedCodec(std::move(body)) : MakeZmtpCodec(std::move(body));
}

bool NeedsLoad(const Options& options) {
  if (options.endpoint.protocol == Protocol::kEcho) return false;
  if (options.load_only) return true;
  for (const GroupOptions& group : options.plan.groups) {
    if (options.load && group.mix.NeedsEntries()) return true;
  }
  return false;
}

Status Load(const Options& options, RunPlan plan) {
  bool finds = false;
  for (const GroupOptions& group : plan.groups) finds = finds || group.mix.Has(Kind::kFind);
  GroupOptions group;
  group.name = "load";
  group.role = Role::kLoad;
  group.clients = std::min(plan.groups[0].clients, kLoadClientsMax);
  group.outstanding = kLoadOutstanding;
  group.requests_per_batch = static_cast<uint32_t>(std::clamp<uint64_t>(
      kLoadBatchBytesMax / std::max(1u, options.workload.value_bytes_max), 1, kLoadBatch));
  group.mix = Mix(finds ? Kind::kFind : Kind::kSet);
  plan.groups = {group};
  plan.verify = false;
  plan.raw_samples = false;
  plan.spin = false;
  const Result<RunResult> result = RunOnce(plan);
  if (!result.ok()) return result.status();
  const Measurement& loaded = result->groups[0];
  if (loaded.errors > 0 || loaded.failures > 0) {
    std::string errors;
    for (const auto& [name, count] : result->findings.errors) {
      errors += fmt::format(" {} ({} times)", name, count);
    }
    return Status(Code::kUnavailable, fmt::format("loading the entries failed:{}", errors));
  }
  return Status();
}

// A server may build an index only when the first find or scan asks for it, and refuse them until
// that is done: waits until they are answered.
Status AwaitIndexes(RunPlan plan) {
  std::string kinds;
  for (const Kind kind : {Kind::kFind, Kind::kScan}) {
    bool asked = false;
    for (const GroupOptions& group : plan.groups) asked = asked || group.mix.Has(kind);
    if (asked) kinds += fmt::format("{}{}", kinds.empty() ? "" : ",", KindName(kind));
  }
  if (kinds.empty()) return Status();
  GroupOptions group;
  group.name = "indexes";
  group.clients = 1;
  group.mix = *Mix::Parse(kinds);
  plan.groups = {group};
  plan.threads = 1;
  plan.verify = plan.raw_samples = plan.spin = plan.live_line = false;
  plan.warm_up_ns = 0;
  plan.duration_ns = kIndexTryNs;
  const uint64_t deadline_ns = NowNs() + kIndexWaitNs;
  while (true) {
    const Result<RunResult> result = RunOnce(plan);
    if (!result.ok()) return result.status();
    const Measurement& tried = result->groups[0];
    if (tried.requests > 0 && tried.errors == 0) return Status();
    if (NowNs() > deadline_ns) {
      return Status(Code::kUnavailable, "the server does not answer finds and scans");
    }
  }
}

// Only kinds that the target has.
Status CheckKinds(const Options& options, const Codec& codec) {
  for (const GroupOptions& group : options.plan.groups) {
    for (size_t kind = 0; kind < kKinds; ++kind) {
      if (group.mix.Has(static_cast<Kind>(kind)) && !codec.Supports(static_cast<Kind>(kind))) {
        return Status(Code::kInvalidArgument, fmt::format("{} has no {}", options.endpoint.text,
                                                          KindName(static_cast<Kind>(kind))));
      }
    }
  }
  return Status();
}

std::string RawSamplesText(const std::vector<uint64_t>& samples) {
  fmt::memory_buffer text;
  for (const uint64_t sample : samples) fmt::format_to(std::back_inserter(text), "{}\n", sample);
  return fmt::to_string(text);
}

// One run, its rows appended.
Status RunPoint(const Options& options, const json& swept, bool load, json* document) {
  Workload workload(options.workload);
  const std::unique_ptr<Codec> codec = MakeCodec(options, &workload);
  Status status = CheckKinds(options, *codec);
  if (!status.ok()) return status;
  RunPlan plan = options.plan;
  plan.codec = codec.get();
  plan.workload = &workload;
  if (load) {
    status = Load(options, plan);
    if (!status.ok()) return status;
  }
  if (options.load_only) return Status();
  if (options.endpoint.protocol == Protocol::kEntrepot) {
    status = AwaitIndexes(plan);
    if (!status.ok()) return status;
  }
  const Result<RunResult> result = RunOnce(plan);
  if (!result.ok()) return result.status();
  AppendRows(options, swept, *result, document);
  if (options.raw_samples_file.empty()) return Status();
  return WriteTextFile(options.raw_samples_file, RawSamplesText(result->groups[0].raw()));
}

Status RunAll(const Options& options, json* document) {
  const bool load = NeedsLoad(options);
  if (!options.sweep) return RunPoint(options, json::object(), load, document);
  bool first = true;
  for (const double value : options.sweep->values) {
    Options point = options;
    Status status = point.Apply(options.sweep->name, value);
    if (!status.ok()) return status;
    // Values of another size are other entries; --verify starts from entries that are known.
    const bool anew = first || options.sweep->name == "value-bytes" || options.plan.verify;
    status = RunPoint(point, {{options.sweep->name, value}}, load && anew, document);
    if (!status.ok()) return status;
    first = false;
  }
  return Status();
}

Status WriteFiles(const Options& options, const json& document) {
  if (!options.json_file.empty()) {
    Status status = WriteTextFile(options.json_file, document.dump(1) + "\n");
    if (!status.ok()) return status;
  }
  if (!options.html_file.empty()) return WriteTextFile(options.html_file, MakePage(document));
  return Status();
}

// Wrong answers, or clients that work and lost their connection.
bool RunFailed(const json& document) {
  for (const json& row : document["rows"]) {
    if (row["wrong"].get<uint64_t>() > 0) return true;
    if (row["role"] == "work" && row["connection_failures"].get<uint64_t>() > 0) return true;
  }
  return false;
}

int Fail(const Status& status) {
  fmt::print(stderr, "entrepot-bench: {}\n", status.message());
  return status.code() == Code::kInvalidArgument ? kUsageStatus : kFailedStatus;
}

int Main(const Options& options) {
  const Result<std::vector<Objective>> objectives = ParseObjectives(options.slo);
  if (!objectives.ok()) return Fail(objectives.status());
  json before;
  if (!options.compare_file.empty()) {
    Result<json> read = ReadDocument(options.compare_file);
    if (!read.ok()) return Fail(read.status());
    before = *read;
  }
  json document = MakeDocument(options);
  Status status = RunAll(options, &document);
  if (!status.ok()) return Fail(status);
  Result<json> stats = ReadServerStats(options.endpoint);
  if (stats.ok()) {
    document["server_stats"] = *stats;
  } else {
    fmt::print(stderr, "entrepot-bench: {}\n", stats.status().message());
  }
  if (!document["rows"].empty()) fmt::print("{}", FormatTable(document));
  if (!before.is_null()) fmt::print("{}", FormatComparison(before, document));
  status = WriteFiles(options, document);
  if (!status.ok()) return Fail(status);
  const std::vector<std::string> missed = FindMissed(*objectives, document);
  for (const std::string& text : missed) fmt::print("{}\n", text);
  if (RunFailed(document)) return kFailedStatus;
  return missed.empty() ? 0 : kMissedStatus;
}

}  // namespace
}  // namespace entrepot::bench

int main(int argc, char** argv) {
  const entrepot::bench::ParsedCommandLine parsed = entrepot::bench::ParseCommandLine(argc, argv);
  return parsed.options ? entrepot::bench::Main(*parsed.options) : parsed.exit_status;
}
