// The driver of `--client libzmq`: what users of libzmq see, its two thread hops a message
// included.
//
// One DEALER socket a client, one context a thread. Work groups only: libzmq hides connections, so
// there is nothing to be idle, slow or reconnecting with.
//
// Thread safety: see driver.h.
#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <optional>
#include <utility>
#include <zmq.hpp>

#include "bench/run/driver.h"

namespace entrepot::bench {
namespace {

// Taken from one socket before the next one has its turn.
constexpr int kMessagesATurn = 64;
constexpr uint64_t kWaitMaxMs = 50;

class LibzmqDriver final : public Driver {
 public:
  LibzmqDriver(const RunPlan* plan, uint32_t thread) : Driver(plan, thread), context_(1) {
    for (size_t number = 0; number < plan->groups.size(); ++number) {
      Group group;
      group.number = number;
      for (uint32_t index = 0; index < ShareOf(plan->groups[number]); ++index) {
        peers_.push_back(std::make_unique<Peer>(MakeClient(number, index), number));
        group.peers.push_back(peers_.back().get());
      }
      groups_.push_back(std::move(group));
    }
  }

  Status Connect() override {
    try {
      // A socket that holds no file of its own would make this a limit of the context.
      context_.set(zmq::ctxopt::max_sockets, static_cast<int>(peers_.size()) + 1);
      for (const auto& peer : peers_) {
        peer->socket = zmq::socket_t(context_, zmq::socket_type::dealer);
        peer->socket.set(zmq::sockopt::linger, 0);
        peer->socket.set(zmq::sockopt::sndhwm, 0);
        peer->socket.set(zmq::sockopt::rcvhwm, 0);
        peer->socket.connect(plan_->endpoint.zmq_text);
        items_.push_back({peer->socket.handle(), 0, ZMQ_POLLIN, 0});
      }
      return FirstRoundTrips();
    } catch (const zmq::error_t& error) {
      return Status(Code::kUnavailable, fmt::format("libzmq: {}", error.what()));
    }
  }

  Status Run(const Window& window) override {
    SetWindow(window);
    try {
      return RunLoop();
    } catch (const zmq::error_t& error) {
      return Status(Code::kUnavailable, fmt::format("libzmq: {}", error.what()));
    }
  }

 private:
  struct Peer {
    Peer(Client its_client, size_t its_group) : client(std::move(its_client)), group(its_group) {}
    Client client;
    size_t group;
    zmq::socket_t socket;
  };

  struct Group {
    size_t number = 0;
    std::vector<Peer*> peers;
    std::optional<Schedule> schedule;  // Open loop only.
    std::deque<Peer*> tokens;          // Open loop only: each free slot of each client.
    bool waits_for_token = false;      // A batch is due and no client is free.
  };

  // connect(2) by libzmq succeeds without a server: only an answer shows that there is one.
  Status FirstRoundTrips() {
    constexpr std::string_view kPing("\x94\x00\xce\x00\x00\x00\x00\xa4ping\x90", 13);
    for (const auto& peer : peers_) peer->socket.send(zmq::buffer(kPing));
    const uint64_t deadline_ns = NowNs() + plan_->connect_ns;
    for (const auto& peer : peers_) {
      zmq::message_t message;
      const uint64_t now_ns = NowNs();
      const uint64_t left_ms = now_ns < deadline_ns ? (deadline_ns - now_ns) / 1'000'000 : 0;
      peer->socket.set(zmq::sockopt::rcvtimeo, static_cast<int>(left_ms));
      if (!peer->socket.recv(message)) {
        return Status(Code::kUnavailable,
                      fmt::format("nothing answers at {}", plan_->endpoint.zmq_text));
      }
    }
    return Status();
  }

  Status RunLoop() {
    uint64_t now_ns = NowNs();
    Start(now_ns);
    while (true) {
      stopping_ = stopping_ || now_ns >= window_.to_ns;
      for (Group& group : groups_) {
        if (group.schedule) DispatchDue(&group, now_ns);
      }
      if (Over(now_ns)) break;
      zmq::poll(items_, std::chrono::milliseconds(WaitMs(now_ns)));
      for (size_t index = 0; index < items_.size(); ++index) {
        if ((items_[index].revents & ZMQ_POLLIN) == 0) continue;
        Status status = TakeReplies(peers_[index].get());
        if (!status.ok()) return status;
      }
      now_ns = NowNs();
      live_requests_.store(answered_, std::memory_order_relaxed);
    }
    GiveUp(now_ns);
    return Status();
  }

