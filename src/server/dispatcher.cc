#include "server/dispatcher.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <limits>

namespace entrepot {

namespace {

// Requests whose memory is fetched together: enough to hide the latency of memory, few enough for
// what was fetched to stay in the first cache.
constexpr size_t kAhead = 64;

// Whether the result of a response, which `reader` stands before, may be that of a change.
bool MayHaveChanged(MsgpackReader reader) {
  constexpr std::string_view kOfChanges[] = {"created", "updated", "deleted", "committed",
                                             "rejected"};  // Its `else` may have changed something.
  Token token;
  if (!reader.Next(&token) || token.type != Token::kMap) return false;
  for (uint32_t field = token.count; field > 0; --field) {
    CHECK(reader.Next(&token));
    // `delete_prefix` has no status.
    if (token.bytes == "deleted") return true;
    if (token.bytes != "status") {
      CHECK(reader.Skip(SIZE_MAX) == MsgpackReader::Skipped::kWhole);
      continue;
    }
    CHECK(reader.Next(&token));
    return std::find(std::begin(kOfChanges), std::end(kOfChanges), token.bytes) !=
           std::end(kOfChanges);
  }
  return false;
}

// What is told instead of `reply`, under which the log failed: what may have changed something is
// outcome_unknown; the rest would show what is not on disk, and changed nothing: unavailable.
Reply AsOutcomeUnknown(const Reply& reply, const std::string& failure) {
  std::string flat(reply.size(), '\0');
  reply.CopyTo(flat.data());
  Reply errors;
  MsgpackReader reader(flat);
  Token token;
  while (!reader.AtEnd()) {
    CHECK(reader.Next(&token) && token.type == Token::kArray && token.count == 4);
    CHECK(reader.Next(&token) && token.number == 1);
    CHECK(reader.Next(&token) && token.type == Token::kUnsigned);
    const uint32_t msgid = static_cast<uint32_t>(token.number);
    CHECK(reader.Skip(SIZE_MAX) == MsgpackReader::Skipped::kWhole);
    PackError(&errors.bytes(), msgid,
              MayHaveChanged(reader)
                  ? Status(Code::kOutcomeUnknown, "it may or may not have happened: " + failure)
                  : Status(Code::kUnavailable, "the log failed: " + failure));
    CHECK(reader.Skip(SIZE_MAX) == MsgpackReader::Skipped::kWhole);
  }
  return errors;
}

}  // namespace

// --- A thread of the transport ----------------------------------------------------------------

class Dispatcher::InlineLane final : public Lane {
 public:
  explicit InlineLane(Dispatcher* dispatcher)
      : dispatcher_(*dispatcher),
        thread_{EngineThread(&dispatcher->engine_->store()), dispatcher->metrics_->NewThread()} {
    ahead_.reserve(kAhead + kInlineRequests);
  }

  void Handle(std::span<const Inbound> messages, ReplySink* sink) override {
    const int64_t arrived_us = MonotonicMicros();
    thread_.metrics->turns.Add(1);
    thread_.metrics->bodies.Add(messages.size());
    for (size_t next = 0; next < messages.size();)
      next = HandleSome(messages, next, sink, arrived_us);
  }

 private:
  // A message of this turn whose requests were not refused.
  struct Running {
    const Inbound* message;
    bool here;     // Its body is short enough to run on this thread.
    size_t first;  // Its requests that were read ahead.
    size_t last;
  };

