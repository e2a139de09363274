#include "feed_socket.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <zmq.hpp>

namespace entrepot {
namespace {

// Messages that wait for their reader; libzmq drops what is over it, which the chain shows.
constexpr int kMessagesMax = 10'000;
constexpr int kNoReconnection = -1;
constexpr std::chrono::hours kWaitMax{1};

}  // namespace

Result<std::unique_ptr<FeedSocket>> FeedSocket::Open(const std::string& endpoint,
                                                     const std::string& key_prefix) {
  std::unique_ptr<FeedSocket> feed(new FeedSocket);
  try {
    feed->socket_ = zmq::socket_t(feed->context_, zmq::socket_type::sub);
    feed->socket_.set(zmq::sockopt::linger, 0);
    feed->socket_.set(zmq::sockopt::rcvhwm, kMessagesMax);
    feed->socket_.set(zmq::sockopt::reconnect_ivl, kNoReconnection);
    feed->socket_.set(zmq::sockopt::subscribe, key_prefix);
    feed->socket_.set(zmq::sockopt::subscribe, kHeartbeatKey);
    feed->socket_.connect(endpoint);
  } catch (const zmq::error_t& error) {
    const bool no_socket = error.num() == EMFILE || error.num() == ENFILE;
    return Status(no_socket ? StatusCode::kUnreachable : StatusCode::kInvalidArgument,
                  "cannot subscribe at " + endpoint + ": " + error.what());
  }
  return feed;
}

std::optional<FeedSocket::Message> FeedSocket::Receive() {
  zmq::message_t key;
  zmq::message_t body;
  if (!socket_.recv(key, zmq::recv_flags::dontwait)) return std::nullopt;
  bool more = key.more();
  while (more) {
    // All frames of a message arrive together.
    if (!socket_.recv(body)) return std::nullopt;
    more = body.more();
  }
  return Message{key.to_string(), body.to_string()};
}

void FeedSocket::Wait(int wake_descriptor, TimePoint until) {
  const auto left = std::min<Clock::duration>(until - Clock::now(), kWaitMax);
  const auto left_ms = std::chrono::ceil<milliseconds>(left).count();
  zmq_pollitem_t items[] = {{socket_.handle(), 0, ZMQ_POLLIN, 0},
                            {nullptr, wake_descriptor, ZMQ_POLLIN, 0}};
  // An interrupted or failed poll is a turn with nothing new: who waits asks again.
  zmq_poll(items, 2, std::max<long>(0, left_ms));
}

}  // namespace entrepot
