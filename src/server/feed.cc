#include "server/feed.h"

#include <algorithm>
#include <chrono>

#include <fmt/format.h>

#include "base/clock.h"
#include "protocol/encoder.h"

namespace entrepot {

namespace {

// Messages that one watcher gets before the others have their turn.
constexpr int kMessagesOfTurn = 4;
// How long a thread waits when nothing is due.
constexpr int64_t kIdleUs = 1'000'000;
// Messages are handed to the transport together up to this size.
constexpr size_t kBatchBytes = size_t{64} << 10;

}  // namespace

struct Feed::Watcher {
  Watcher(uint64_t id, const Origin& origin, Watch::Options options, Engine* engine)
      : watch(id, std::move(options), &engine->committer().ring(), engine->committer().log(),
              &engine->store()),
        connection(origin.connection),
        peer(origin.peer),
        address(origin.address) {}

  Watch watch;  // Of the thread that serves it.
  const uint64_t connection;
  const uint64_t peer;
  const std::string address;
  std::atomic<bool> gone{false};
  int64_t last_told_us = 0;  // Of the thread that serves it.
};

void Feed::Served::Take(Served* from, size_t count) {
  const auto move = [&](auto* source, auto* to) {
    const auto end = source->begin() + static_cast<ptrdiff_t>(std::min(count, source->size()));
    count -= static_cast<size_t>(end - source->begin());
    std::move(source->begin(), end, std::back_inserter(*to));
    source->erase(source->begin(), end);
  };
  move(&from->watchers, &watchers);
  move(&from->bodies, &bodies);
}

// One of the two threads, and what it serves.
struct Feed::Thread {
  Thread(Store* store, bool with_log) : participant(&store->epochs()), reads_log(with_log) {}

