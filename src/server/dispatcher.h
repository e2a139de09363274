// The dispatcher: which thread runs a request, in which order, and when its reply leaves.
//
//    transport ──batch──▶ Lane ──short──▶ run here ─────────────┐
//                           └──long──▶ strand of the peer ──▶ workers ──▶ gate ──▶ transport
//
// A request that takes less than about 20 microseconds runs on the thread that received it, since
// to hand it over costs more than the work. The rest, or with DispatchMode::kWorkers all of it,
// goes to the workers, by way of the peer's strand: the queue of its bodies, of which one runs at a
// time, so that requests of one peer take effect in the order in which it sent them. A strand
// exists only while something of its peer waits or runs.
//
// The batch is the unit: a lane decodes requests of many messages, has the processor fetch what
// they will look at, and runs them; see Lane::Handle().
//
// A reply whose Gate has not passed is parked; the committer's progress releases it. Nobody waits.
//
// Thread safety: any thread. Lanes belong to the transport's threads.
//
// Invariants:
//  1. While a peer has a strand, what comes from it goes there.
//  2. A reply leaves once, and not before its Gate has passed.
#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <queue>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/mutex.h"
#include "engine/engine.h"
#include "protocol/decoder.h"
#include "server/commands.h"
#include "server/transport.h"

namespace entrepot {

class Dispatcher final : public MessageHandler {
 public:
  struct Options {
    bool inline_allowed = true;  // Short requests run where they were received.
    uint32_t workers = 2;
  };

  // All outlive the dispatcher. SetTransport() comes before the first message.
  Dispatcher(const Options& options, Engine* engine, Commands* commands, Metrics* metrics);
  ~Dispatcher();

  // Also has the feed begin.
  void SetTransport(Transport* transport);
  std::unique_ptr<Lane> NewLane() override;
  void OnPeerGone(uint64_t connection) override { commands_->feed().OnPeerGone(connection); }
  void OnSubscriber() override { commands_->feed().OnSubscriber(); }

  // For Engine's progress: releases what was parked, or, when the log has failed, answers it
  // outcome_unknown.
  void OnProgress();

  // Has those run again that wait for a snapshot.
  void WakeWaiting();

  // Returns when all that was handed over has been answered, or after `timeout_ms`: then false.
  bool Drain(int64_t timeout_ms);

  struct Gauges {
    uint64_t strands = 0;
    uint64_t waiting_bytes = 0;  // Of bodies for the workers.
    uint64_t parked = 0;         // Replies.
  };
  Gauges gauges() const;

 private:
  class InlineLane;

  // A body on its way: what is left of it, and what has come of it so far.
  struct Body {
    // From here on it reads `bytes`, which are the holder's.
    void Begin(std::string_view bytes, size_t nesting) {
      decoder = Decoder(bytes, nesting);
      end = bytes.data() + bytes.size();
      requests = 0;
      walk = {};
      feed_work = {};
      reply.Clear();
      gate = {};
    }

    Decoder decoder{{}, 0};
    const char* end = nullptr;
    size_t requests = 0;  // That have run.
    CountWalk walk;
    FeedWork feed_work;
    Reply reply;
    Gate gate;
  };

  // A body that waits for a worker: all that belongs to it.
  struct Job {
    uint64_t connection;
    uint64_t peer;
    std::string address;
    std::string bytes;
    int64_t arrived_us;
    std::unique_ptr<Body> body;  // Reads `bytes`.
  };

  struct Parked {
    Gate gate;
    Outbound reply;
    int64_t arrived_us;
    std::vector<uint64_t> watches;  // To begin behind the reply.
  };
  using ParkedPointer = std::unique_ptr<Parked>;
  template <uint64_t Gate::*kRevision>
  struct Later {
    bool operator()(const ParkedPointer& left, const ParkedPointer& right) const {
      return left->gate.*kRevision > right->gate.*kRevision;
    }
  };
  template <uint64_t Gate::*kRevision>
  using ParkedQueue =
      std::priority_queue<ParkedPointer, std::vector<ParkedPointer>, Later<kRevision>>;

