#include "bench/report/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <vector>

namespace entrepot::bench {
namespace {

using nlohmann::json;

// How many columns a text takes; each of its characters takes one.
size_t Columns(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char byte) { return (byte & 0xc0) != 0x80; }));
}

// The first column stands left, the others right.
std::string Align(const std::vector<std::vector<std::string>>& lines) {
  std::vector<size_t> widths;
  for (const auto& line : lines) {
    widths.resize(std::max(widths.size(), line.size()));
    for (size_t at = 0; at < line.size(); ++at)
      widths[at] = std::max(widths[at], Columns(line[at]));
  }
  std::string text;
  for (const auto& line : lines) {
    for (size_t at = 0; at < line.size(); ++at) {
      const std::string gap(widths[at] - Columns(line[at]), ' ');
      if (at > 0) text += "  ";
      text += at == 0 ? line[at] + gap : gap + line[at];
    }
    text += '\n';
  }
  return text;
}

std::string Percentile(const json& latency, const char* name) {
  return latency.is_null() ? "-" : FormatDuration(latency[name].get<double>());
}

std::string OrDash(const json& number) {
  return number.is_null() ? "-" : FormatDuration(number.get<double>());
}

std::vector<std::string> TableLine(const std::string& label, const json& row) {
  const json& latency = row["latency_ns"];
  return {label,
          fmt::format("{:.0f}", row["rate"].get<double>()),
          fmt::format("{}", row["errors"].get<uint64_t>()),
          Percentile(latency, "p50"),
          Percentile(latency, "p90"),
          Percentile(latency, "p99"),
          Percentile(latency, "p99_9"),
          Percentile(latency, "max"),
          OrDash(row["cpu_ns_per_request"]["server"]),
          OrDash(row["cpu_ns_per_request"]["tester"])};
}

// Mixed rows also show each kind by itself.
void AddKindLines(const json& row, std::vector<std::vector<std::string>>* lines) {
  if (row["latency_by_kind_ns"].size() < 2) return;
  for (const auto& [kind, latency] : row["latency_by_kind_ns"].items()) {
    lines->push_back({"  " + kind, "", "", Percentile(latency, "p50"), Percentile(latency, "p90"),
                      Percentile(latency, "p99"), Percentile(latency, "p99_9"),
                      Percentile(latency, "max"), "", ""});
  }
}

void AddNotes(const json& row, std::string* notes) {
  const std::string label = RowLabel(row);
  if (!row["void"].is_null()) {
    *notes += fmt::format("VOID {}: {}\n", label, row["void"].get<std::string>());
  }
  const auto count = [&](const char* name, const char* meaning) {
    const uint64_t number = row[name].get<uint64_t>();
    if (number > 0) *notes += fmt::format("{}: {} {}\n", label, number, meaning);
  };
  count("misses", "requests found no entry");
  count("wrong", "WRONG ANSWERS");
  count("unfinished", "requests were not answered in time; they count with the time they waited");
  count("connection_failures", "connections were lost");
  count("reconnects", "reconnects");
}

std::string Change(double before, double now) {
  if (before == 0) return "-";
  return fmt::format("{:+.1f} %", 100 * (now - before) / before);
}

}  // namespace

std::string RowLabel(const json& row) {
  std::string label;
  for (const auto& [name, value] : row["swept"].items()) {
    label += fmt::format("{}={:g} · ", name, value.get<double>());
  }
  return label + row["name"].get<std::string>();
}

std::string FormatDuration(double nanoseconds) {
  if (nanoseconds < 1e3) return fmt::format("{:.0f} ns", nanoseconds);
  const auto scaled = [](double value, const char* unit) {
    return fmt::format("{:.{}f} {}", value, value < 10 ? 2 : value < 100 ? 1 : 0, unit);
  };
  if (nanoseconds < 1e6) return scaled(nanoseconds / 1e3, "µs");
  if (nanoseconds < 1e9) return scaled(nanoseconds / 1e6, "ms");
  return scaled(nanoseconds / 1e9, "s");
}

std::string FormatTable(const json& document) {
  std::vector<std::vector<std::string>> lines = {{"clients", "rate/s", "errors", "p50", "p90",
                                                  "p99", "p99.9", "max", "server CPU",
                                                  "tester CPU"}};
  std::string notes;
  for (const json& row : document["rows"]) {
    lines.push_back(TableLine(RowLabel(row) + (row["void"].is_null() ? "" : " (void)"), row));
    AddKindLines(row, &lines);
    AddNotes(row, &notes);
  }
  for (const auto& [name, count] : document["errors_by_name"].items()) {
    notes += fmt::format("error: {} ({} times)\n", name, count.get<uint64_t>());
  }
  for (const json& text : document["wrong_answers"]) {
    notes += fmt::format("wrong: {}\n", text.get<std::string>());
  }
  return Align(lines) + notes;
}

std::string FormatComparison(const json& before, const json& now) {
  std::vector<std::vector<std::string>> lines = {
      {"against " + before["started_at"].get<std::string>(), "rate before", "now", "", "p99 before",
       "now", "", "server CPU before", "now", ""}};
  for (const json& row : now["rows"]) {
    const std::string label = RowLabel(row);
    const auto old = std::find_if(before["rows"].begin(), before["rows"].end(),
                                  [&](const json& other) { return RowLabel(other) == label; });
    if (old == before["rows"].end()) {
      lines.push_back({label + " (new)"});
      continue;
    }
    std::vector<std::string> line = {label};
    const auto add = [&](const json& from, const json& to, bool duration) {
      if (from.is_null() || to.is_null()) return line.insert(line.end(), {"-", "-", "-"});
      const double was = from.get<double>(), is = to.get<double>();
      const auto show = [&](double value) {
        return duration ? FormatDuration(value) : fmt::format("{:.0f}", value);
      };
      return line.insert(line.end(), {show(was), show(is), Change(was, is)});
    };
    const auto p99 = [](const json& of) {
      return of["latency_ns"].is_null() ? json() : of["latency_ns"]["p99"];
    };
    add((*old)["rate"], row["rate"], false);
    add(p99(*old), p99(row), true);
    add((*old)["cpu_ns_per_request"]["server"], row["cpu_ns_per_request"]["server"], true);
    lines.push_back(std::move(line));
  }
  return Align(lines);
}

}  // namespace entrepot::bench