  Epochs::Participant participant;
  const bool reads_log;
  bool stopping = false;
  Served served;
  Served leaving;         // For the other thread.
  size_t page_bytes = 0;  // Read ahead for those served.
  std::vector<Outbound> batch;
  size_t batch_bytes = 0;
};

void Feed::Start(Transport* transport, Deliver deliver) {
  transport_ = transport;
  deliver_ = std::move(deliver);
  const auto run = [this](bool reads_log) {
    Thread thread(&engine_.store(), reads_log);
    Run(&thread);
  };
  ring_thread_ = std::thread([run] { run(false); });
  log_thread_ = std::thread([run] { run(true); });
}

void Feed::Stop() {
  if (!ring_thread_.joinable()) return;
  {
    MutexLock lock(mu_);
    stop_log_ = true;
    log_wake_.NotifyOne();
  }
  log_thread_.join();
  {
    MutexLock lock(mu_);
    stop_ring_ = true;
    ring_wake_.NotifyOne();
  }
  ring_thread_.join();
}

void Feed::Wake() {
  if (watch_count_.load(std::memory_order_relaxed) == 0 &&
      parked_.load(std::memory_order_relaxed) == 0 &&
      !publishing_.load(std::memory_order_relaxed)) {
    return;
  }
  WakeRing();
}

void Feed::WakeRing() {
  MutexLock lock(mu_);
  woken_ = true;
  ring_wake_.NotifyOne();
}

// --- Watches ----------------------------------------------------------------------------------

Result<uint64_t> Feed::AddWatch(const Origin& origin, Watch::Options options, uint64_t* oldest) {
  uint64_t id;
  {
    MutexLock lock(mu_);
    const auto others = of_connection_.find(origin.connection);
    if (watchers_.size() >= kWatchesMax ||
        (others != of_connection_.end() && others->second.size() >= kWatchesOfConnection)) {
      return Status(Code::kOverloaded, fmt::format("too many watches; a connection has at most {}",
                                                   kWatchesOfConnection));
    }
    id = ++last_id_;
  }
  auto watcher = std::make_shared<Watcher>(id, origin, std::move(options), &engine_);
  if (Status status = watcher->watch.Open(); !status.ok()) {
    *oldest = watcher->watch.Oldest();
    return status;
  }
  {
    MutexLock lock(mu_);
    watchers_.emplace(id, watcher);
    of_connection_[origin.connection].push_back(id);
    watch_count_.store(watchers_.size(), std::memory_order_relaxed);
  }
  engine_.committer().Follow();
  return id;
}

void Feed::Activate(std::span<const uint64_t> ids) {
  if (ids.empty()) return;
  MutexLock lock(mu_);
  for (const uint64_t id : ids) {
    const auto found = watchers_.find(id);
    if (found != watchers_.end()) for_ring_.watchers.push_back(found->second);
  }
  woken_ = true;
  ring_wake_.NotifyOne();
}

Feed::WatcherPointer Feed::Find(const Origin& origin, uint64_t id) const {
  MutexLock lock(mu_);
  const auto found = watchers_.find(id);
  if (found == watchers_.end() || found->second->peer != origin.peer) return nullptr;
  return found->second;
}

bool Feed::RemoveWatch(const Origin& origin, uint64_t id) {
  const WatcherPointer watcher = Find(origin, id);
  if (watcher == nullptr) return false;
  Forget(*watcher);
  watcher->gone.store(true);
  return true;
}

bool Feed::AddCredit(const Origin& origin, uint64_t id, uint64_t events) {
  const WatcherPointer watcher = Find(origin, id);
  if (watcher == nullptr) return false;
  watcher->watch.AddCredit(events);
  Wake();
  return true;
}

void Feed::OnPeerGone(uint64_t connection) {
  if (watch_count_.load(std::memory_order_relaxed) == 0) return;
  MutexLock lock(mu_);
  const auto found = of_connection_.find(connection);
  if (found == of_connection_.end()) return;
  for (const uint64_t id : found->second) {
    const auto watcher = watchers_.find(id);
    watcher->second->gone.store(true);
    watchers_.erase(watcher);
    engine_.committer().Unfollow();
  }
  of_connection_.erase(found);
  watch_count_.store(watchers_.size(), std::memory_order_relaxed);
  // The threads let go of those that are gone.
  woken_ = true;
  ring_wake_.NotifyOne();
}

void Feed::Forget(const Watcher& watcher) {
  MutexLock lock(mu_);
  if (watchers_.erase(watcher.watch.id()) == 0) return;
  engine_.committer().Unfollow();
  const auto others = of_connection_.find(watcher.connection);
  std::erase(others->second, watcher.watch.id());
  if (others->second.empty()) of_connection_.erase(others);
  watch_count_.store(watchers_.size(), std::memory_order_relaxed);
  woken_ = true;
  ring_wake_.NotifyOne();
}

Feed::Gauges Feed::gauges() const {
  return {watch_count_.load(std::memory_order_relaxed), parked_.load(std::memory_order_relaxed),
          behind_count_.load(std::memory_order_relaxed), published_.load(std::memory_order_relaxed),
          skipped_.load(std::memory_order_relaxed)};
}

// --- Calls of `changes` -----------------------------------------------------------------------

std::unique_ptr<Poll> Feed::NewPoll(uint32_t msgid, uint64_t after) {
  const Committer& committer = engine_.committer();
  return std::make_unique<Poll>(
      Poll{.msgid = msgid,
           .before = {},
           .reader = ChangeReader(&committer.ring(), committer.log(), after),
           .filter = {},
           .limit = kChangesLimitDefault,
           .must_see = committer.open(),
           .until_us = 0,
           .events = {}});
}

size_t WaitingBody::Bytes() const {
  size_t bytes = front.size() + reply.reply.size();
  for (size_t i = answered; i < polls.size(); ++i) {
    bytes += polls[i]->before.size() + polls[i]->events.size();
  }
  return bytes;
}

bool Feed::MayPark(uint64_t connection) const {
  if (parked_.load(std::memory_order_relaxed) >= kPollsMax) return false;
  MutexLock lock(mu_);
  const auto parked = parked_of_.find(connection);
  return parked == parked_of_.end() || parked->second < kPollsOfConnection;
}

void Feed::CountBytes(WaitingBody* body, size_t bytes) {
  parked_bytes_.fetch_add(bytes - body->counted_bytes, std::memory_order_relaxed);
  body->counted_bytes = bytes;
}

void Feed::HandBack(BodyPointer body) {
  CountBytes(body.get(), 0);
  {
    MutexLock lock(mu_);
    const auto parked = parked_of_.find(body->reply.connection);
    if (--parked->second == 0) parked_of_.erase(parked);
  }
  deliver_(std::move(body));
  parked_.fetch_sub(1, std::memory_order_relaxed);
  engine_.committer().Unfollow();
}

void Feed::Park(std::unique_ptr<WaitingBody> body) {
  parked_.fetch_add(1, std::memory_order_relaxed);
  CountBytes(body.get(), body->Bytes());
  engine_.committer().Follow();
  MutexLock lock(mu_);
  ++parked_of_[body->reply.connection];
  for_ring_.bodies.push_back(std::move(body));
  woken_ = true;
  ring_wake_.NotifyOne();
}

void Feed::Answer(Poll* poll, Reply* reply, const Status& status) {
  reply->Append(std::move(poll->before));
  ByteBuffer* const out = &reply->bytes();
  if (!status.ok()) {
    return PackError(out, poll->msgid, status, /*retry_after_ms=*/0, poll->reader.Oldest());
  }
  PackResultHead(out, poll->msgid);
  PackMap(out, 3);
  PackName(out, "events");
  PackArray(out, poll->count);
  out->Append(poll->events.view());
  PackName(out, "version");
  PackUnsigned(out, poll->reader.position());
  PackName(out, "more");
  PackBool(out, poll->reader.position() < engine_.committer().ring().newest());
}

Feed::Turn Feed::ServeBody(Thread* thread, WaitingBody* body) {
  while (body->answered < body->polls.size()) {
    Poll& poll = *body->polls[body->answered];
    if (thread->reads_log == poll.reader.InRing() && !thread->stopping) return Turn::kElsewhere;
    const auto full = [&] { return poll.count >= poll.limit || poll.events.size() >= kPageBytes; };
    const auto all = [](std::string_view) { return true; };
    const auto none = [](std::string_view, uint64_t, const Query&) { return false; };
    const Result<Ring::Outcome> outcome =
        poll.reader.Read(UINT64_MAX, kFeedSliceBytes, [&](const Record& record) {
          poll.count += PackEvents(&poll.events, poll.filter, record, all, none);
          return !full();
        });
    if (outcome.ok() && !full() && !thread->stopping) {
      if (*outcome == Ring::Outcome::kMore) return Turn::kMore;
      const bool due = poll.count > 0 || MonotonicMicros() >= poll.until_us ||
                       parked_bytes_.load(std::memory_order_relaxed) > kPollsBytesMax;
      if (!due || poll.reader.position() < poll.must_see) return Turn::kIdle;
    }
    Answer(&poll, &body->front, outcome.status());
    ++body->answered;
  }
  body->front.Append(std::move(body->reply.reply));
  body->reply.reply = std::move(body->front);
  return Turn::kOver;
}

// --- The threads ------------------------------------------------------------------------------

void Feed::Tell(Thread* thread, const Watcher& watcher, ByteBuffer message) {
  Outbound& outbound = thread->batch.emplace_back();
  outbound.connection = watcher.connection;
  outbound.address = watcher.address;
  outbound.counted = true;
  thread->batch_bytes += message.size();
  outbound.reply.bytes() = std::move(message);
  if (thread->batch_bytes >= kBatchBytes) Send(thread);
}

void Feed::Send(Thread* thread) {
  if (thread->batch.empty()) return;
  transport_->Send(std::exchange(thread->batch, {}));
  thread->batch_bytes = 0;
}

Feed::Turn Feed::ServeWatcher(Thread* thread, Watcher* watcher) {
  if (watcher->gone.load()) return Turn::kOver;
  const auto last_revision = [this] { return engine_.committer().last_revision(); };
  const Watch::Server server{&thread->participant, engine_.NowMs(), last_revision,
                             thread->reads_log};
  for (int messages = 0; messages < kMessagesOfTurn; ++messages) {
    Watch& watch = watcher->watch;
    if (!transport_->TakesEvents(watcher->connection)) {
      thread->page_bytes -= watch.page_bytes();
      watch.Rest();
      return Turn::kStalled;
    }
    if (watch.WantsPage() && thread->page_bytes >= kFeedPagesBytesMax) return Turn::kStalled;
    thread->page_bytes -= watch.page_bytes();
    ByteBuffer message;
    const Result<Watch::Progress> progress = watch.Advance(server, &message);
    thread->page_bytes += watch.page_bytes();
    if (!progress.ok()) {
      watch.PackEnd(&message, progress.status());
      Tell(thread, *watcher, std::move(message));
      Forget(*watcher);
      return Turn::kOver;
    }
    const int64_t now_us = MonotonicMicros();
    const bool quiet = now_us - watcher->last_told_us >= kFeedProgressMs * 1000;
    if (message.empty() && quiet && *progress == Watch::Progress::kIdle) {
      watch.PackProgress(&message);
    }
    if (!message.empty()) {
      watcher->last_told_us = now_us;
      Tell(thread, *watcher, std::move(message));
    }
    if (*progress == Watch::Progress::kIdle) return Turn::kIdle;
    if (*progress == Watch::Progress::kBehind) return Turn::kElsewhere;
    // Caught up: the other thread goes on with it.
    if (thread->reads_log && watch.InRing()) return Turn::kElsewhere;
  }
  return Turn::kMore;
}

int64_t Feed::ServeSubscribers() {
  const int64_t now_us = MonotonicMicros();
  const bool publish = transport_->HasSubscribers();
  if (publish != publishing_.load(std::memory_order_relaxed)) {
    publishing_.store(publish, std::memory_order_relaxed);
    if (publish) {
      publisher_.Begin(engine_.committer().open());
      engine_.committer().Follow();
      last_heartbeat_us_ = now_us;
    } else {
      engine_.committer().Unfollow();
    }
  }
  if (!publish) return INT64_MAX;
  if (!transport_->TakesPublications()) return now_us + kResendPeriodMs * 1000;
  Publications publications;
  const bool more = publisher_.Advance(&publications);
  if (now_us >= last_heartbeat_us_ + kFeedProgressMs * 1000) {
    publisher_.AddHeartbeat(engine_.history(), &publications);
    last_heartbeat_us_ = now_us;
  }
  published_.fetch_add(publications.count(), std::memory_order_relaxed);
  skipped_.store(publisher_.skipped(), std::memory_order_relaxed);
  if (!publications.empty()) transport_->Publish(std::move(publications));
  return more ? now_us : last_heartbeat_us_ + kFeedProgressMs * 1000;
}

int64_t Feed::ServeAll(Thread* thread) {
  const int64_t begin_us = MonotonicMicros();
  int64_t next_us = begin_us + kIdleUs;
  if (!thread->reads_log) next_us = std::min(next_us, ServeSubscribers());
  // Whether it stays with this thread, to be served again at `due_us` at the latest.
  const auto stays = [&](Turn turn, int64_t due_us) {
    if (turn == Turn::kOver || turn == Turn::kElsewhere) return false;
    if (turn == Turn::kMore) due_us = begin_us;
    if (turn == Turn::kStalled) due_us = begin_us + kResendPeriodMs * 1000;
    next_us = std::min(next_us, due_us);
    return true;
  };
  // Who has nothing to read now does not take the place of one that has.
  const auto with_log = [&](Turn turn) {
    return thread->reads_log && (turn == Turn::kIdle || turn == Turn::kStalled) ? Turn::kElsewhere
                                                                                : turn;
  };
  std::erase_if(thread->served.watchers, [&](WatcherPointer& watcher) {
    const Turn turn = with_log(ServeWatcher(thread, watcher.get()));
    if (stays(turn, watcher->last_told_us + kFeedProgressMs * 1000)) return false;
    thread->page_bytes -= watcher->watch.page_bytes();
    watcher->watch.Rest();
    if (turn == Turn::kElsewhere) thread->leaving.watchers.push_back(watcher);
    return true;
  });
  std::erase_if(thread->served.bodies, [&](BodyPointer& body) {
    const Turn turn = with_log(ServeBody(thread, body.get()));
    CountBytes(body.get(), body->Bytes());
    const int64_t until_us =
        turn == Turn::kIdle ? body->polls[body->answered]->until_us : INT64_MAX;
    if (turn == Turn::kElsewhere) thread->leaving.bodies.push_back(std::move(body));
    if (turn == Turn::kOver) HandBack(std::move(body));
    return !stays(turn, until_us);
  });
  Send(thread);
  return std::max<int64_t>(0, next_us - MonotonicMicros());
}

void Feed::Run(Thread* thread) {
  for (int64_t wait_us = kIdleUs; !thread->stopping;) {
    thread->reads_log ? TakeOverLog(thread, wait_us) : TakeOverRing(thread, wait_us);
    if (thread->reads_log && thread->stopping) return;
    wait_us = ServeAll(thread);
  }
}

void Feed::TakeOverRing(Thread* thread, int64_t wait_us) {
  MutexLock lock(mu_);
  if (!thread->leaving.empty()) {
    for_log_.Take(&thread->leaving, SIZE_MAX);
    behind_count_.store(for_log_.size(), std::memory_order_relaxed);
    log_wake_.NotifyOne();
  }
  while (!stop_ring_ && !woken_ && wait_us > 0) {
    if (!ring_wake_.WaitFor(mu_, std::chrono::microseconds(wait_us))) break;
  }
  woken_ = false;
  thread->stopping = stop_ring_;
  thread->served.Take(&for_ring_, SIZE_MAX);
  // The other thread has ended; nobody else answers what it had.
  if (thread->stopping) thread->served.Take(&for_log_, SIZE_MAX);
}

void Feed::TakeOverLog(Thread* thread, int64_t wait_us) {
  MutexLock lock(mu_);
  if (!thread->leaving.empty()) {
    for_ring_.Take(&thread->leaving, SIZE_MAX);
    woken_ = true;
    ring_wake_.NotifyOne();
  }
  while (!stop_log_ && wait_us > 0 && for_log_.empty()) log_wake_.Wait(mu_);
  thread->stopping = stop_log_;
  if (thread->stopping) return for_log_.Take(&thread->served, SIZE_MAX);
  thread->served.Take(&for_log_, kLogReadersMax - thread->served.size());
  behind_count_.store(thread->served.size() + for_log_.size(), std::memory_order_relaxed);
}

}  // namespace entrepot
