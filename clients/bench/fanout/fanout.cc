// bench-fanout: many readers of a feed, which count the events that reach them.
//
//    --kind sub     ZMTP SUB sockets that subscribe to everything (a bare PUB, or Entrepôt's)
//    --kind watch   watches at the request endpoint of Entrepôt
//    --kind redis   SUBSCRIBE of the channel "feed"
//
// All readers are sockets of one thread, so that the counting costs little beside the sending. It
// speaks just as much of each protocol as that takes, to servers that it trusts.
#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/coding.h"
#include "base/status.h"
#include "bench/wire/zmtp.h"

namespace {

using entrepot::LoadBig;
using entrepot::bench::Frame;
using entrepot::bench::FrameState;
using entrepot::bench::kFrameCommand;
using entrepot::bench::kFrameMore;
using entrepot::bench::MakeZmtpGreeting;
using entrepot::bench::ParseFrame;
using entrepot::bench::ParseZmtpGreeting;

constexpr size_t kReadBytes = size_t{256} << 10;

std::string ShortFrame(uint8_t flags, std::string_view content) {
  return std::string{static_cast<char>(flags), static_cast<char>(content.size())} +
         std::string(content);
}

class Reader {
 public:
  explicit Reader(int socket) : socket_(socket) {}
  virtual ~Reader() { close(socket_); }
  int socket() const { return socket_; }

  // Reads what is there; returns how many events that were.
  uint64_t Read(char* buffer) {
    const ssize_t got = read(socket_, buffer, kReadBytes);
    if (got < 0 && errno == EAGAIN) return 0;
    CHECK(got > 0);
    rest_.append(buffer, static_cast<size_t>(got));
    std::string_view view = rest_;
    uint64_t events = 0;
    while (const size_t taken = Take(view, &events)) view.remove_prefix(taken);
    rest_.erase(0, rest_.size() - view.size());
    return events;
  }

 protected:
  // Bytes of the first item of `view`, 0 if it is not whole; adds the events in it.
  virtual size_t Take(std::string_view view, uint64_t* events) = 0;

 private:
  const int socket_;
  std::string rest_;
};

class ZmtpReader : public Reader {
 public:
  using Reader::Reader;

 protected:
  size_t Take(std::string_view view, uint64_t* events) override {
    Frame frame;
    const FrameState state = ParseFrame(view, &frame);
    CHECK(state != FrameState::kBroken);
    if (state == FrameState::kPartial) return 0;
    if ((frame.flags & (kFrameMore | kFrameCommand)) == 0) *events += EventsOf(frame.body);
    return frame.bytes;
  }
  virtual uint64_t EventsOf(std::string_view) const { return 1; }
};

class WatchReader final : public ZmtpReader {
 public:
  using ZmtpReader::ZmtpReader;

 protected:
  // [2, "events", [id, [event…], status]]: what stands in front of the count is an id of msgpack.
  uint64_t EventsOf(std::string_view body) const override {
    constexpr std::string_view kHead =
        "\x93\x02\xa6"
        "events\x93";
    if (!body.starts_with(kHead)) return 0;
    const char* at = body.data() + kHead.size();
    const auto id = static_cast<uint8_t>(*at);
    at += id == 0xcc ? 2 : id == 0xcd ? 3 : id == 0xce ? 5 : 1;
    const auto array = static_cast<uint8_t>(*at);
    if (array == 0xdc) return LoadBig<uint16_t>(at + 1);
    if (array == 0xdd) return LoadBig<uint32_t>(at + 1);
    return array & 0x0f;
  }
};

// All messages of a channel are of one length here; the first tells it.
class RedisReader final : public Reader {
 public:
  using Reader::Reader;

