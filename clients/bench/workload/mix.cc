#include "bench/workload/mix.h"

#include <fmt/format.h>

#include <cstdlib>

namespace entrepot::bench {
namespace {

constexpr std::array<std::string_view, kKinds> kNames = {
    "get", "set", "find", "delete", "increment", "insert", "ping", "scan", "index_add"};

Status Invalid(std::string message) { return Status(Code::kInvalidArgument, std::move(message)); }

std::string_view Preset(std::string_view text) {
  if (text == "ycsb-a") return "get=50,set=50";
  if (text == "ycsb-b") return "get=95,set=5";
  if (text == "ycsb-c") return "get=100";
  return text;
}

}  // namespace

std::string_view KindName(Kind kind) { return kNames[static_cast<size_t>(kind)]; }

Mix::Mix(Kind kind) {
  shares_[static_cast<size_t>(kind)] = 1;
  Prepare();
}

Result<Mix> Mix::Parse(std::string_view text) {
  Mix mix;
  mix.shares_ = {};
  double sum = 0;
  std::string_view rest = Preset(text);
  while (!rest.empty()) {
    const std::string_view part = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), part.size() + 1));
    const size_t equals = part.find('=');
    const std::string_view name = part.substr(0, equals);
    double share = 1;
    if (equals != std::string_view::npos) {
      const std::string number(part.substr(equals + 1));
      char* end = nullptr;
      share = std::strtod(number.c_str(), &end);
      if (number.empty() || *end != '\0' || !(share >= 0)) {
        return Invalid(fmt::format("'{}' is not a share in the mix '{}'", number, text));
      }
    }
    size_t kind = 0;
    while (kind < kKinds && kNames[kind] != name) ++kind;
    if (kind >= static_cast<size_t>(Kind::kIndexAdd)) {
      return Invalid(
          fmt::format("'{}' in the mix '{}' is none of get, set, find, delete, increment, "
                      "insert, ping, scan",
                      name, text));
    }
    mix.shares_[kind] += share;
    sum += share;
  }
  if (!(sum > 0)) return Invalid(fmt::format("the mix '{}' asks for nothing", text));
  mix.Prepare();
  return mix;
}

void Mix::Prepare() {
  double sum = 0;
  for (const double share : shares_) sum += share;
  double seen = 0;
  only_one_ = false;
  for (size_t kind = 0; kind < kKinds; ++kind) {
    seen += shares_[kind];
    // The last limit is the whole range even if the additions above were rounded.
    limits_[kind] =
        seen >= sum * (1 - 1e-12) ? UINT32_MAX : static_cast<uint32_t>(seen / sum * UINT32_MAX);
    if (shares_[kind] == sum) {
      only_one_ = true;
      only_ = static_cast<Kind>(kind);
    }
  }
}

bool Mix::NeedsEntries() const {
  return Has(Kind::kGet) || Has(Kind::kSet) || Has(Kind::kFind) || Has(Kind::kDelete) ||
         Has(Kind::kScan);
}

std::string Mix::ToString() const {
  std::string text;
  for (size_t kind = 0; kind < kKinds; ++kind) {
    if (shares_[kind] == 0) continue;
    text += fmt::format("{}{}={:g}", text.empty() ? "" : ",", kNames[kind], shares_[kind]);
  }
  return text;
}

}  // namespace entrepot::bench
