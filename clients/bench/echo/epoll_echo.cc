// bench-epoll-echo: ZMTP 3.1 on a bare epoll loop that sends each message back: the least that a
// server of our own transport can cost.
//
// One thread, one read and one write a connection and turn. It stops reading a peer that does not
// read, and has no other bounds: it is a yardstick, not a server.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <string>
#include <unordered_map>

#include "bench/echo/program.h"
#include "bench/wire/buffer.h"
#include "bench/wire/zmtp.h"

namespace entrepot::bench {
namespace {

constexpr int kEventsMax = 512;
constexpr int kBacklog = 4096;
constexpr size_t kReadBytes = 256 * 1024;
constexpr size_t kOutputMax = 1024 * 1024;  // Waiting for one peer; then it is not read.

struct Peer {
  explicit Peer(int its_fd) : fd(its_fd) {}
  ~Peer() { close(fd); }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  const int fd;
  bool greeted = false;
  uint32_t interest = EPOLLIN;
  std::string leftover;
  Buffer out;
};

class EchoServer {
 public:
  EchoServer() : epoll_(epoll_create1(EPOLL_CLOEXEC)), input_(kReadBytes, '\0') {
    CHECK(epoll_ >= 0);
  }

  Result<int> Listen(const EchoFlags& flags) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(flags.port));
    if (inet_pton(AF_INET, flags.host.c_str(), &address.sin_addr) != 1) {
      return Status(Code::kInvalidArgument, fmt::format("'{}' is no IPv4 address", flags.host));
    }
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int on = 1;
    socklen_t size = sizeof address;
    if (listener_ < 0 || setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        listen(listener_, kBacklog) != 0 ||
        getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
      return ErrnoStatus(fmt::format("cannot listen on {}:{}", flags.host, flags.port), errno);
    }
    Watch(listener_, EPOLLIN, EPOLL_CTL_ADD);
    return ntohs(address.sin_port);
  }

  // Until `stop` can be read.
  void Serve(int stop) {
    Watch(stop, EPOLLIN, EPOLL_CTL_ADD);
    std::array<epoll_event, kEventsMax> events;
    while (true) {
      const int count = epoll_wait(epoll_, events.data(), kEventsMax, -1);
      CHECK(count >= 0 || errno == EINTR);
      for (int index = 0; index < count; ++index) {
        const int fd = events[index].data.fd;
        if (fd == stop) return;
        if (fd == listener_) {
          Accept();
          continue;
        }
        Peer* const peer = peers_.at(fd).get();
        if (!HandleEvent(peer, events[index].events)) peers_.erase(fd);
      }
    }
  }

 private:
  void Watch(int fd, uint32_t interest, int operation) {
    epoll_event event{};
    event.events = interest;
    event.data.fd = fd;
    CHECK(epoll_ctl(epoll_, operation, fd, &event) == 0);
  }

  void Accept() {
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;  // Gone again, or out of descriptors: the next event tries anew.
    auto peer = std::make_unique<Peer>(fd);
    const int on = 1;
    CHECK(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0);
    peer->out.Append(MakeZmtpGreeting("ROUTER"));
    Watch(fd, EPOLLIN, EPOLL_CTL_ADD);
    if (Flush(peer.get())) peers_.emplace(fd, std::move(peer));
  }

  // False when the connection is over.
  bool HandleEvent(Peer* peer, uint32_t events) {
    if ((events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0 && !Read(peer)) return false;
    return Flush(peer);
  }

  bool Read(Peer* peer) {
    const size_t old = peer->leftover.size();
    if (input_.size() < old + kReadBytes) input_.resize(old + kReadBytes);
    std::memcpy(input_.data(), peer->leftover.data(), old);
    const ssize_t read = recv(peer->fd, input_.data() + old, kReadBytes, 0);
    if (read < 0) return errno == EAGAIN || errno == EINTR;
    if (read == 0) return false;
    std::string_view bytes(input_.data(), old + static_cast<size_t>(read));
    if (!peer->greeted) {
      const Result<std::optional<size_t>> taken = ParseZmtpGreeting(bytes);
      if (!taken.ok()) return false;
      peer->greeted = taken->has_value();
      bytes.remove_prefix(taken->value_or(0));
    }
    if (peer->greeted && !Echo(peer, &bytes)) return false;
    peer->leftover.assign(bytes);
    return true;
  }

  // Takes the whole frames from the front of `bytes`.
  static bool Echo(Peer* peer, std::string_view* bytes) {
    Frame frame;
    FrameState state;
    while ((state = ParseFrame(*bytes, &frame)) == FrameState::kWhole) {
      if ((frame.flags & kFrameCommand) == 0) {
        peer->out.Append(bytes->substr(0, frame.bytes));
      } else if (const std::optional<std::string> pong = AnswerPing(frame.body)) {
        peer->out.Append(*pong);
      }
      bytes->remove_prefix(frame.bytes);
    }
    return state == FrameState::kPartial;
  }

  bool Flush(Peer* peer) {
    if (!peer->out.empty()) {
      const ssize_t sent = send(peer->fd, peer->out.data(), peer->out.size(), MSG_NOSIGNAL);
      if (sent < 0 && errno != EAGAIN && errno != EINTR) return false;
      if (sent > 0) peer->out.RemovePrefix(static_cast<size_t>(sent));
    }
    const uint32_t interest =
        (peer->out.size() < kOutputMax ? EPOLLIN : 0u) | (peer->out.empty() ? 0u : EPOLLOUT);
    if (interest != peer->interest) Watch(peer->fd, interest, EPOLL_CTL_MOD);
    peer->interest = interest;
    return true;
  }

  int epoll_;
  int listener_ = -1;
  std::string input_;
  std::unordered_map<int, std::unique_ptr<Peer>> peers_;
};

int Main(const EchoFlags& flags) {
  rlimit limit;
  CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
  limit.rlim_cur = limit.rlim_max;
  CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
  const int stop = MakeStopDescriptor();
  EchoServer server;
  const Result<int> port = server.Listen(flags);
  const Status status = port.ok() ? WritePortsFile(flags, *port) : port.status();
  if (!status.ok()) {
    fmt::print(stderr, "bench-epoll-echo: {}\n", status.message());
    return 1;
  }
  server.Serve(stop);
  return 0;
}

}  // namespace
}  // namespace entrepot::bench

int main(int argc, char** argv) {
  return entrepot::bench::Main(entrepot::bench::ParseEchoFlags(
      argc, argv, "bench-epoll-echo", "A bare epoll loop that sends each ZMTP message back."));
}
