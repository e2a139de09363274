#include "endpoint.h"

#include <charconv>
#include <cstdlib>
#include <string>
#include <string_view>

namespace entrepot {
namespace {

constexpr std::string_view kDefaultEndpoint = "tcp://127.0.0.1:5555";
constexpr std::string_view kTcp = "tcp://";
constexpr std::string_view kIpc = "ipc://";
constexpr std::string_view kInproc = "inproc://";

bool IsPort(std::string_view text) {
  int port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size() && port >= 1 && port <= 65535;
}

bool IsHostAndPort(std::string_view address) {
  const size_t colon = address.rfind(':');
  return colon != std::string_view::npos && colon > 0 && address.substr(0, colon) != "*" &&
         IsPort(address.substr(colon + 1));
}

}  // namespace

std::string ChooseEndpoint(std::string_view server) {
  if (!server.empty()) return std::string(server);
  const char* from_environment = std::getenv("ENTREPOT_SERVER");
  if (from_environment != nullptr && *from_environment != '\0') return from_environment;
  return std::string(kDefaultEndpoint);
}

Status CheckEndpoint(std::string_view endpoint) {
  const bool valid = (endpoint.starts_with(kTcp) && IsHostAndPort(endpoint.substr(kTcp.size()))) ||
                     (endpoint.starts_with(kIpc) && endpoint.size() > kIpc.size()) ||
                     (endpoint.starts_with(kInproc) && endpoint.size() > kInproc.size());
  if (valid) return Status();
  return Status(
      StatusCode::kInvalidArgument,
      "\"" + std::string(endpoint) + "\" is no endpoint; say tcp://host:port or ipc://path");
}

}  // namespace entrepot
