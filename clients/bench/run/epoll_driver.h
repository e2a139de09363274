// The driver with our own connections: one epoll, no copies of replies, one send a connection and
// turn.
//
// libzmq in the way would cost the tester two thread hops a message and more CPU than the server;
// `--client libzmq` shows what its users see.
//
// Thread safety: see driver.h.
//
// Invariants:
//  1. A work client's connection is kReady or its group's `failures` counts it.
//  2. In an open loop, tokens hold each free slot of each living client once: whoever takes one may
//     start a batch.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "bench/run/connection.h"
#include "bench/run/driver.h"
#include "bench/run/spin_meter.h"

namespace entrepot::bench {

class EpollDriver final : public Driver {
 public:
  EpollDriver(const RunPlan* plan, uint32_t thread);
  ~EpollDriver() override;

  Status Connect() override;
  Status Run(const Window& window) override;

 private:
  struct Group;

  struct Peer {
    Peer(const Endpoint* endpoint, Group* its_group, Client its_client)
        : connection(endpoint), group(its_group), client(std::move(its_client)) {}

    Connection connection;
    Group* group;
    Client client;
    uint32_t batches_left = 0;  // kReconnect: until the connection is closed.
    bool dirty = false;         // Has output of this turn and stands in dirty_.
  };

  struct Group {
    const GroupOptions* options;
    Measurement* measurement;
    size_t number;
    std::vector<std::unique_ptr<Peer>> peers;
    std::optional<Schedule> schedule;  // Open loop only.
    std::deque<Peer*> tokens;          // Open loop only.
    bool waits_for_token = false;      // A batch is due and no client is free.
  };

  // ---- connecting
  Status OpenPeer(Peer* peer);
  Status Greet(Peer* peer);

  // ---- the turn
  void Start(uint64_t now_ns);
  bool Over(uint64_t now_ns) const;
  uint64_t WaitNs(uint64_t now_ns) const;
  void HandleEvent(Peer* peer, uint32_t events);
  void HandleReplies(Peer* peer);
  void DispatchDue(Group* group, uint64_t now_ns);
  void Refill(Peer* peer, uint64_t now_ns);
  void PumpSlow(Group* group);
  void GiveUp(uint64_t now_ns);

  void FlushDirty();
  void FlushPeer(Peer* peer);
  void SetInterest(Peer* peer);
  void Reconnect(Peer* peer);
  void Fail(Peer* peer, const Status& status);

  int epoll_;
  std::vector<std::unique_ptr<Group>> groups_;
  InputBuffer input_;
  SpinMeter spin_meter_;
  std::vector<Peer*> dirty_;
  std::string greeting_;
  bool stopping_ = false;  // No new batches.
  uint64_t open_ = 0;      // Batches that wait for answers.
  uint64_t answered_ = 0;
  uint64_t next_pump_ns_ = 0;
};

}  // namespace entrepot::bench
