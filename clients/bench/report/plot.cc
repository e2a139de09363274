#include "bench/report/plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace entrepot::bench {
namespace {

constexpr double kWidth = 720, kHeight = 380;
constexpr double kLeft = 84, kRight = 20, kTop = 36, kBottom = 56;
constexpr double kLegendLine = 17;
constexpr size_t kLegendColumns = 3;
constexpr int kTicksWanted = 6;
// Colours that differ also for people who do not tell red from green (Okabe and Ito).
constexpr std::array<const char*, 7> kColours = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                                 "#56b4e9", "#e69f00", "#000000"};

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  void Take(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
};

double Scaled(Scale scale, double value) {
  return scale == Scale::kLogarithmic ? std::log10(value) : value;
}

// Maps values to pixels.
class Mapping {
 public:
  Mapping(const Axis& axis, Range range, double from, double to)
      : axis_(axis), from_(from), to_(to) {
    low_ = axis.from_zero ? 0 : Scaled(axis.scale, range.low);
    high_ = Scaled(axis.scale, range.high);
    if (high_ <= low_) high_ = low_ + 1;
    if (axis.scale == Scale::kLinear) high_ += (high_ - low_) * 0.05;
  }

  double operator()(double value) const {
    return from_ + (to_ - from_) * (Scaled(axis_.scale, value) - low_) / (high_ - low_);
  }

  std::vector<double> Ticks() const {
    if (!axis_.ticks.empty()) return axis_.ticks;
    return axis_.scale == Scale::kLogarithmic ? LogarithmicTicks() : LinearTicks();
  }

  bool Shows(double value) const {
    const double at = Scaled(axis_.scale, value);
    return at >= low_ - 1e-9 && at <= high_ + 1e-9;
  }

 private:
  std::vector<double> LinearTicks() const {
    const double raw = (high_ - low_) / kTicksWanted;
    const double power = std::pow(10, std::floor(std::log10(raw)));
    double step = power;
    for (const double factor : {2.0, 5.0, 10.0}) {
      if (step < raw) step = power * factor;
    }
    std::vector<double> ticks;
    for (double tick = std::ceil(low_ / step) * step; tick <= high_; tick += step) {
      ticks.push_back(tick);
    }
    return ticks;
  }

  std::vector<double> LogarithmicTicks() const {
    const bool wide = high_ - low_ > 3;
    std::vector<double> ticks;
    for (double power = std::floor(low_); power <= std::ceil(high_); ++power) {
      for (const double factor : {1.0, 2.0, 5.0}) {
        const double tick = factor * std::pow(10, power);
        if ((!wide || factor == 1.0) && Shows(tick)) ticks.push_back(tick);
      }
    }
    return ticks;
  }

  const Axis& axis_;
  double from_, to_;
  double low_, high_;
};

std::string DrawAxes(const Plot& plot, const Mapping& x, const Mapping& y) {
  const double bottom = kHeight - kBottom, right = kWidth - kRight;
  std::string svg;
  for (const double tick : x.Ticks()) {
    if (!x.Shows(tick)) continue;
    svg += fmt::format(
        "<line class='grid' x1='{0:.1f}' x2='{0:.1f}' y1='{1}' y2='{2}'/>"
        "<text x='{0:.1f}' y='{3}' text-anchor='middle'>{4}</text>\n",
        x(tick), kTop, bottom, bottom + 18, EscapeHtml(plot.x.format(tick)));
  }
  for (const double tick : y.Ticks()) {
    if (!y.Shows(tick)) continue;
    svg += fmt::format(
        "<line class='grid' x1='{1}' x2='{2}' y1='{0:.1f}' y2='{0:.1f}'/>"
        "<text x='{3}' y='{4:.1f}' text-anchor='end'>{5}</text>\n",
        y(tick), kLeft, right, kLeft - 8, y(tick) + 4, EscapeHtml(plot.y.format(tick)));
  }
  svg += fmt::format("<rect class='frame' x='{}' y='{}' width='{}' height='{}'/>\n", kLeft, kTop,
                     right - kLeft, bottom - kTop);
  svg += fmt::format("<text x='{}' y='{}' text-anchor='middle'>{}</text>\n", (kLeft + right) / 2,
                     kHeight - 14, EscapeHtml(plot.x.title));
  svg +=
      fmt::format("<text transform='translate(16,{}) rotate(-90)' text-anchor='middle'>{}</text>\n",
                  (kTop + bottom) / 2, EscapeHtml(plot.y.title));
  return svg;
}