  // Handles messages from `next` on, as many as are fetched together; returns where it ended.
  size_t HandleSome(std::span<const Inbound> messages, size_t next, ReplySink* sink,
                    int64_t arrived_us) {
    ahead_.clear();
    running_.clear();
    dispatcher_.engine_->EnterTurn(&thread_.engine);
    for (; next < messages.size() && ahead_.size() < kAhead; ++next) {
      const Inbound& message = messages[next];
      if (message.too_large || message.body.empty()) {
        RefuseWhole(message, sink);
      } else {
        const bool here =
            dispatcher_.options_.inline_allowed && message.body.size() <= kInlineBodyBytes;
        const size_t first = ahead_.size();
        if (here) {
          dispatcher_.ReadAhead(NewBody(running_.size(), message), kInlineRequests, &ahead_);
        }
        running_.push_back({&message, here, first, ahead_.size()});
      }
    }
    const std::span<const Request> ahead(ahead_);
    dispatcher_.PrefetchEntries(ahead);
    answered_ = 0;
    for (size_t i = 0; i < running_.size(); ++i) {
      const Running& running = running_[i];
      const Inbound& message = *running.message;
      if (!sink->TakesMore(message) || dispatcher_.TooManyParked()) {
        RefuseAll(message, sink);
        continue;
      }
      if (!running.here || dispatcher_.HasStrand(message.peer)) {
        NewBody(i, message);
        HandOver(message, i, sink, arrived_us);
        continue;
      }
      const Stop stop = dispatcher_.Run(ahead.subspan(running.first, running.last - running.first),
                                        OriginOf(message), Code::kOk, /*long_allowed=*/false,
                                        &thread_, bodies_[i].get());
      if (stop == Stop::kEnd) {
        Finish(message, bodies_[i].get(), sink, arrived_us);
      } else {
        HandOver(message, i, sink, arrived_us);
      }
    }
    if (answered_ > 0) {
      // One look at the clock for all of them: it costs as much as a tenth of a `get`.
      thread_.metrics->latency.Record(static_cast<uint64_t>(MonotonicMicros() - arrived_us),
                                      answered_);
    }
    dispatcher_.engine_->LeaveTurn(&thread_.engine);
    return next;
  }

  // The i-th body of the turn, to read `message`. They are used again, with the memory they have.
  Body* NewBody(size_t i, const Inbound& message) {
    if (bodies_.size() <= i) bodies_.resize(i + 1);
    if (bodies_[i] == nullptr) bodies_[i] = std::make_unique<Body>();
    bodies_[i]->Begin(message.body, dispatcher_.commands_->limits().nesting);
    return bodies_[i].get();
  }

  // Gives what is left of the i-th body to the workers.
  void HandOver(const Inbound& message, size_t i, ReplySink* sink, int64_t arrived_us) {
    if (bodies_[i]->requests == 0 && !dispatcher_.MayEnqueue(message)) {
      return RefuseAll(message, sink);
    }
    dispatcher_.Enqueue(message, std::move(bodies_[i]), arrived_us);
  }

  static Origin OriginOf(const Inbound& message) {
    return {message.connection, message.peer, message.address};
  }

  void Finish(const Inbound& message, Body* body, ReplySink* sink, int64_t arrived_us) {
    if (!body->feed_work.polls.empty()) {
      Outbound reply{message.connection, std::string(message.address), std::move(body->reply)};
      return dispatcher_.ParkInFeed(body, std::move(reply), arrived_us);
    }
    if (body->reply.empty()) return;  // Notifications only.
    if (!dispatcher_.engine_->committer().Passed(body->gate)) {
      Outbound reply{message.connection, std::string(message.address), std::move(body->reply)};
      if (!dispatcher_.PassOrPark(body->gate, &reply, arrived_us, &body->feed_work.watches)) return;
      body->reply = std::move(reply.reply);
    }
    ++answered_;
    sink->Reply(message, &body->reply);
    dispatcher_.commands_->feed().Activate(body->feed_work.watches);
  }

  // The message was over a bound of the transport, or has nothing in it.
  void RefuseWhole(const Inbound& message, ReplySink* sink) {
    Reply reply;
    const Status status = message.too_large
                              ? Status(Code::kTooLarge,
                                       "the message has too many frames, or too long an envelope "
                                       "or body; see limits in hello")
                              : Status(Code::kMalformed, "the body is empty");
    dispatcher_.commands_->Refuse(Request{}, status, &thread_, &reply);
    sink->Reply(message, &reply);
  }