  enum class Stop : uint8_t {
    kNone,    // All that was read ahead has run.
    kEnd,     // And the body ends there.
    kSlice,   // A request has done a slice of its work and wants to go on later.
    kLong,    // A request is to run on a worker.
    kNoRoom,  // A request found the commit queue full.
    kWaits,   // A request waits for a snapshot.
  };

  // Decodes up to `count` requests of `body`, appends them to `ahead`, and has the processor fetch
  // where their keys are found.
  void ReadAhead(Body* body, size_t count, std::vector<Request>* ahead);
  // Has it fetch their slots, then their entries.
  void PrefetchEntries(std::span<const Request> ahead);
  // Runs the requests that were read ahead; after kSlice, kLong, kNoRoom and kWaits the decoder
  // stands before the one that is to go on.
  Stop Run(std::span<const Request> ahead, const Origin& origin, Code refused, bool long_allowed,
           CommandThread* thread, Body* body);

  // Hands what is left of `body`, which reads `bytes`, to the workers.
  void Enqueue(const Inbound& message, std::unique_ptr<Body> body, int64_t arrived_us);
  bool HasStrand(uint64_t peer);
  bool MayEnqueue(const Inbound& message);
  void Work();
  Stop RunSlice(Job* job, std::vector<Request>* ahead, CommandThread* thread);

  // Whether so many replies wait for the log that nothing more is to be run.
  bool TooManyParked() const { return parked_count_.load(std::memory_order_relaxed) >= kParkedMax; }
  // Puts a reply where it waits; gives it back when it need not.
  ParkedPointer ParkLocked(ParkedPointer parked) REQUIRES(parked_mu_);
  // Moves replies that `queue` need not hold any more to `released`, or on to their next queue.
  template <uint64_t Gate::*kRevision>
  void ReleaseLocked(ParkedQueue<kRevision>* queue, uint64_t reached,
                     std::vector<ParkedPointer>* released) REQUIRES(parked_mu_);
  // True: the reply may leave. Else it is parked.
  bool PassOrPark(const Gate& gate, Outbound* reply, int64_t arrived_us,
                  std::vector<uint64_t>* watches);
  // Has the feed answer what a body that has run is waiting for.
  void ParkInFeed(Body* body, Outbound reply, int64_t arrived_us);
  // Takes it back.
  void Deliver(std::unique_ptr<WaitingBody> body);

  // Constant after construction.
  const Options options_;
  Engine* const engine_;
  Commands* const commands_;
  Metrics* const metrics_;
  Transport* transport_ = nullptr;

  // Synchronise themselves.
  std::atomic<size_t> strand_count_{0};
  std::atomic<size_t> waiting_bytes_{0};
  std::atomic<size_t> parked_count_{0};
  mutable Mutex mu_;
  CondVar work_;
  CondVar idle_;
  mutable Mutex parked_mu_;

  // By peer: the bodies that wait, of which the first one may be running.
  std::unordered_map<uint64_t, std::deque<std::unique_ptr<Job>>> strands_ GUARDED_BY(mu_);
  std::deque<uint64_t> runnable_ GUARDED_BY(mu_);  // Peers whose first job may run.
  std::vector<uint64_t> starved_ GUARDED_BY(mu_);  // Peers whose first job found no room.
  std::vector<uint64_t> waiting_ GUARDED_BY(mu_);  // Peers whose first job waits for a snapshot.
  uint64_t wakes_ GUARDED_BY(mu_) = 0;             // Calls of WakeWaiting().
  bool stopping_ GUARDED_BY(mu_) = false;

  // Each reply stands in the queue of the first part of its gate that has not passed.
  ParkedQueue<&Gate::open> for_open_ GUARDED_BY(parked_mu_);
  ParkedQueue<&Gate::synced> for_synced_ GUARDED_BY(parked_mu_);
  ParkedQueue<&Gate::open_record> for_open_record_ GUARDED_BY(parked_mu_);
  ParkedQueue<&Gate::synced_record> for_synced_record_ GUARDED_BY(parked_mu_);

  std::vector<std::thread> workers_;
};

}  // namespace entrepot
