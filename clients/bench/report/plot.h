// A line plot as SVG: axes, grid, legend, one line a series. No script, no network, no library.
//
// Thread safety: pure functions.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace entrepot::bench {

enum class Scale : uint8_t { kLinear, kLogarithmic };

struct Axis {
  std::string title;
  Scale scale = Scale::kLinear;
  bool from_zero = false;                     // Linear only.
  std::function<std::string(double)> format;  // What stands at a tick.
  std::vector<double> ticks;                  // Empty: chosen by the range.
};

struct Series {
  std::string name;
  std::vector<std::pair<double, double>> points;
  bool marked = false;  // With a dot at each point.
};

struct Plot {
  std::string title;
  Axis x;
  Axis y;
  std::vector<Series> series;
};

// An <svg> element of the size of half a page; says so when there is nothing to draw.
std::string DrawPlot(const Plot& plot);

// &, <, > and quotes as entities.
std::string EscapeHtml(std::string_view text);

}  // namespace entrepot::bench
