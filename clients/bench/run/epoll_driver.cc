#include "bench/run/epoll_driver.h"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <utility>

namespace entrepot::bench {
namespace {

constexpr int kEventsMax = 512;                // Taken from the kernel at once.
constexpr uint32_t kConnectingMax = 256;       // At once, so that no listen queue overflows.
constexpr uint64_t kWaitMaxNs = 50'000'000;    // The end of the run is seen this late.
constexpr uint64_t kPumpGapNs = 100'000'000;   // Between two looks at the slow clients.
constexpr size_t kSlowOutputMax = 256 * 1024;  // A slow client's output in one such gap.

// epoll_pwait2(2) counts in nanoseconds, which an open loop needs.
int WaitForEvents(int epoll, std::array<epoll_event, kEventsMax>* events, uint64_t timeout_ns) {
  const timespec timeout{static_cast<time_t>(timeout_ns / 1'000'000'000),
                         static_cast<long>(timeout_ns % 1'000'000'000)};
  const int count = epoll_pwait2(epoll, events->data(), kEventsMax, &timeout, nullptr);
  CHECK(count >= 0 || errno == EINTR);
  return std::max(count, 0);
}

}  // namespace

EpollDriver::EpollDriver(const RunPlan* plan, uint32_t thread)
    : Driver(plan, thread),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      greeting_(plan->codec->Greeting()) {
  CHECK(epoll_ >= 0);
  for (size_t number = 0; number < plan->groups.size(); ++number) {
    auto group = std::make_unique<Group>();
    group->options = &plan->groups[number];
    group->measurement = &measurements_[number];
    group->number = number;
    for (uint32_t index = 0; index < ShareOf(*group->options); ++index) {
      group->peers.push_back(
          std::make_unique<Peer>(&plan->endpoint, group.get(), MakeClient(number, index)));
    }
    groups_.push_back(std::move(group));
  }
}

EpollDriver::~EpollDriver() { close(epoll_); }

// ---- connecting

Status EpollDriver::OpenPeer(Peer* peer) {
  Status status = peer->connection.Open(greeting_);
  if (!status.ok()) return status;
  peer->batches_left = peer->group->options->batches_per_connection;
  epoll_event event{};
  event.events = EPOLLOUT;
  event.data.ptr = peer;
  peer->connection.interest = event.events;
  if (epoll_ctl(epoll_, EPOLL_CTL_ADD, peer->connection.fd(), &event) != 0) {
    return ErrnoStatus("cannot watch a socket", errno);
  }
  return Status();
}

// One step of the way to kReady, when the socket can be read or written.
Status EpollDriver::Greet(Peer* peer) {
  Connection& connection = peer->connection;
  if (connection.state() == Connection::State::kConnecting) {
    Status status = connection.FinishConnecting();
    if (!status.ok()) return status;
  }
  Status status = connection.Flush();
  if (!status.ok()) return status;
  if (greeting_.empty()) {
    connection.SetReady();
  } else {
    status = connection.Receive(&input_, [&](std::string_view bytes) -> Result<size_t> {
      Result<std::optional<size_t>> taken = plan_->codec->ParseGreeting(bytes);
      if (!taken.ok()) return taken.status();
      if (taken->has_value()) connection.SetReady();
      return taken->value_or(0);
    });
    if (!status.ok()) return status;
  }
  SetInterest(peer);
  return Status();
}

Status EpollDriver::Connect() {
  std::vector<Peer*> waiting;
  for (const auto& group : groups_) {
    for (const auto& peer : group->peers) waiting.push_back(peer.get());
  }
  const uint64_t deadline_ns = NowNs() + plan_->connect_ns;
  size_t opened = 0, ready = 0;
  std::array<epoll_event, kEventsMax> events;
  while (ready < waiting.size()) {
    while (opened < waiting.size() && opened - ready < kConnectingMax) {
      Status status = OpenPeer(waiting[opened++]);
      if (!status.ok()) return status;
    }
    if (NowNs() > deadline_ns) {
      return Status(Code::kUnavailable,
                    fmt::format("{} of {} clients of a thread did not get through to {} in time",
                                waiting.size() - ready, waiting.size(), plan_->endpoint.text));
    }
    const int count = WaitForEvents(epoll_, &events, kWaitMaxNs);
    for (int index = 0; index < count; ++index) {
      Peer* const peer = static_cast<Peer*>(events[index].data.ptr);
      if (peer->connection.ready()) continue;
      Status status = Greet(peer);
      if (!status.ok()) return status;
      if (peer->connection.ready()) ++ready;
    }
  }
  return Status();
}

// ---- the turn

Status EpollDriver::Run(const Window& window) {
  SetWindow(window);
  spin_meter_.SetWindow(window.from_ns, window.to_ns);
  std::array<epoll_event, kEventsMax> events;
  uint64_t now_ns = NowNs();
  Start(now_ns);
  while (true) {
    stopping_ = stopping_ || now_ns >= window_.to_ns;
    for (const auto& group : groups_) {
      if (group->schedule) DispatchDue(group.get(), now_ns);
      if (group->options->role == Role::kSlow && now_ns >= next_pump_ns_) PumpSlow(group.get());
    }
    if (now_ns >= next_pump_ns_) next_pump_ns_ = now_ns + kPumpGapNs;
    const bool nothing_sent = dirty_.empty();
    FlushDirty();
    if (Over(now_ns)) break;
    const int count = WaitForEvents(epoll_, &events, WaitNs(now_ns));
    for (int index = 0; index < count; ++index) {
      HandleEvent(static_cast<Peer*>(events[index].data.ptr), events[index].events);
    }
    now_ns = NowNs();
    if (plan_->spin) spin_meter_.Note(nothing_sent && count == 0, now_ns);
    live_requests_.store(answered_, std::memory_order_relaxed);
  }
  spun_ns_ = spin_meter_.spun_ns();
  GiveUp(now_ns);
  return Status();
}

void EpollDriver::Start(uint64_t now_ns) {
  for (const auto& group : groups_) {
    const Role role = group->options->role;
    if (role == Role::kIdle || role == Role::kSlow) continue;
    if (group->options->rate > 0) {
      if (group->peers.empty()) continue;
      group->schedule = MakeSchedule(group->number, window_.start_ns);
      for (uint32_t slot = 0; slot < group->options->outstanding; ++slot) {
        for (const auto& peer : group->peers) group->tokens.push_back(peer.get());
      }
      continue;
    }
    for (const auto& peer : group->peers) {
      Refill(peer.get(), now_ns);
      FlushPeer(peer.get());
    }
  }
}

// Whether nothing is left to do: all is answered, or it is not worth waiting any longer.
bool EpollDriver::Over(uint64_t now_ns) const {
  if (window_.to_ns == UINT64_MAX) return open_ == 0;
  if (!stopping_) return false;
  if (now_ns >= window_.drain_ns) return true;
  for (const auto& group : groups_) {
    if (group->schedule && group->schedule->due_ns() < window_.to_ns) return false;
  }
  return open_ == 0;
}

// How long to sleep when nothing happens.
uint64_t EpollDriver::WaitNs(uint64_t now_ns) const {
  if (plan_->spin) return 0;
  uint64_t wait_ns = kWaitMaxNs;
  for (const auto& group : groups_) {
    // Without a token the next batch waits for an answer, which is an event.
    if (!group->schedule || group->tokens.empty()) continue;
    const uint64_t due_ns = group->schedule->due_ns();
    if (due_ns < window_.to_ns) wait_ns = std::min(wait_ns, due_ns > now_ns ? due_ns - now_ns : 0);
  }
  return wait_ns;
}

void EpollDriver::HandleEvent(Peer* peer, uint32_t events) {
  Connection& connection = peer->connection;
  if (connection.state() == Connection::State::kClosed) return;
  if (!connection.ready()) {
    const Status status = Greet(peer);
    if (!status.ok()) return Fail(peer, status);
    if (!connection.ready()) return;
    if (peer->group->options->role == Role::kReconnect) {
      Refill(peer, NowNs());
      FlushPeer(peer);
    }
    return;
  }
  if (peer->group->options->role == Role::kSlow && (events & (EPOLLERR | EPOLLHUP)) != 0) {
    return Fail(peer, Status(Code::kUnavailable, "the server closed a slow client"));
  }
  if ((events & EPOLLOUT) != 0) {
    FlushPeer(peer);
    if (!connection.ready()) return;
  }
  if ((events & ~EPOLLOUT) != 0) HandleReplies(peer);
}

void EpollDriver::HandleReplies(Peer* peer) {
  Group* const group = peer->group;
  Client& client = peer->client;
  uint64_t now_ns = 0;
  const Status status = peer->connection.Receive(&input_, [&](std::string_view bytes) {
    now_ns = NowNs();
    return plan_->codec->Parse(bytes, &client);
  });
  if (status.ok() && now_ns == 0) return;  // There was nothing to read after all.
  for (const uint32_t slot : client.finished()) {
    const Batch& batch = client.batch(slot);
    group->measurement->Finish(batch, now_ns);
    answered_ += batch.requests;
    --open_;
    if (group->schedule) group->tokens.push_back(peer);
    if (peer->batches_left > 0) --peer->batches_left;
  }
  client.ClearFinished();
  if (!status.ok()) return Fail(peer, status);
  if (!client.control().empty()) {
    peer->connection.out().Append(client.control());
    client.control().clear();
  }
  if (group->options->role == Role::kReconnect && peer->batches_left == 0 && client.idle()) {
    return Reconnect(peer);
  }
  if (!group->schedule) Refill(peer, now_ns);
  FlushPeer(peer);
}

void EpollDriver::DispatchDue(Group* group, uint64_t now_ns) {
  Schedule& schedule = *group->schedule;
  const bool was_free = !group->waits_for_token;
  while (schedule.due_ns() <= now_ns && schedule.due_ns() < window_.to_ns &&
         !group->tokens.empty()) {
    Peer* const peer = group->tokens.front();
    group->tokens.pop_front();
    if (!peer->connection.ready()) continue;  // It has failed; its tokens go with it.
    peer->client.StartBatch(schedule.due_ns(), &scratch_, &peer->connection.out());
    if (was_free) group->measurement->NoteLate(schedule.due_ns(), now_ns);
    ++open_;
    schedule.Advance();
    if (!peer->dirty) dirty_.push_back(peer);
    peer->dirty = true;
  }
  group->waits_for_token = group->tokens.empty() && schedule.due_ns() <= now_ns;
}

// Closed loop: as many batches as the client may wait for.
void EpollDriver::Refill(Peer* peer, uint64_t now_ns) {
  const Role role = peer->group->options->role;
  if (stopping_ || role == Role::kIdle || role == Role::kSlow) return;
  if (role == Role::kReconnect && peer->batches_left <= peer->client.open_batches()) return;
  while (peer->client.has_room() &&
         peer->client.StartBatch(now_ns, &scratch_, &peer->connection.out())) {
    ++open_;
    if (role == Role::kReconnect && peer->batches_left <= peer->client.open_batches()) return;
  }
}

// Slow clients keep the server's output full: they send until the socket takes no more.
void EpollDriver::PumpSlow(Group* group) {
  const size_t read_bytes = group->options->slow_bytes_per_second * kPumpGapNs / 1'000'000'000;
  for (const auto& peer : group->peers) {
    Connection& connection = peer->connection;
    if (!connection.ready()) continue;
    if (read_bytes > 0) {
      const Status status = connection.Discard(&input_, read_bytes);
      if (!status.ok()) {
        Fail(peer.get(), status);
        continue;
      }
    }
    while (!stopping_ && connection.out().size() < kSlowOutputMax) {
      peer->client.EncodeUntracked(&scratch_, &connection.out());
    }
    FlushPeer(peer.get());
  }
}

void EpollDriver::FlushDirty() {
  for (Peer* const peer : dirty_) {
    peer->dirty = false;
    FlushPeer(peer);
  }
  dirty_.clear();
}

void EpollDriver::FlushPeer(Peer* peer) {
  if (!peer->connection.ready() || !peer->connection.wants_write()) return SetInterest(peer);
  const Status status = peer->connection.Flush();
  if (!status.ok()) return Fail(peer, status);
  SetInterest(peer);
}

void EpollDriver::SetInterest(Peer* peer) {
  Connection& connection = peer->connection;
  if (connection.state() == Connection::State::kClosed) return;
  const bool reads = !connection.ready() || peer->group->options->role != Role::kSlow;
  const uint32_t interest = (reads ? EPOLLIN : 0u) | (connection.wants_write() ? EPOLLOUT : 0u);
  if (interest == connection.interest) return;
  connection.interest = interest;
  epoll_event event{};
  event.events = interest;
  event.data.ptr = peer;
  CHECK(epoll_ctl(epoll_, EPOLL_CTL_MOD, connection.fd(), &event) == 0);
}

void EpollDriver::Reconnect(Peer* peer) {
  peer->connection.Close();
  if (stopping_) return;
  ++peer->group->measurement->reconnects;
  const Status status = OpenPeer(peer);
  if (!status.ok()) Fail(peer, status);
}

// The connection is lost: what it waited for counts as errors, the others go on.
void EpollDriver::Fail(Peer* peer, const Status& status) {
  Measurement& measurement = *peer->group->measurement;
  ++measurement.failures;
  findings_.CountError(status.message());
  peer->client.ForEachOpen([&](const Batch& batch) {
    measurement.errors += batch.requests;
    --open_;
  });
  peer->client.Abandon();
  peer->connection.Close();
}

void EpollDriver::GiveUp(uint64_t now_ns) {
  for (const auto& group : groups_) {
    for (const auto& peer : group->peers) {
      peer->client.ForEachOpen([&](const Batch& batch) {
        group->measurement->GiveUp(batch.started_ns, batch.requests, now_ns);
      });
    }
    if (group->schedule) GiveUpDue(group->number, &*group->schedule, now_ns);
  }
}

std::unique_ptr<Driver> MakeEpollDriver(const RunPlan* plan, uint32_t thread) {
  return std::make_unique<EpollDriver>(plan, thread);
}

}  // namespace entrepot::bench