// The colours come again, dashed, when there are more series than colours.
std::string Stroke(size_t number) {
  return fmt::format("stroke='{}'{}", kColours[number % kColours.size()],
                     number < kColours.size() ? "" : " stroke-dasharray='6 4'");
}

std::string DrawSeries(const Series& series, size_t number, const Mapping& x, const Mapping& y) {
  std::string svg =
      fmt::format("<polyline fill='none' stroke-width='2' {} points='", Stroke(number));
  for (const auto& [at, value] : series.points)
    svg += fmt::format("{:.1f},{:.1f} ", x(at), y(value));
  svg += "'/>\n";
  if (series.marked) {
    for (const auto& [at, value] : series.points) {
      svg += fmt::format("<circle cx='{:.1f}' cy='{:.1f}' r='3.5' fill='{}'/>\n", x(at), y(value),
                         kColours[number % kColours.size()]);
    }
  }
  return svg;
}

double LegendHeight(size_t series) {
  return series < 2
             ? 0
             : kLegendLine * static_cast<double>((series + kLegendColumns - 1) / kLegendColumns);
}

std::string DrawLegend(const std::vector<Series>& series) {
  std::string svg;
  const double column_width = (kWidth - kLeft - kRight) / kLegendColumns;
  for (size_t number = 0; number < series.size(); ++number) {
    const double left = kLeft + column_width * static_cast<double>(number % kLegendColumns);
    const double at = kHeight + kLegendLine * static_cast<double>(number / kLegendColumns);
    svg += fmt::format(
        "<line x1='{0}' x2='{1}' y1='{2}' y2='{2}' stroke-width='3' {3}/>"
        "<text x='{4}' y='{5}'>{6}</text>\n",
        left, left + 20, at + 4, Stroke(number), left + 26, at + 8,
        EscapeHtml(series[number].name));
  }
  return svg;
}

}  // namespace

std::string EscapeHtml(std::string_view text) {
  std::string escaped;
  for (const char character : text) {
    switch (character) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      default:
        escaped += character;
    }
  }
  return escaped;
}

std::string DrawPlot(const Plot& plot) {
  Range across, up;
  for (const Series& series : plot.series) {
    for (const auto& [at, value] : series.points) {
      across.Take(at);
      up.Take(value);
    }
  }
  std::string svg = fmt::format(
      "<svg viewBox='0 0 {0} {1}' width='{0}' height='{1}' role='img'>\n"
      "<text class='title' x='{2}' y='22'>{3}</text>\n",
      kWidth, kHeight + LegendHeight(plot.series.size()), kLeft, EscapeHtml(plot.title));
  if (across.low > across.high) {
    return svg + fmt::format("<text x='{}' y='{}'>Nothing was measured.</text></svg>\n", kLeft,
                             kHeight / 2);
  }
  const Mapping x(plot.x, across, kLeft, kWidth - kRight);
  const Mapping y(plot.y, up, kHeight - kBottom, kTop);
  svg += DrawAxes(plot, x, y);
  for (size_t number = 0; number < plot.series.size(); ++number) {
    svg += DrawSeries(plot.series[number], number, x, y);
  }
  if (plot.series.size() > 1) svg += DrawLegend(plot.series);
  return svg + "</svg>\n";
}

}  // namespace entrepot::bench
