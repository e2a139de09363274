#include "bench/run/endpoint.h"

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace entrepot::bench {
namespace {

struct Scheme {
  std::string_view name;
  Protocol protocol;
};
constexpr std::array<Scheme, 4> kTcpSchemes = {{{"tcp://", Protocol::kEntrepot},
                                                {"zmq-echo://", Protocol::kEcho},
                                                {"redis://", Protocol::kRedis},
                                                {"memcached://", Protocol::kMemcached}}};
constexpr std::string_view kIpcScheme = "ipc://";

Status Invalid(std::string message) { return Status(Code::kInvalidArgument, std::move(message)); }

Status ResolveTcp(const std::string& host, const std::string& port, Endpoint* endpoint) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(host.c_str(), port.c_str(), &hints, &found);
  if (error != 0) {
    return Invalid(fmt::format("cannot resolve {}:{}: {}", host, port, gai_strerror(error)));
  }
  std::memcpy(&endpoint->address, found->ai_addr, found->ai_addrlen);
  endpoint->address_size = found->ai_addrlen;
  freeaddrinfo(found);
  return Status();
}

Status ResolveIpc(std::string_view path, Endpoint* endpoint) {
  auto* const address = reinterpret_cast<sockaddr_un*>(&endpoint->address);
  if (path.empty() || path.size() >= sizeof address->sun_path) {
    return Invalid(fmt::format("'{}' is not the path of a socket", path));
  }
  address->sun_family = AF_UNIX;
  std::memcpy(address->sun_path, path.data(), path.size());
  endpoint->address_size = sizeof(sockaddr_un);
  return Status();
}

}  // namespace

Result<Endpoint> Endpoint::Parse(std::string_view text) {
  Endpoint endpoint;
  endpoint.text = text;
  if (text.starts_with(kIpcScheme)) {
    endpoint.zmq_text = text;
    Status status = ResolveIpc(text.substr(kIpcScheme.size()), &endpoint);
    if (!status.ok()) return status;
    return endpoint;
  }
  for (const Scheme& scheme : kTcpSchemes) {
    if (!text.starts_with(scheme.name)) continue;
    const std::string_view address = text.substr(scheme.name.size());
    const size_t colon = address.rfind(':');
    if (colon == std::string_view::npos) return Invalid(fmt::format("'{}' names no port", text));
    std::string_view host = address.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']'))
      host = host.substr(1, host.size() - 2);  // IPv6
    endpoint.protocol = scheme.protocol;
    endpoint.zmq_text = fmt::format("tcp://{}", address);
    Status status =
        ResolveTcp(std::string(host), std::string(address.substr(colon + 1)), &endpoint);
    if (!status.ok()) return status;
    return endpoint;
  }
  return Invalid(fmt::format(
      "'{}' begins with none of tcp://, ipc://, zmq-echo://, redis://, memcached://", text));
}

Result<int> Endpoint::StartConnecting() const {
  const int fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return ErrnoStatus("cannot open a socket", errno);
  if (address.ss_family != AF_UNIX) {
    const int on = 1;
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) {
      const int error = errno;
      close(fd);
      return ErrnoStatus("cannot set TCP_NODELAY", error);
    }
  }
  const auto* const target = reinterpret_cast<const sockaddr*>(&address);
  if (connect(fd, target, address_size) != 0 && errno != EINPROGRESS) {
    const int error = errno;
    close(fd);
    return ErrnoStatus(fmt::format("cannot connect to {}", text), error);
  }
  return fd;
}

}  // namespace entrepot::bench
