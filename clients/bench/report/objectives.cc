#include "bench/report/objectives.h"

#include <fmt/format.h>

#include <array>
#include <charconv>

#include "bench/report/table.h"

namespace entrepot::bench {
namespace {

using nlohmann::json;

struct Field {
  std::string_view name;
  std::string_view field;
  bool latency;
};
constexpr std::array<Field, 9> kFields = {{{"p50", "p50", true},
                                           {"p90", "p90", true},
                                           {"p99", "p99", true},
                                           {"p99.9", "p99_9", true},
                                           {"max", "max", true},
                                           {"mean", "mean", true},
                                           {"rate", "rate", false},
                                           {"errors", "errors", false},
                                           {"misses", "misses", false}}};

struct Unit {
  std::string_view name;
  double nanoseconds;
};
constexpr std::array<Unit, 4> kUnits = {{{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}}};

Status Invalid(std::string_view text, std::string_view why) {
  return Status(Code::kInvalidArgument, fmt::format("--slo: '{}' {}", text, why));
}

Result<Objective> ParseObjective(std::string_view text) {
  Objective objective;
  objective.text = text;
  const size_t at = text.find_first_of("<>");
  if (at == std::string_view::npos) return Invalid(text, "has neither < nor >");
  objective.below = text[at] == '<';
  const Field* field = nullptr;
  for (const Field& candidate : kFields) {
    if (candidate.name == text.substr(0, at)) field = &candidate;
  }
  if (field == nullptr) return Invalid(text, "begins with nothing that is measured");
  objective.field = field->field;
  objective.latency = field->latency;
  const std::string_view number = text.substr(at + 1);
  const auto [end, error] =
      std::from_chars(number.data(), number.data() + number.size(), objective.limit);
  if (error != std::errc()) return Invalid(text, "has no number");
  const std::string_view unit(end, static_cast<size_t>(number.data() + number.size() - end));
  if (!objective.latency) {
    if (!unit.empty()) return Invalid(text, "has a unit and is no duration");
    return objective;
  }
  for (const Unit& candidate : kUnits) {
    if (candidate.name != unit) continue;
    objective.limit *= candidate.nanoseconds;
    return objective;
  }
  return Invalid(text, "needs one of the units ns, us, ms, s");
}

}  // namespace

Result<std::vector<Objective>> ParseObjectives(std::string_view text) {
  std::vector<Objective> objectives;
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), part.size() + 1));
    Result<Objective> objective = ParseObjective(part);
    if (!objective.ok()) return objective.status();
    objectives.push_back(*objective);
  }
  return objectives;
}

std::vector<std::string> FindMissed(const std::vector<Objective>& objectives,
                                    const json& document) {
  std::vector<std::string> missed;
  for (const json& row : document["rows"]) {
    if (row["name"] != "main") continue;
    for (const Objective& objective : objectives) {
      if (!row["void"].is_null()) {
        missed.push_back(
            fmt::format("{}: {} cannot be judged, the row is void", RowLabel(row), objective.text));
        continue;
      }
      const json& latency = row["latency_ns"];
      if (objective.latency && latency.is_null()) {
        missed.push_back(fmt::format("{}: {} cannot be judged, nothing was answered", RowLabel(row),
                                     objective.text));
        continue;
      }
      const double value = (objective.latency ? latency : row)[objective.field].get<double>();
      if (objective.below ? value < objective.limit : value > objective.limit) continue;
      missed.push_back(
          fmt::format("{}: {} missed: {}", RowLabel(row), objective.text,
                      objective.latency ? FormatDuration(value) : fmt::format("{:.0f}", value)));
    }
  }
  return missed;
}

}  // namespace entrepot::bench
