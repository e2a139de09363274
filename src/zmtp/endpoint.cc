#include "zmtp/endpoint.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <memory>
#include <utility>

#include "base/file.h"

namespace entrepot::zmtp {
namespace {

constexpr std::string_view kTcp = "tcp://";
constexpr std::string_view kIpc = "ipc://";
constexpr int kSocketFlags = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;

Status Invalid(const std::string& endpoint, std::string_view why) {
  return Status(Code::kInvalidArgument, endpoint + ": " + std::string(why));
}

// Closes the socket; gives back the error that was there before.
Status CloseWith(int socket, const std::string& endpoint) {
  const int error = errno;
  close(socket);
  return ErrnoStatus("cannot listen on " + endpoint, error);
}

std::string HostText(const sockaddr* address, socklen_t size, std::string* port) {
  char host[NI_MAXHOST];
  char service[NI_MAXSERV];
  const int flags = NI_NUMERICHOST | NI_NUMERICSERV;
  if (getnameinfo(address, size, host, sizeof(host), service, sizeof(service), flags) != 0) {
    return "unknown";
  }
  if (port != nullptr) *port = service;
  return host;
}

// Whether nobody listens on this socket file any more.
bool IsAbandoned(const sockaddr_un& address, socklen_t size) {
  const int probe = ::socket(AF_UNIX, kSocketFlags, 0);
  if (probe < 0) return false;
  const int result = connect(probe, reinterpret_cast<const sockaddr*>(&address), size);
  const bool is_abandoned = result != 0 && errno == ECONNREFUSED;
  close(probe);
  return is_abandoned;
}

}  // namespace

Result<Listener> Listener::Open(const std::string& endpoint, EndpointKind kind) {
  if (endpoint.starts_with(kTcp)) return OpenTcp(endpoint, kind);
  if (endpoint.starts_with(kIpc)) return OpenIpc(endpoint, kind);
  return Invalid(endpoint, "an endpoint begins with tcp:// or ipc://");
}

Result<Listener> Listener::OpenTcp(const std::string& endpoint, EndpointKind kind) {
  const std::string address = endpoint.substr(kTcp.size());
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos || colon == 0 || colon + 1 == address.size()) {
    return Invalid(endpoint, "expected tcp://HOST:PORT");
  }
  std::string host = address.substr(0, colon);
  const std::string port = address.substr(colon + 1);
  if (host == "*") host = "0.0.0.0";
  if (host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);

  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(host.c_str(), port.c_str(), &hints, &found); error != 0) {
    return Invalid(endpoint, gai_strerror(error));
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owned(found, freeaddrinfo);

  const int fd = ::socket(found->ai_family, kSocketFlags, 0);
  if (fd < 0) return ErrnoStatus("cannot listen on " + endpoint, errno);
  const int one = 1;
  // A restarted server takes its port back at once; two at a time are still refused.
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
  if (bind(fd, found->ai_addr, found->ai_addrlen) != 0 || listen(fd, SOMAXCONN) != 0) {
    return CloseWith(fd, endpoint);
  }
  sockaddr_storage bound{};
  socklen_t size = sizeof(bound);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &size) != 0) {
    return CloseWith(fd, endpoint);
  }
  std::string bound_port;
  const std::string bound_host =
      HostText(reinterpret_cast<const sockaddr*>(&bound), size, &bound_port);
  const std::string shown = bound.ss_family == AF_INET6 ? "[" + bound_host + "]" : bound_host;
  return Listener(fd, kind, std::string(kTcp) + shown + ":" + bound_port, "");
}

Result<Listener> Listener::OpenIpc(const std::string& endpoint, EndpointKind kind) {
  const std::string path = endpoint.substr(kIpc.size());
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path)) {
    return Invalid(endpoint, "the path is empty or too long for a socket");
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  const bool is_abstract = path.front() == '@';
  if (is_abstract) address.sun_path[0] = '\0';
  const auto size =
      static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + (is_abstract ? 0 : 1));
  if (!is_abstract && IsAbandoned(address, size)) {
    // Should it fail, bind() says what stands in the way.
    static_cast<void>(FileSystem::Posix().Unlink(path).ok());
  }

  const int fd = ::socket(AF_UNIX, kSocketFlags, 0);
  if (fd < 0) return ErrnoStatus("cannot listen on " + endpoint, errno);
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address), size) != 0 ||
      listen(fd, SOMAXCONN) != 0) {
    return CloseWith(fd, endpoint);
  }
  return Listener(fd, kind, endpoint, path);
}

Listener::Listener(int socket, EndpointKind kind, std::string endpoint, std::string path)
    : socket_(socket), kind_(kind), endpoint_(std::move(endpoint)), path_(std::move(path)) {}

Listener::Listener(Listener&& other) noexcept
    : socket_(std::exchange(other.socket_, -1)),
      kind_(other.kind_),
      endpoint_(std::move(other.endpoint_)),
      path_(std::move(other.path_)) {}

Listener& Listener::operator=(Listener&& other) noexcept {
  std::swap(socket_, other.socket_);
  std::swap(kind_, other.kind_);
  endpoint_.swap(other.endpoint_);
  path_.swap(other.path_);
  return *this;
}

void Listener::Close() {
  if (socket_ < 0) return;
  close(std::exchange(socket_, -1));
  // A socket file that somebody has removed already is as well.
  if (!path_.empty() && path_.front() != '@') {
    static_cast<void>(FileSystem::Posix().Unlink(path_).ok());
  }
}

std::string PeerAddress(int socket) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  if (getpeername(socket, reinterpret_cast<sockaddr*>(&address), &size) != 0) return "unknown";
  if (address.ss_family == AF_UNIX) return "ipc";
  return HostText(reinterpret_cast<const sockaddr*>(&address), size, nullptr);
}

}  // namespace entrepot::zmtp