  void Start(uint64_t now_ns) {
    for (Group& group : groups_) {
      const GroupOptions& options = plan_->groups[group.number];
      if (options.rate > 0 && !group.peers.empty()) {
        group.schedule = MakeSchedule(group.number, window_.start_ns);
        for (uint32_t slot = 0; slot < options.outstanding; ++slot) {
          group.tokens.insert(group.tokens.end(), group.peers.begin(), group.peers.end());
        }
        continue;
      }
      for (Peer* const peer : group.peers) Refill(peer, now_ns);
    }
  }

  bool Over(uint64_t now_ns) const {
    if (window_.to_ns == UINT64_MAX) return open_ == 0;
    if (!stopping_) return false;
    if (now_ns >= window_.drain_ns) return true;
    for (const Group& group : groups_) {
      if (group.schedule && group.schedule->due_ns() < window_.to_ns) return false;
    }
    return open_ == 0;
  }

  uint64_t WaitMs(uint64_t now_ns) const {
    if (plan_->spin) return 0;
    uint64_t wait_ms = kWaitMaxMs;
    for (const Group& group : groups_) {
      if (!group.schedule || group.tokens.empty()) continue;
      const uint64_t due_ns = group.schedule->due_ns();
      // libzmq's timeout is in milliseconds: the last fraction of one is spent asking.
      wait_ms = std::min(wait_ms, due_ns > now_ns ? (due_ns - now_ns) / 1'000'000 : 0);
    }
    return wait_ms;
  }

  Status TakeReplies(Peer* peer) {
    Group& group = groups_[peer->group];
    for (int turn = 0; turn < kMessagesATurn; ++turn) {
      zmq::message_t message;
      if (!peer->socket.recv(message, zmq::recv_flags::dontwait)) break;
      const uint64_t now_ns = NowNs();
      const Result<size_t> taken = plan_->codec->Parse(message.to_string_view(), &peer->client);
      if (!taken.ok()) return taken.status();
      for (const uint32_t slot : peer->client.finished()) {
        const Batch& batch = peer->client.batch(slot);
        measurements_[peer->group].Finish(batch, now_ns);
        answered_ += batch.requests;
        --open_;
        if (group.schedule) group.tokens.push_back(peer);
      }
      peer->client.ClearFinished();
      if (!group.schedule) Refill(peer, now_ns);
    }
    return Status();
  }

  void DispatchDue(Group* group, uint64_t now_ns) {
    Schedule& schedule = *group->schedule;
    const bool was_free = !group->waits_for_token;
    while (schedule.due_ns() <= now_ns && schedule.due_ns() < window_.to_ns &&
           !group->tokens.empty()) {
      Peer* const peer = group->tokens.front();
      group->tokens.pop_front();
      StartBatch(peer, schedule.due_ns());
      if (was_free) measurements_[group->number].NoteLate(schedule.due_ns(), now_ns);
      schedule.Advance();
    }
    group->waits_for_token = group->tokens.empty() && schedule.due_ns() <= now_ns;
  }

  void Refill(Peer* peer, uint64_t now_ns) {
    while (!stopping_ && peer->client.has_room() && StartBatch(peer, now_ns)) {
    }
  }

  bool StartBatch(Peer* peer, uint64_t started_ns) {
    out_.Clear();
    if (!peer->client.StartBatch(started_ns, &scratch_, &out_)) return false;
    peer->socket.send(zmq::buffer(out_.view()));
    ++open_;
    return true;
  }

  void GiveUp(uint64_t now_ns) {
    for (const auto& peer : peers_) {
      peer->client.ForEachOpen([&](const Batch& batch) {
        measurements_[peer->group].GiveUp(batch.started_ns, batch.requests, now_ns);
      });
    }
    for (Group& group : groups_) {
      if (group.schedule) GiveUpDue(group.number, &*group.schedule, now_ns);
    }
  }

  zmq::context_t context_;
  std::vector<std::unique_ptr<Peer>> peers_;
  std::vector<zmq::pollitem_t> items_;  // One a peer, in the same order.
  std::vector<Group> groups_;
  Buffer out_;
  bool stopping_ = false;
  uint64_t open_ = 0;
  uint64_t answered_ = 0;
};

}  // namespace

std::unique_ptr<Driver> MakeLibzmqDriver(const RunPlan* plan, uint32_t thread) {
  return std::make_unique<LibzmqDriver>(plan, thread);
}

}  // namespace entrepot::bench
