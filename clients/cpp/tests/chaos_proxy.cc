#include "chaos_proxy.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>

namespace entrepot::testing {
namespace {

constexpr size_t kGreetingBytes = 64;
constexpr unsigned char kFlagLong = 2;
constexpr unsigned char kFlagCommand = 4;
constexpr std::chrono::milliseconds kDelay{20};
// How soon a wish (stop, cut, stall) is noticed.
constexpr int kPollMs = 5;

sockaddr_in Loopback(int port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

bool SendAll(int socket, const char* bytes, size_t size) {
  while (size > 0) {
    const ssize_t sent = send(socket, bytes, size, MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes += sent;
    size -= sent;
  }
  return true;
}

}  // namespace

ChaosProxy::ChaosProxy(const std::string& target, Fates fates, uint32_t seed)
    : fates_(fates), random_(seed) {
  target_port_ = std::stoi(target.substr(target.rfind(':') + 1));
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof address;
  EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(listen(listener_, 64), 0);
  EXPECT_EQ(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
  endpoint_ = "tcp://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  acceptor_ = std::thread([this] { Accept(); });
}

ChaosProxy::~ChaosProxy() {
  stopping_.store(true);
  acceptor_.join();
  for (std::thread& couple : couples_) couple.join();
  close(listener_);
}

void ChaosProxy::Accept() {
  while (!stopping_.load()) {
    pollfd waiting = {listener_, POLLIN, 0};
    if (poll(&waiting, 1, kPollMs) <= 0) continue;
    const int near = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (near >= 0) couples_.emplace_back([this, near] { Couple(near); });
  }
}

void ChaosProxy::Couple(int near) {
  const int cuts = cuts_.load();
  const int far = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = Loopback(target_port_);
  bool open = connect(far, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  const int no_delay = 1;
  setsockopt(near, IPPROTO_TCP, TCP_NODELAY, &no_delay, sizeof no_delay);
  setsockopt(far, IPPROTO_TCP, TCP_NODELAY, &no_delay, sizeof no_delay);
  std::array<Way, 2> ways = {Way{near, far, {}}, Way{far, near, {}}};
  while (open && !stopping_.load() && cuts_.load() == cuts) {
    std::array<pollfd, 2> waiting = {pollfd{near, POLLIN, 0}, pollfd{far, POLLIN, 0}};
    const bool stalled = stalled_.load();
    if (poll(waiting.data(), stalled ? 0 : waiting.size(), kPollMs) <= 0) continue;
    if (stalled_.load()) continue;  // Since the poll began.
    for (size_t i = 0; i < ways.size() && open; ++i) {
      if (waiting[i].revents != 0) open = PassOn(&ways[i]);
    }
  }
  close(near);
  close(far);
}

bool ChaosProxy::PassOn(Way* way) {
  std::array<char, 65'536> block;
  const ssize_t taken = recv(way->from, block.data(), block.size(), 0);
  if (taken <= 0) return false;
  way->bytes.append(block.data(), taken);
  if (!way->greeted) {
    // In the pieces in which it comes: a peer sends the rest when it has seen the beginning.
    static_assert(kGreetingBytes < 256);
    const size_t sent_before = way->bytes.size() - taken;
    const size_t now = std::min<size_t>(way->bytes.size(), kGreetingBytes) - sent_before;
    if (!SendAll(way->to, way->bytes.data() + sent_before, now)) return false;
    if (way->bytes.size() < kGreetingBytes) return true;
    way->bytes.erase(0, kGreetingBytes);
    way->greeted = true;
  }
  while (way->bytes.size() >= 2) {
    const auto flags = static_cast<unsigned char>(way->bytes[0]);
    const size_t size_bytes = (flags & kFlagLong) != 0 ? 8 : 1;
    if (way->bytes.size() < 1 + size_bytes) return true;
    uint64_t size = 0;
    for (size_t i = 0; i < size_bytes; ++i) {
      size = size << 8 | static_cast<unsigned char>(way->bytes[1 + i]);
    }
    const size_t whole = 1 + size_bytes + size;
    if (way->bytes.size() < whole) return true;
    if (!Deliver(way, whole, (flags & kFlagCommand) != 0)) return false;
    way->bytes.erase(0, whole);
  }
  return true;
}

bool ChaosProxy::Deliver(Way* way, size_t size, bool command) {
  const Fate fate = command ? Fate::kPass : ChooseFate();
  if (fate != Fate::kPass) harmed_.fetch_add(1);
  switch (fate) {
    case Fate::kLose:
      return true;
    case Fate::kCut:
      return false;
    case Fate::kTwice:
      if (!SendAll(way->to, way->bytes.data(), size)) return false;
      break;
    case Fate::kDelay:
      std::this_thread::sleep_for(kDelay);
      break;
    case Fate::kPass:
      break;
  }
  return SendAll(way->to, way->bytes.data(), size);
}

ChaosProxy::Fate ChaosProxy::ChooseFate() {
  const std::lock_guard lock(mu_);
  int lot = static_cast<int>(random_() % 100);
  if ((lot -= fates_.lose) < 0) return Fate::kLose;
  if ((lot -= fates_.twice) < 0) return Fate::kTwice;
  if ((lot -= fates_.cut) < 0) return Fate::kCut;
  if ((lot -= fates_.delay) < 0) return Fate::kDelay;
  return Fate::kPass;
}

}  // namespace entrepot::testing
