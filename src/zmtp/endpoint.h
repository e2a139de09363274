// A place to listen: tcp://HOST:PORT or ipc://PATH, bound to a socket.
//
// HOST is a name, an address, an IPv6 address in brackets, or `*` for all of IPv4; PORT 0 picks a
// free one. PATH that starts with `@` is in the abstract namespace.
//
// Thread safety: none.
#pragma once

#include <string>

#include "base/status.h"
#include "zmtp/command.h"

namespace entrepot::zmtp {

class Listener {
 public:
  // Binds and listens. Errors: kInvalidArgument for an endpoint that cannot be read or resolved;
  // kUnavailable when it cannot be bound (in use, no permission). A socket file that nobody
  // listens on any more is replaced.
  static Result<Listener> Open(const std::string& endpoint, EndpointKind kind);

  Listener(Listener&& other) noexcept;
  Listener& operator=(Listener&& other) noexcept;
  ~Listener() { Close(); }

  // Stops listening; a socket file is removed.
  void Close();

  int socket() const { return socket_; }
  EndpointKind kind() const { return kind_; }
  // With the port that was picked, for instance "tcp://127.0.0.1:40123".
  const std::string& endpoint() const { return endpoint_; }
  bool is_tcp() const { return path_.empty(); }

 private:
  Listener(int socket, EndpointKind kind, std::string endpoint, std::string path);
  static Result<Listener> OpenTcp(const std::string& endpoint, EndpointKind kind);
  static Result<Listener> OpenIpc(const std::string& endpoint, EndpointKind kind);

  int socket_;
  EndpointKind kind_;
  std::string endpoint_;
  std::string path_;  // Of an ipc endpoint.
};

// The peer's address: "127.0.0.1", "::1", or "ipc".
std::string PeerAddress(int socket);

}  // namespace entrepot::zmtp
