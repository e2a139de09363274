#include "bench/report/page.h"

#include <fmt/format.h>

#include <cmath>

#include "bench/report/plot.h"
#include "bench/report/table.h"

namespace entrepot::bench {
namespace {

using nlohmann::json;

constexpr const char* kHead = R"(<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>entrepot-bench</title><style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto; padding: 0 1rem;
       color: #1b1b1b; background: #fff; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
pre { overflow-x: auto; background: #f5f5f2; padding: .8rem; font-size: 13px; line-height: 1.4; }
svg { max-width: 100%; height: auto; font: 12px system-ui, sans-serif; }
.plots { display: flex; flex-wrap: wrap; gap: 1rem; } .plots svg { flex: 1 1 34rem; }
.title { font-weight: 600; font-size: 14px; } .grid { stroke: #e3e3de; }
.frame { fill: none; stroke: #8a8a85; }
.void { color: #a40000; font-weight: 600; }
</style></head><body>
)";

std::string FormatCount(double number) {
  if (number >= 1e6) return fmt::format("{:g} M", std::round(number / 1e4) / 100);
  if (number >= 1e3) return fmt::format("{:g} k", std::round(number / 10) / 100);
  return fmt::format("{:g}", std::round(number * 100) / 100);
}

Axis LatencyAxis(std::string title) {
  return {std::move(title), Scale::kLogarithmic, false, FormatDuration, {}};
}

// The x axis is 1 / (1 - share), so that 99 %, 99.9 % … stand at equal distances.
std::string PercentilePlot(const json& rows) {
  Plot plot;
  plot.title = "Latency by percentile";
  plot.x = {"share of requests",
            Scale::kLogarithmic,
            false,
            [](double nines) { return fmt::format("{:g} %", 100 * (1 - 1 / nines)); },
            {1, 2, 10, 100, 1e3, 1e4, 1e5, 1e6}};
  plot.y = LatencyAxis("latency");
  for (const json& row : rows) {
    Series series{RowLabel(row), {}, false};
    for (const json& point : row["percentiles"]) {
      const double above = 1 - point[0].get<double>();
      const double latency = std::max(1.0, point[1].get<double>());
      if (above > 0) series.points.emplace_back(1 / above, latency);
    }
    if (!series.points.empty()) plot.series.push_back(std::move(series));
  }
  return DrawPlot(plot);
}

std::string TimePlot(const json& rows, const char* field, std::string title, Axis y) {
  Plot plot;
  plot.title = std::move(title);
  plot.x = {"seconds since the warm-up",
            Scale::kLinear,
            true,
            [](double seconds) { return fmt::format("{:g}", seconds); },
            {}};
  plot.y = std::move(y);
  for (const json& row : rows) {
    Series series{RowLabel(row), {}, false};
    for (const json& interval : row["intervals"]) {
      const double value = interval[field].get<double>();
      if (value > 0 || plot.y.scale == Scale::kLinear) {
        series.points.emplace_back(interval["at_s"].get<double>(), value);
      }
    }
    if (!series.points.empty()) plot.series.push_back(std::move(series));
  }
  return DrawPlot(plot);
}

std::string RateAgainstLatencyPlot(const json& rows) {
  Plot plot;
  plot.title = "Latency against rate, one point a run";
  plot.x = {"requests a second", Scale::kLinear, true, FormatCount, {}};
  plot.y = LatencyAxis("latency");
  for (const char* const percentile : {"p50", "p99", "p99_9"}) {
    Series series{percentile == std::string("p99_9") ? "p99.9" : percentile, {}, true};
    for (const json& row : rows) {
      if (row["name"] != "main" || row["latency_ns"].is_null()) continue;
      series.points.emplace_back(row["rate"].get<double>(),
                                 row["latency_ns"][percentile].get<double>());
    }
    plot.series.push_back(std::move(series));
  }
  return DrawPlot(plot);
}

std::string Facts(const json& document) {
  const json& machine = document["machine"];
  const json& settings = document["settings"];
  std::string command;
  for (const json& word : document["command"]) command += word.get<std::string>() + " ";
  return fmt::format(
      "<p>{} on {}, {} cores, {}. {} entries, keys of {} bytes, values of {} to {} bytes, {} keys, "
      "seed {}; {} s after {} s of warm-up.</p><pre>{}</pre>\n",
      EscapeHtml(document["target"]["endpoint"].get<std::string>()),
      EscapeHtml(machine["cpu"].get<std::string>()), machine["cores"].get<int>(),
      EscapeHtml(machine["system"].get<std::string>()), settings["keys"].get<uint64_t>(),
      settings["key_bytes"].get<int>(), settings["value_bytes"][0].get<uint64_t>(),
      settings["value_bytes"][1].get<uint64_t>(), settings["distribution"].get<std::string>(),
      settings["seed"].get<uint64_t>(), settings["duration_s"].get<double>(),
      settings["warm_up_s"].get<double>(), EscapeHtml(command));
}

}  // namespace

std::string MakePage(const json& document) {
  const json& rows = document["rows"];
  std::string page = kHead;
  page += fmt::format("<h1>entrepot-bench, {}</h1>\n",
                      EscapeHtml(document["started_at"].get<std::string>()));
  page += Facts(document);
  page += fmt::format("<h2>Table</h2><pre>{}</pre>\n", EscapeHtml(FormatTable(document)));
  for (const json& row : rows) {
    if (row["void"].is_null()) continue;
    page += fmt::format("<p class='void'>{} is void: {}.</p>\n", EscapeHtml(RowLabel(row)),
                        EscapeHtml(row["void"].get<std::string>()));
  }
  page += "<h2>Plots</h2><div class='plots'>\n";
  page += PercentilePlot(rows);
  page += TimePlot(rows, "rate", "Rate over time",
                   {"requests a second", Scale::kLinear, true, FormatCount, {}});
  page += TimePlot(rows, "p99_ns", "p99 over time", LatencyAxis("p99"));
  size_t points = 0;
  for (const json& row : rows) points += row["name"] == "main" ? 1 : 0;
  if (points > 1) page += RateAgainstLatencyPlot(rows);
  return page + "</div></body></html>\n";
}

}  // namespace entrepot::bench
