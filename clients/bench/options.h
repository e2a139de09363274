// The command line of entrepot-bench.
//
// Thread safety: a value.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bench/run/plan.h"
#include "bench/workload/workload.h"

namespace entrepot::bench {

// One axis that is walked: a run for each value.
struct Sweep {
  std::string name;  // clients, outstanding, body, rate or value-bytes.
  std::vector<double> values;
};

struct Options {
  Endpoint endpoint;
  WorkloadOptions workload;
  RunPlan plan;  // Without codec and workload, which are made from the above.
  bool memcached_meta = false;
  bool load = true;  // Where the mix needs entries.
  bool load_only = false;
  std::optional<Sweep> sweep;
  std::string json_file;
  std::string html_file;
  std::string raw_samples_file;
  std::string compare_file;
  std::string slo;
  std::vector<std::string> command;

  // Sets the swept option. kInvalidArgument when the value does not fit.
  Status Apply(const std::string& name, double value);
};

// What main() does after the command line was read.
struct ParsedCommandLine {
  std::optional<Options> options;  // Nothing when there is nothing to do but to exit.
  int exit_status = 0;
};

// Prints help, version or what is wrong by itself.
ParsedCommandLine ParseCommandLine(int argc, char** argv);

// Reads "find=100;clients=2;rate=1000;outstanding=1;body=1": the mix, then what differs from one
// client that waits for one answer at a time.
Result<GroupOptions> ParseBackground(const std::string& text, size_t number);

}  // namespace entrepot::bench
