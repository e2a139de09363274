// The feed: serves watches and waiting calls of `changes`, each from where it stands.
//
//    committer ──progress──▶ Wake() ──▶ ring thread ──▶ transport
//                                          │  ▲ caught up
//                                   behind ▼  │
//                                       log thread
//
// The ring thread goes round all watchers and waiting calls and tells each what is new; it touches
// no file. Who has fallen off the ring is served by the log thread, kLogReadersMax at a time, until
// it has caught up or takes no more: so a slow watcher costs the others nothing. A connection that
// has kOutputBytesOfPeer waiting is told nothing more until it has taken them.
//
// While somebody subscribes to the PUB endpoint, the ring thread publishes what is new as well.
//
// Thread safety: any thread. Start() comes before the first request; Stop() before the transport
// and the engine end.
//
// Invariant: a watcher is told nothing before its Activate(), which follows the response.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/mutex.h"
#include "engine/engine.h"
#include "feed/publisher.h"
#include "feed/watch.h"
#include "server/transport.h"

namespace entrepot {

// Who sent a request.
struct Origin {
  uint64_t connection = 0;
  uint64_t peer = 0;
  std::string_view address;
};

// A call of `changes`, and the responses in front of it in its body.
struct Poll {
  uint32_t msgid;
  Reply before;
  ChangeReader reader;
  EventFilter filter;
  uint64_t limit;
  uint64_t must_see;  // It is not answered before changes up to here are in the ring.
  int64_t until_us;   // Then it is answered, also without an event.

  ByteBuffer events;
  uint32_t count = 0;
};

// A body whose reply waits for calls of `changes`.
struct WaitingBody {
  Gate gate;
  Outbound reply;  // With the responses behind the last call.
  int64_t arrived_us;
  std::vector<std::unique_ptr<Poll>> polls;
  std::vector<uint64_t> watches;  // To begin behind the reply.
  size_t answered = 0;
  Reply front;  // Responses up to the last call that was answered.

  // Memory of what waits in it.
  size_t Bytes() const;
  size_t counted_bytes = 0;
};

class Feed {
 public:
  // Takes a reply that waits for nothing but its gate.
  using Deliver = std::function<void(std::unique_ptr<WaitingBody>)>;

  explicit Feed(Engine* engine) : engine_(*engine), publisher_(&engine->committer().ring()) {}
  ~Feed() { Stop(); }

  void Start(Transport* transport, Deliver deliver);
  // Answers every waiting call with what there is, and ends the threads. Nothing is parked any
  // more.
  void Stop();

  // Somebody has come to the PUB endpoint.
  void OnSubscriber() { WakeRing(); }
  // There may be something new to tell.
  void Wake();

  // --- Watches -------------------------------------------------------------------------------

  // Makes a watch. Errors: kHistoryLost, with `oldest` set; kOverloaded.
  Result<uint64_t> AddWatch(const Origin& origin, Watch::Options options, uint64_t* oldest);
  // The responses that name these watches are on their way.
  void Activate(std::span<const uint64_t> ids);
  // False: this peer has no such watch.
  bool RemoveWatch(const Origin& origin, uint64_t id);
  bool AddCredit(const Origin& origin, uint64_t id, uint64_t events);
  // The connection is gone, and its watches with it.
  void OnPeerGone(uint64_t connection);

  // --- Calls of `changes` --------------------------------------------------------------------

  std::unique_ptr<Poll> NewPoll(uint32_t msgid, uint64_t after);
  // Answers the calls of `body` in their order, then delivers it.
  void Park(std::unique_ptr<WaitingBody> body);
  // Whether one more body of the connection may wait.
  bool MayPark(uint64_t connection) const;

  struct Gauges {
    uint64_t watches = 0;
    uint64_t polls = 0;
    uint64_t behind = 0;  // Of both, those that read the log.
    uint64_t published = 0;
    uint64_t skipped = 0;  // Changes that came too fast to be published.
  };
  Gauges gauges() const;

 private:
  struct Watcher;
  struct Thread;
  enum class Turn : uint8_t { kIdle, kMore, kStalled, kElsewhere, kOver };
  using WatcherPointer = std::shared_ptr<Watcher>;
  using BodyPointer = std::unique_ptr<WaitingBody>;

  // What one of the threads serves.
  struct Served {
    std::vector<WatcherPointer> watchers;
    std::vector<BodyPointer> bodies;
    bool empty() const { return watchers.empty() && bodies.empty(); }
    size_t size() const { return watchers.size() + bodies.size(); }
    // Moves up to `count` of `from` here.
    void Take(Served* from, size_t count);
  };

  void Run(Thread* thread);
  void WakeRing();
  // Publishes what is new; returns when that is to be done again, as MonotonicMicros().
  int64_t ServeSubscribers();
  // Hands over what leaves the thread, waits, and takes what it is to serve.
  void TakeOverRing(Thread* thread, int64_t wait_us);
  void TakeOverLog(Thread* thread, int64_t wait_us);
  // Serves all once; returns after how many microseconds that is to be done again.
  int64_t ServeAll(Thread* thread);
  Turn ServeWatcher(Thread* thread, Watcher* watcher);
  Turn ServeBody(Thread* thread, WaitingBody* body);
  void Answer(Poll* poll, Reply* reply, const Status& status);
  void CountBytes(WaitingBody* body, size_t bytes);
  void HandBack(BodyPointer body);
  void Tell(Thread* thread, const Watcher& watcher, ByteBuffer message);
  void Send(Thread* thread);
  void Forget(const Watcher& watcher);
  WatcherPointer Find(const Origin& origin, uint64_t id) const;

  // Constant after Start().
  Engine& engine_;
  Transport* transport_ = nullptr;
  Deliver deliver_;

  // Synchronise themselves.
  std::atomic<size_t> parked_{0};
  std::atomic<size_t> parked_bytes_{0};
  std::atomic<size_t> watch_count_{0};
  std::atomic<size_t> behind_count_{0};
  std::atomic<bool> publishing_{false};  // Somebody subscribes.
  std::atomic<uint64_t> published_{0};
  std::atomic<uint64_t> skipped_{0};
  mutable Mutex mu_;
  CondVar ring_wake_;
  CondVar log_wake_;

  uint64_t last_id_ GUARDED_BY(mu_) = 0;
  std::unordered_map<uint64_t, WatcherPointer> watchers_ GUARDED_BY(mu_);
  std::unordered_map<uint64_t, std::vector<uint64_t>> of_connection_ GUARDED_BY(mu_);
  std::unordered_map<uint64_t, size_t> parked_of_ GUARDED_BY(mu_);  // By connection.
  Served for_ring_ GUARDED_BY(mu_);                                 // To be taken over by a thread.
  Served for_log_ GUARDED_BY(mu_);
  bool woken_ GUARDED_BY(mu_) = false;
  bool stop_log_ GUARDED_BY(mu_) = false;
  bool stop_ring_ GUARDED_BY(mu_) = false;

  // Of the ring thread.
  Publisher publisher_;
  int64_t last_heartbeat_us_ = 0;

  std::thread ring_thread_;
  std::thread log_thread_;
};

}  // namespace entrepot
