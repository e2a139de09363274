// FeedSocket: one connection to a PUB endpoint, subscribed to a key prefix and to heartbeats.
//
// It does not reconnect: a connection that has ended is silent for ever, so that every one that
// follows is known to be another one, whose messages do not continue these.
//
// Thread safety: none.

#pragma once

#include <memory>
#include <optional>
#include <string>
#include <zmq.hpp>

#include "client_clock.h"
#include "entrepot/result.h"

namespace entrepot {

inline constexpr const char* kHeartbeatKey = "$heartbeat";

class FeedSocket {
 public:
  struct Message {
    std::string key;
    std::string body;
  };

  // Begins to connect. `invalid_argument` for an endpoint that libzmq does not take, `unreachable`
  // where the system has no socket left.
  static Result<std::unique_ptr<FeedSocket>> Open(const std::string& endpoint,
                                                  const std::string& key_prefix);

  // The next message that has arrived.
  std::optional<Message> Receive();

  // Waits until a message has arrived or `wake_descriptor` is readable, `until` at the longest.
  void Wait(int wake_descriptor, TimePoint until);

 private:
  FeedSocket() = default;

  zmq::context_t context_;
  zmq::socket_t socket_;
};

}  // namespace entrepot
