// Where a server listens and what it speaks.
//
// Thread safety: a value.
#pragma once

#include <sys/socket.h>

#include <string>
#include <string_view>

#include "base/status.h"

namespace entrepot::bench {

enum class Protocol : uint8_t { kEntrepot, kEcho, kRedis, kMemcached };

struct Endpoint {
  Protocol protocol = Protocol::kEntrepot;
  std::string text;      // As it was given.
  std::string zmq_text;  // The same for libzmq: "tcp://…" or "ipc://…".
  sockaddr_storage address{};
  socklen_t address_size = 0;

  // "tcp://host:port" and "ipc://path" (Entrepôt), "zmq-echo://host:port", "redis://host:port",
  // "memcached://host:port". Names are looked up.
  static Result<Endpoint> Parse(std::string_view text);

  // A non-blocking socket that has begun to connect. ErrnoStatus() when it cannot.
  Result<int> StartConnecting() const;
};

}  // namespace entrepot::bench
