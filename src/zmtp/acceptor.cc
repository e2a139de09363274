#include "zmtp/acceptor.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace entrepot::zmtp {
namespace {

int NewSpare() { return eventfd(0, EFD_CLOEXEC); }

void SetTcpOptions(int socket) {
  const int one = 1;
  // Answers are gathered by the turn already. A peer that vanished is found by its silence.
  setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
  setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
}

}  // namespace

Acceptor::Acceptor(Common& common)
    : common_(common), stop_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), spare_(NewSpare()) {
  CHECK(stop_ >= 0);
}

Acceptor::~Acceptor() {
  Stop();
  close(stop_);
  if (spare_ >= 0) close(spare_);
}

Result<std::string> Acceptor::Listen(const std::string& endpoint, EndpointKind kind) {
  CHECK(!thread_.joinable());
  Result<Listener> listener = Listener::Open(endpoint, kind);
  if (!listener.ok()) return listener.status();
  listeners_.push_back(std::move(*listener));
  return listeners_.back().endpoint();
}

void Acceptor::Start() {
  CHECK(!thread_.joinable());
  thread_ = std::thread([this] { Run(); });
}

void Acceptor::Stop() {
  if (thread_.joinable()) {
    const uint64_t one = 1;
    CHECK(write(stop_, &one, sizeof(one)) == sizeof(one));
    thread_.join();
  }
  listeners_.clear();
}

void Acceptor::Run() {
  std::vector<pollfd> polled;
  polled.push_back({.fd = stop_, .events = POLLIN, .revents = 0});
  for (const Listener& listener : listeners_) {
    polled.push_back({.fd = listener.socket(), .events = POLLIN, .revents = 0});
  }
  for (;;) {
    const int count = poll(polled.data(), polled.size(), -1);
    CHECK(count >= 0 || errno == EINTR);
    if (count < 0) continue;
    if (polled[0].revents != 0) return;
    for (size_t i = 0; i < listeners_.size(); ++i) {
      if (polled[i + 1].revents != 0) AcceptSome(listeners_[i]);
    }
  }
}

void Acceptor::AcceptSome(const Listener& listener) {
  for (int i = 0; i < kAcceptBatch; ++i) {
    const int socket = accept4(listener.socket(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (socket >= 0) {
      Deal(socket, listener);
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
      return RefuseOne(listener);
    } else if (errno != EINTR && errno != ECONNABORTED) {
      return;  // None is left.
    }
  }
}

void Acceptor::Deal(int socket, const Listener& listener) {
  common_.shared.counters.Add(Event::kConnectionsAccepted);
  std::string address = PeerAddress(socket);
  if (const Event refused = common_.addresses.Add(address); refused != Event::kNone) {
    close(socket);
    common_.shared.counters.Add(Event::kConnectionsClosed);
    common_.refusals.Note(refused, address);
    return;
  }
  if (listener.is_tcp()) SetTcpOptions(socket);
  // The thread with the fewest, the next one in turn among equals.
  const auto& threads = common_.io_threads;
  size_t best = next_thread_++ % threads.size();
  for (size_t i = 0; i < threads.size(); ++i) {
    if (threads[i]->connections() < threads[best]->connections()) best = i;
  }
  threads[best]->inbox().Post(NewConnection{socket, listener.kind(), std::move(address)});
}

void Acceptor::RefuseOne(const Listener& listener) {
  if (spare_ >= 0) close(spare_);
  const int socket = accept4(listener.socket(), nullptr, nullptr, SOCK_CLOEXEC);
  const std::string address = socket >= 0 ? PeerAddress(socket) : "unknown";
  if (socket >= 0) close(socket);
  spare_ = NewSpare();
  common_.refusals.Note(Event::kDescriptors, address);
}

}  // namespace entrepot::zmtp
