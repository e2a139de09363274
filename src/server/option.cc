#include "server/option.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <array>
#include <bit>
#include <charconv>
#include <limits>
#include <optional>

namespace entrepot {
namespace {

struct Unit {
  std::string_view name;
  uint64_t bytes;
};
// Largest first.
constexpr std::array<Unit, 3> kUnits = {
    {{"GiB", uint64_t{1} << 30}, {"MiB", uint64_t{1} << 20}, {"KiB", uint64_t{1} << 10}}};

constexpr uint64_t kPortMax = 65535;

// Digits and nothing else, or nothing.
std::optional<uint64_t> ParseDigits(std::string_view text) {
  uint64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || stopped != end) return std::nullopt;
  return number;
}

std::optional<uint64_t> ParseBytes(std::string_view text) {
  uint64_t factor = 1;
  for (const Unit& unit : kUnits) {
    if (!text.ends_with(unit.name)) continue;
    text.remove_suffix(unit.name.size());
    factor = unit.bytes;
  }
  const std::optional<uint64_t> number = ParseDigits(text);
  if (!number || *number > std::numeric_limits<uint64_t>::max() / factor) return std::nullopt;
  return *number * factor;
}

bool IsWithin(uint64_t number, Range range) {
  return number >= range.minimum && number <= range.maximum &&
         (!range.power_of_two || std::has_single_bit(number));
}

constexpr std::string_view kTcp = "tcp://";
constexpr std::array<std::string_view, 2> kWithinMachine = {"ipc://", "inproc://"};

// The host of tcp://host:port, with the brackets of an IPv6 address.
std::string_view HostOf(std::string_view tcp_endpoint) {
  return tcp_endpoint.substr(kTcp.size(), tcp_endpoint.rfind(':') - kTcp.size());
}

}  // namespace

Result<uint64_t> ParseNumber(std::string_view text, Range range) {
  const std::optional<uint64_t> number = ParseDigits(text);
  if (number && IsWithin(*number, range)) return *number;
  return Expected(fmt::format("a {} from {} to {}", range.power_of_two ? "power of two" : "number",
                              range.minimum, range.maximum),
                  text);
}

Result<uint64_t> ParseSize(std::string_view text, Range range) {
  const std::optional<uint64_t> bytes = ParseBytes(text);
  if (bytes && IsWithin(*bytes, range)) return *bytes;
  return Expected(fmt::format("a size from {} to {} (bytes, or with KiB, MiB, GiB)",
                              FormatSize(range.minimum), FormatSize(range.maximum)),
                  text);
}

std::string FormatSize(uint64_t bytes) {
  for (const Unit& unit : kUnits) {
    if (bytes >= unit.bytes && bytes % unit.bytes == 0) {
      return fmt::format("{}{}", bytes / unit.bytes, unit.name);
    }
  }
  return fmt::to_string(bytes);
}

Status CheckEndpoint(const std::string& endpoint) {
  for (const std::string_view scheme : kWithinMachine) {
    if (endpoint.starts_with(scheme) && endpoint.size() > scheme.size()) return Status();
  }
  if (endpoint.starts_with(kTcp) && endpoint.rfind(':') > kTcp.size()) {
    const std::optional<uint64_t> port =
        ParseDigits(std::string_view(endpoint).substr(endpoint.rfind(':') + 1));
    if (port && *port <= kPortMax) return Status();
  }
  return Expected("an endpoint such as tcp://127.0.0.1:5555 or ipc:///run/entrepot.socket",
                  endpoint);
}

Status CheckFeed(const std::string& feed) {
  if (feed == "off" || feed == "auto" || CheckEndpoint(feed).ok()) return Status();
  return Expected("off, auto or an endpoint such as tcp://127.0.0.1:5556", feed);
}

std::string FeedEndpoint(const std::string& feed, const std::vector<std::string>& listen) {
  if (feed == "off") return "";
  if (feed != "auto") return feed;
  for (const std::string& endpoint : listen) {
    if (!endpoint.starts_with(kTcp) || !IsLocalEndpoint(endpoint)) continue;
    const size_t colon = endpoint.rfind(':');
    const uint64_t port = ParseDigits(std::string_view(endpoint).substr(colon + 1)).value_or(0);
    if (port == kPortMax) continue;
    return fmt::format("{}:{}", endpoint.substr(0, colon), port == 0 ? 0 : port + 1);
  }
  return "";
}

Status FeedRefused(const Status& status) {
  return Status(status.code(), fmt::format("{}; it is the feed's, --feed takes another one or off",
                                           status.message()));
}

bool IsLocalEndpoint(std::string_view endpoint) {
  if (!endpoint.starts_with(kTcp)) return true;
  std::string host(HostOf(endpoint));
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  in_addr address;
  if (inet_pton(AF_INET, host.c_str(), &address) == 1) {
    return ntohl(address.s_addr) >> 24 == IN_LOOPBACKNET;
  }
  in6_addr address6;
  if (inet_pton(AF_INET6, host.c_str(), &address6) == 1) {
    return IN6_IS_ADDR_LOOPBACK(&address6) ||
           (IN6_IS_ADDR_V4MAPPED(&address6) && address6.s6_addr[12] == IN_LOOPBACKNET);
  }
  return host == "localhost";
}

}  // namespace entrepot