 protected:
  size_t Take(std::string_view view, uint64_t* events) override {
    if (length_ == 0 || !subscribed_) {
      const size_t next = view.find("*3\r\n", 1);
      if (next == view.npos) return 0;
      if (subscribed_) length_ = next;
      *events += subscribed_ ? 1 : 0;
      subscribed_ = true;
      return next;
    }
    if (view.size() < length_) return 0;
    ++*events;
    return length_;
  }

 private:
  bool subscribed_ = false;
  size_t length_ = 0;
};

int Connect(int port) {
  const int socket_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  CHECK(socket_fd >= 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  CHECK(connect(socket_fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  return socket_fd;
}

void Write(int socket_fd, std::string_view bytes) {
  CHECK(write(socket_fd, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
}

// Returns when the peer is ready: libzmq takes nothing else before it has answered READY.
void ShakeHands(int socket_fd, std::string_view socket_type) {
  Write(socket_fd, MakeZmtpGreeting(socket_type));
  std::string got;
  for (char byte; read(socket_fd, &byte, 1) == 1;) {
    got.push_back(byte);
    const entrepot::Result<std::optional<size_t>> greeting = ParseZmtpGreeting(got);
    CHECK(greeting.ok());
    if (greeting->has_value()) return;
  }
  CHECK(!"the peer has gone");
}

std::unique_ptr<Reader> Open(const std::string& kind, int port) {
  const int socket_fd = Connect(port);
  std::unique_ptr<Reader> reader;
  std::string first;
  if (kind == "redis") {
    reader = std::make_unique<RedisReader>(socket_fd);
    first = "*2\r\n$9\r\nSUBSCRIBE\r\n$4\r\nfeed\r\n";
  } else if (kind == "sub") {
    reader = std::make_unique<ZmtpReader>(socket_fd);
    ShakeHands(socket_fd, "SUB");
    first = ShortFrame(kFrameCommand, "\x09SUBSCRIBE");
  } else {
    reader = std::make_unique<WatchReader>(socket_fd);
    ShakeHands(socket_fd, "DEALER");
    first = ShortFrame(0, std::string("\x94\x00\x01\xa5watch\x90", 10));
  }
  Write(socket_fd, first);
  CHECK(fcntl(socket_fd, F_SETFL, O_NONBLOCK) == 0);
  return reader;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Counts the events that reach many readers of a feed.");
  std::string kind = "sub";
  int port = 0, readers = 1;
  double warm_up_seconds = 1, seconds = 3;
  app.add_option("--kind", kind)->check(CLI::IsMember({"sub", "watch", "redis"}));
  app.add_option("--port", port, "At 127.0.0.1.")->required();
  app.add_option("--readers", readers);
  app.add_option("--warm-up-seconds", warm_up_seconds, "Until counting begins.");
  app.add_option("--seconds", seconds, "Of counting.");
  CLI11_PARSE(app, argc, argv);

  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  std::vector<std::unique_ptr<Reader>> all;
  for (int i = 0; i < readers; ++i) {
    all.push_back(Open(kind, port));
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = all.back().get();
    CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, all.back()->socket(), &event) == 0);
  }
  const std::unique_ptr<char[]> buffer(new char[kReadBytes]);
  const int64_t begin_us =
      entrepot::MonotonicMicros() + static_cast<int64_t>(warm_up_seconds * 1e6);
  const int64_t end_us = begin_us + static_cast<int64_t>(seconds * 1e6);
  uint64_t events = 0;
  for (int64_t now_us = 0; now_us < end_us;) {
    std::array<epoll_event, 256> ready;
    const int count = epoll_wait(epoll, ready.data(), static_cast<int>(ready.size()), 10);
    now_us = entrepot::MonotonicMicros();
    for (int i = 0; i < count; ++i) {
      const uint64_t read = static_cast<Reader*>(ready[i].data.ptr)->Read(buffer.get());
      if (now_us >= begin_us) events += read;
    }
  }
  fmt::print("{{\"events\": {}, \"events_per_second\": {:.0f}}}\n", events,
             static_cast<double>(events) / seconds);
  return 0;
}
