// A running ZMTP server that echoes, and raw sockets that say to it whatever a test wants.
//
// Everything waits by asking, with one deadline; a test that has to wait longer than that fails.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "unit/zmtp_bytes.h"
#include "zmtp/server.h"

namespace entrepot::zmtp {

inline constexpr std::chrono::seconds kPatience{20};

// Asks until `condition` holds; false when patience ends.
inline bool Eventually(const std::function<bool()>& condition) {
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

class EchoServer final : public Handler {
 public:
  explicit EchoServer(ServerOptions options = {}) : server(options, *this) {
    const auto requests = server.Listen("tcp://127.0.0.1:0", EndpointKind::kRequests);
    const auto feed = server.Listen("tcp://127.0.0.1:0", EndpointKind::kFeed);
    CHECK(requests.ok() && feed.ok());
    requests_endpoint = *requests;
    feed_endpoint = *feed;
  }
  ~EchoServer() override { server.Stop(); }

  // What to do with messages instead of echoing; set before Start().
  std::function<void(std::span<const Message>)> on_messages;

  void Start() { ASSERT_TRUE(server.Start().ok()); }

  uint64_t Count(Event event) const { return server.counters().Get(event); }
  void ExpectCount(Event event, uint64_t count) const {
    EXPECT_TRUE(Eventually([&] { return Count(event) >= count; })) << EventName(event);
    EXPECT_EQ(Count(event), count) << EventName(event);
  }
  std::vector<ConnectionHandle> Opened() {
    std::lock_guard lock(mutex_);
    return opened_;
  }
  std::vector<std::pair<ConnectionHandle, Event>> Closed() {
    std::lock_guard lock(mutex_);
    return closed_;
  }

  // Handler.
  void OnMessages(uint32_t, std::span<const Message> messages) override {
    if (on_messages) return on_messages(messages);
    for (const Message& message : messages) Echo(message);
  }
  void OnOpened(ConnectionHandle connection, EndpointKind, std::string_view address) override {
    std::lock_guard lock(mutex_);
    EXPECT_TRUE(address == "127.0.0.1" || address == "ipc") << address;
    opened_.push_back(connection);
  }
  void OnClosed(ConnectionHandle connection, Event reason) override {
    std::lock_guard lock(mutex_);
    closed_.emplace_back(connection, reason);
  }
  void OnRefused(Event, std::string_view, uint64_t) override { ++refusals_told; }

  SendResult Echo(const Message& message) {
    const Piece body{message.body};
    return server.Send(message.connection, message.envelope, {&body, 1});
  }

  Server server;
  std::string requests_endpoint;
  std::string feed_endpoint;
  std::atomic<int> refusals_told{0};

 private:
  std::mutex mutex_;
  std::vector<ConnectionHandle> opened_;
  std::vector<std::pair<ConnectionHandle, Event>> closed_;
};

// A TCP connection to an endpoint of the form tcp://127.0.0.1:PORT.
class RawPeer {
 public:
  explicit RawPeer(const std::string& endpoint, int receive_buffer = 0)
      : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    CHECK(socket_ >= 0);
    if (receive_buffer != 0) {
      setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer));
    }
    const timeval patience{kPatience.count(), 0};
    setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port =
        htons(static_cast<uint16_t>(std::stoi(endpoint.substr(endpoint.rfind(':') + 1))));
    CHECK(connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  }
  ~RawPeer() { Hangup(); }
  RawPeer(const RawPeer&) = delete;
  RawPeer& operator=(const RawPeer&) = delete;

  // False when the server has closed the connection.
  bool Say(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  }

  // Exactly `size` bytes; fewer when the connection ends before.
  std::string Hear(size_t size) {
    std::string bytes(size, '\0');
    size_t have = 0;
    while (have < size) {
      const ssize_t received = recv(socket_, bytes.data() + have, size - have, 0);
      if (received <= 0) break;
      have += static_cast<size_t>(received);
    }
    bytes.resize(have);
    return bytes;
  }

  // Everything until the server ends the connection. Fails the test when it does not.
  std::string HearOut() {
    std::string all;
    char buffer[65536];
    for (;;) {
      const ssize_t received = recv(socket_, buffer, sizeof(buffer), 0);
      if (received > 0) {
        all.append(buffer, static_cast<size_t>(received));
        continue;
      }
      const bool is_closed = received == 0 || errno == ECONNRESET;
      EXPECT_TRUE(is_closed) << "the server did not end the connection";
      return all;
    }
  }

  // Greeting and READY, both ways.
  void Introduce(std::string_view socket_type = "DEALER") {
    ASSERT_TRUE(Say(Introduction(socket_type)));
    ASSERT_EQ(Hear(kGreetingBytes), Greeting());
    const std::string header = Hear(kShortHeaderBytes);
    ASSERT_EQ(header.size(), kShortHeaderBytes);
    const std::string ready = Hear(static_cast<unsigned char>(header[1]));
    ASSERT_EQ(ready.substr(1, 5), "READY");
  }

  void ExpectEcho(std::string_view body) {
    const std::string frame = Frame(0, body);
    ASSERT_TRUE(Say(frame));
    ASSERT_EQ(Hear(frame.size()), frame);
  }

  void FinishSending() { shutdown(socket_, SHUT_WR); }
  // Ends the connection with a reset, as a process that dies with unread input does.
  void Reset() {
    const linger now{1, 0};
    setsockopt(socket_, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    Hangup();
  }
  void Hangup() {
    if (socket_ >= 0) close(std::exchange(socket_, -1));
  }

 private:
  int socket_;
};

}  // namespace entrepot::zmtp