  // Too much waits for this peer: each request of the message is answered so, and none of them
  // runs.
  void RefuseAll(const Inbound& message, ReplySink* sink) {
    Body body;
    body.Begin(message.body, dispatcher_.commands_->limits().nesting);
    std::vector<Request> requests;
    Stop stop = Stop::kNone;
    while (stop == Stop::kNone) {
      requests.clear();
      dispatcher_.ReadAhead(&body, kInlineRequests, &requests);
      stop = dispatcher_.Run(requests, OriginOf(message), Code::kOverloaded,
                             /*long_allowed=*/false, &thread_, &body);
    }
    if (!body.reply.empty()) sink->Reply(message, &body.reply);
  }

  Dispatcher& dispatcher_;
  CommandThread thread_;
  std::vector<Request> ahead_;
  std::vector<Running> running_;
  std::vector<std::unique_ptr<Body>> bodies_;
  uint64_t answered_ = 0;  // Of those that are fetched together now.
};

// --- Running requests -------------------------------------------------------------------------

Dispatcher::Dispatcher(const Options& options, Engine* engine, Commands* commands, Metrics* metrics)
    : options_(options), engine_(engine), commands_(commands), metrics_(metrics) {
  for (uint32_t i = 0; i < options_.workers; ++i) workers_.emplace_back([this] { Work(); });
}

Dispatcher::~Dispatcher() {
  commands_->feed().Stop();
  {
    MutexLock lock(mu_);
    stopping_ = true;
    work_.NotifyAll();
  }
  for (std::thread& worker : workers_) worker.join();
}

void Dispatcher::SetTransport(Transport* transport) {
  transport_ = transport;
  commands_->feed().Start(transport,
                          [this](std::unique_ptr<WaitingBody> body) { Deliver(std::move(body)); });
}

std::unique_ptr<MessageHandler::Lane> Dispatcher::NewLane() {
  return std::make_unique<InlineLane>(this);
}

void Dispatcher::ReadAhead(Body* body, size_t count, std::vector<Request>* ahead) {
  const size_t left = commands_->limits().requests - body->requests;
  for (size_t i = 0; i < count; ++i) {
    Request& request = ahead->emplace_back();
    if (!body->decoder.Next(&request)) {
      ahead->pop_back();
      return;
    }
    if (i == left) {
      // One more than a body may have: it is answered, and what follows is dropped.
      request.error = Code::kTooLarge;
      body->decoder = Decoder({}, 0);
      return;
    }
    if (request.key.data() != nullptr) {
      request.hash = engine_->store().Hash(request.key);
      engine_->store().PrefetchStripe(request.hash);
    }
  }
}

void Dispatcher::PrefetchEntries(std::span<const Request> ahead) {
  const Store& store = engine_->store();
  for (const Request& request : ahead) {
    if (request.key.data() != nullptr) store.PrefetchSlots(request.hash);
  }
  for (const Request& request : ahead) {
    if (request.key.data() != nullptr) store.PrefetchEntry(request.hash);
  }
}

Dispatcher::Stop Dispatcher::Run(std::span<const Request> ahead, const Origin& origin, Code refused,
                                 bool long_allowed, CommandThread* thread, Body* body) {
  const Limits& limits = commands_->limits();
  for (const Request& request : ahead) {
    Commands::Verdict verdict = Commands::Verdict::kDone;
    if (request.error == Code::kTooLarge) {
      commands_->Refuse(request,
                        Status(Code::kTooLarge, "the body has more than " +
                                                    std::to_string(limits.requests) + " requests"),
                        thread, &body->reply);
    } else if (request.error == Code::kOk && refused != Code::kOk) {
      commands_->Refuse(request, Status(refused, "too much waits for this peer; it did not run"),
                        thread, &body->reply);
    } else if (request.error == Code::kOk &&
               body->reply.size() + body->feed_work.bytes >= limits.reply_bytes) {
      commands_->Refuse(request,
                        Status(Code::kOverloaded, "the reply before it is full; it did not run"),
                        thread, &body->reply);
    } else {
      verdict = commands_->Run(request, origin, long_allowed, thread, &body->walk, &body->feed_work,
                               &body->reply, &body->gate);
    }
    switch (verdict) {
      case Commands::Verdict::kDone:
        ++body->requests;
        break;
      case Commands::Verdict::kMalformed:
        return Stop::kEnd;
      case Commands::Verdict::kUnfinished:
      case Commands::Verdict::kLong:
      case Commands::Verdict::kNoRoom:
      case Commands::Verdict::kWaits:
        body->decoder = Decoder({request.begin, static_cast<size_t>(body->end - request.begin)},
                                limits.nesting);
        return verdict == Commands::Verdict::kUnfinished ? Stop::kSlice
               : verdict == Commands::Verdict::kLong     ? Stop::kLong
               : verdict == Commands::Verdict::kNoRoom   ? Stop::kNoRoom
                                                         : Stop::kWaits;
    }
  }
  return body->decoder.AtEnd() ? Stop::kEnd : Stop::kNone;
}

// --- Strands and workers ----------------------------------------------------------------------

bool Dispatcher::HasStrand(uint64_t peer) {
  // Only the peer's lane adds to its strand, and asks; so what it sees here cannot grow meanwhile.
  if (strand_count_.load(std::memory_order_acquire) == 0) return false;
  MutexLock lock(mu_);
  return strands_.contains(peer);
}

bool Dispatcher::MayEnqueue(const Inbound& message) {
  if (waiting_bytes_.load(std::memory_order_relaxed) + message.body.size() > kInputBytesInAll) {
    return false;
  }
  MutexLock lock(mu_);
  const auto strand = strands_.find(message.peer);
  return strand == strands_.end() || strand->second.size() < kRequestsOfPeer;
}

void Dispatcher::Enqueue(const Inbound& message, std::unique_ptr<Body> body, int64_t arrived_us) {
  auto job = std::make_unique<Job>();
  job->connection = message.connection;
  job->peer = message.peer;
  job->address = message.address;
  job->bytes = body->decoder.rest();
  job->arrived_us = arrived_us;
  body->decoder = Decoder(job->bytes, commands_->limits().nesting);
  body->end = job->bytes.data() + job->bytes.size();
  job->body = std::move(body);
  waiting_bytes_.fetch_add(job->bytes.size(), std::memory_order_relaxed);
  MutexLock lock(mu_);
  auto& strand = strands_[message.peer];
  strand.push_back(std::move(job));
  if (strand.size() == 1) {
    strand_count_.fetch_add(1, std::memory_order_release);
    runnable_.push_back(message.peer);
    work_.NotifyOne();
  }
}

Dispatcher::Stop Dispatcher::RunSlice(Job* job, std::vector<Request>* ahead,
                                      CommandThread* thread) {
  Stop stop = Stop::kNone;
  engine_->EnterTurn(&thread->engine);
  for (size_t ran = 0; ran < kInlineRequests && stop == Stop::kNone; ran += kAhead) {
    ahead->clear();
    ReadAhead(job->body.get(), kAhead, ahead);
    PrefetchEntries(*ahead);
    const bool refused_by_bound = !transport_->TakesMore(job->connection) || TooManyParked();
    const Code refused = refused_by_bound ? Code::kOverloaded : Code::kOk;
    const Origin origin{job->connection, job->peer, job->address};
    stop = Run(*ahead, origin, refused, /*long_allowed=*/true, thread, job->body.get());
  }
  engine_->LeaveTurn(&thread->engine);
  return stop;
}

void Dispatcher::Work() {
  CommandThread thread{EngineThread(&engine_->store()), metrics_->NewThread()};
  std::vector<Request> ahead;
  for (;;) {
    uint64_t peer;
    Job* job;
    uint64_t wakes;
    {
      MutexLock lock(mu_);
      while (runnable_.empty() && !stopping_) work_.Wait(mu_);
      if (stopping_) return;
      peer = runnable_.front();
      runnable_.pop_front();
      // The first job is this thread's until it makes the peer runnable again, or takes it out.
      job = strands_[peer].front().get();
      wakes = wakes_;
    }
    const Stop stop = RunSlice(job, &ahead, &thread);
    std::vector<Outbound> ready;
    if (stop == Stop::kEnd && !job->body->feed_work.polls.empty()) {
      ParkInFeed(job->body.get(),
                 {job->connection, std::move(job->address), std::move(job->body->reply)},
                 job->arrived_us);
    } else if (stop == Stop::kEnd && !job->body->reply.empty()) {
      Outbound reply{job->connection, std::move(job->address), std::move(job->body->reply)};
      if (PassOrPark(job->body->gate, &reply, job->arrived_us, &job->body->feed_work.watches)) {
        thread.metrics->latency.Record(static_cast<uint64_t>(MonotonicMicros() - job->arrived_us));
        ready.push_back(std::move(reply));
      }
    }
    // Before the strand is gone: once it is, the peer's next replies may leave from its lane.
    if (!ready.empty()) {
      transport_->Send(std::move(ready));
      commands_->feed().Activate(job->body->feed_work.watches);
    }
    MutexLock lock(mu_);
    if (stop == Stop::kNoRoom) {
      starved_.push_back(peer);
    } else if (stop == Stop::kWaits && wakes == wakes_) {
      // What was done since the look at `wakes_` has called nobody: then it runs again at once.
      waiting_.push_back(peer);
    } else if (stop == Stop::kEnd) {
      auto& strand = strands_[peer];
      waiting_bytes_.fetch_sub(job->bytes.size(), std::memory_order_relaxed);
      strand.pop_front();
      if (strand.empty()) {
        strands_.erase(peer);
        strand_count_.fetch_sub(1, std::memory_order_release);
        idle_.NotifyAll();
      } else {
        runnable_.push_back(peer);
      }
    } else {
      runnable_.push_back(peer);
    }
    // Room that came free before `peer` stood among the starved has called nobody.
    if (!starved_.empty() && (engine_->committer().queued_bytes() < kCommitQueueBytesMax / 2 ||
                              engine_->committer().failed())) {
      runnable_.insert(runnable_.end(), starved_.begin(), starved_.end());
      starved_.clear();
    }
  }
}

// --- The gate ---------------------------------------------------------------------------------

void Dispatcher::ParkInFeed(Body* body, Outbound reply, int64_t arrived_us) {
  auto waiting = std::make_unique<WaitingBody>();
  waiting->gate = body->gate;
  waiting->reply = std::move(reply);
  waiting->arrived_us = arrived_us;
  waiting->polls = std::move(body->feed_work.polls);
  waiting->watches = std::move(body->feed_work.watches);
  commands_->feed().Park(std::move(waiting));
}

void Dispatcher::Deliver(std::unique_ptr<WaitingBody> body) {
  if (!PassOrPark(body->gate, &body->reply, body->arrived_us, &body->watches)) return;
  std::vector<Outbound> ready;
  ready.push_back(std::move(body->reply));
  transport_->Send(std::move(ready));
  commands_->feed().Activate(body->watches);
}

bool Dispatcher::PassOrPark(const Gate& gate, Outbound* reply, int64_t arrived_us,
                            std::vector<uint64_t>* watches) {
  const Committer& committer = engine_->committer();
  if (committer.Passed(gate)) return true;
  if (committer.failed()) {
    reply->reply = AsOutcomeUnknown(reply->reply, committer.failure());
    return true;
  }
  auto parked =
      std::make_unique<Parked>(Parked{gate, std::move(*reply), arrived_us, std::move(*watches)});
  {
    MutexLock lock(parked_mu_);
    parked_count_.fetch_add(1, std::memory_order_relaxed);
    parked = ParkLocked(std::move(parked));
    if (parked != nullptr) {
      parked_count_.fetch_sub(1, std::memory_order_relaxed);
      *reply = std::move(parked->reply);
      *watches = std::move(parked->watches);
      if (!committer.Passed(gate)) {
        reply->reply = AsOutcomeUnknown(reply->reply, committer.failure());
      }
      return true;
    }
  }
  // What passed between the look and the lock has called nobody.
  if (committer.Passed(gate) || committer.failed()) OnProgress();
  return false;
}

Dispatcher::ParkedPointer Dispatcher::ParkLocked(ParkedPointer parked) {
  const Committer& committer = engine_->committer();
  const Gate& gate = parked->gate;
  if (committer.failed()) return parked;
  if (gate.synced_record > committer.synced_record()) {
    for_synced_record_.push(std::move(parked));
  } else if (gate.synced > committer.synced()) {
    for_synced_.push(std::move(parked));
  } else if (gate.open_record > committer.open_record()) {
    for_open_record_.push(std::move(parked));
  } else if (gate.open > committer.open()) {
    for_open_.push(std::move(parked));
  }
  return parked;
}

template <uint64_t Gate::*kRevision>
void Dispatcher::ReleaseLocked(ParkedQueue<kRevision>* queue, uint64_t reached,
                               std::vector<ParkedPointer>* released) {
  while (!queue->empty() && queue->top()->gate.*kRevision <= reached) {
    // A priority queue gives its top as const, since moving it would break the order; it is popped
    // at once.
    ParkedPointer top = std::move(const_cast<ParkedPointer&>(queue->top()));
    queue->pop();
    if (ParkedPointer passed = ParkLocked(std::move(top)); passed != nullptr) {
      released->push_back(std::move(passed));
    }
  }
}

void Dispatcher::OnProgress() {
  const Committer& committer = engine_->committer();
  std::vector<ParkedPointer> released;
  const bool failed = committer.failed();
  {
    MutexLock lock(parked_mu_);
    // After a failure nothing waits any more.
    constexpr uint64_t kAll = std::numeric_limits<uint64_t>::max();
    ReleaseLocked(&for_synced_record_, failed ? kAll : committer.synced_record(), &released);
    ReleaseLocked(&for_synced_, failed ? kAll : committer.synced(), &released);
    ReleaseLocked(&for_open_record_, failed ? kAll : committer.open_record(), &released);
    ReleaseLocked(&for_open_, failed ? kAll : committer.open(), &released);
  }
  commands_->feed().Wake();
  std::vector<Outbound> ready;
  std::vector<uint64_t> watches;
  for (ParkedPointer& parked : released) {
    if (failed && !committer.Passed(parked->gate)) {
      parked->reply.reply = AsOutcomeUnknown(parked->reply.reply, committer.failure());
    }
    ready.push_back(std::move(parked->reply));
    watches.insert(watches.end(), parked->watches.begin(), parked->watches.end());
  }
  if (!ready.empty()) {
    transport_->Send(std::move(ready));
    commands_->feed().Activate(watches);
    parked_count_.fetch_sub(released.size(), std::memory_order_release);
  }
  MutexLock lock(mu_);
  if (!starved_.empty()) {
    runnable_.insert(runnable_.end(), starved_.begin(), starved_.end());
    starved_.clear();
    work_.NotifyAll();
  }
  idle_.NotifyAll();
}

void Dispatcher::WakeWaiting() {
  MutexLock lock(mu_);
  ++wakes_;
  runnable_.insert(runnable_.end(), waiting_.begin(), waiting_.end());
  waiting_.clear();
  work_.NotifyAll();
}

bool Dispatcher::Drain(int64_t timeout_ms) {
  const int64_t until_us = MonotonicMicros() + timeout_ms * 1000;
  MutexLock lock(mu_);
  while (!strands_.empty() || parked_count_.load(std::memory_order_acquire) > 0) {
    const int64_t left_us = until_us - MonotonicMicros();
    if (left_us <= 0) return false;
    idle_.WaitFor(mu_, std::chrono::microseconds(std::min<int64_t>(left_us, 10'000)));
  }
  return true;
}

Dispatcher::Gauges Dispatcher::gauges() const {
  return {strand_count_.load(std::memory_order_relaxed),
          waiting_bytes_.load(std::memory_order_relaxed),
          parked_count_.load(std::memory_order_relaxed)};
}

}  // namespace entrepot
