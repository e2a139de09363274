#include "server/zmq_transport.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <optional>
#include <unordered_map>

#include <fmt/format.h>
#include <zmq.hpp>

#include "base/clock.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/random.h"
#include "server/option.h"
#include "server/output_account.h"

namespace entrepot {

namespace {

// Messages of one peer that libzmq holds, in each direction.
constexpr int kHighWaterMark = 1000;
// A peer that has not finished its handshake by then is cut off.
constexpr int kHandshakeMs = 10'000;
// Connections that the kernel holds for us to accept: thousands of clients start at once.
constexpr int kBacklog = 4096;
// How long the stop waits for peers to take their last replies.
constexpr int kLingerMs = 1000;
// Replies up to this size are copied into the message; larger ones lend their memory to it.
constexpr size_t kCopiedReplyBytes = 256;
// A dead peer is found by the kernel within about two minutes.
constexpr int kKeepaliveIdleSeconds = 60, kKeepaliveIntervalSeconds = 15, kKeepaliveCount = 4;

// Messages of the feed that libzmq holds for one subscriber; what comes then is dropped for it.
constexpr int kSubscriberHighWaterMark = 4000;
// A subscription to a prefix as long as a key, and the name of the command that it may come as.
constexpr int64_t kSubscriptionBytesMax = kKeyBytesMax + 64;
// Publications for the feed's thread; beyond it they wait in the ring.
constexpr size_t kPublishQueueBytesMax = size_t{1} << 20;
// Events of this size and more are counted while libzmq holds them, since it bounds numbers, not
// bytes: when slow subscribers keep that much, no more of that size are published.
constexpr size_t kLargeEventBytes = size_t{16} << 10;
constexpr size_t kLargeEventBytesInAll = size_t{64} << 20;

// The frames in front of a body, the routing id first: (length:u8 byte[length])*. Every frame of an
// envelope has at most 255 bytes, or the message is refused.
class Address {
 public:
  static bool Append(std::string* address, const zmq::message_t& frame) {
    if (frame.size() > 255 || address->size() + frame.size() >= kEnvelopeBytesMax) return false;
    address->push_back(static_cast<char>(frame.size()));
    address->append(static_cast<const char*>(frame.data()), frame.size());
    return true;
  }
  // Takes the first frame off.
  static std::string_view Take(std::string_view* address) {
    const size_t size = static_cast<uint8_t>(address->front());
    const std::string_view frame = address->substr(1, size);
    address->remove_prefix(1 + size);
    return frame;
  }
};

// libzmq's ipc listener removes whatever stands at its path, a living server's socket too.
Status CheckIpcIsFree(const std::string& endpoint) {
  constexpr std::string_view kScheme = "ipc://";
  if (!endpoint.starts_with(kScheme)) return Status();
  const std::string path = endpoint.substr(kScheme.size());
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  if (path.empty() || path.front() == '@' || path.front() == '*' ||
      path.size() >= sizeof(name.sun_path)) {
    return Status();
  }
  std::memcpy(name.sun_path, path.c_str(), path.size() + 1);
  const int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (probe < 0) return ErrnoStatus("cannot open a socket", errno);
  const bool alive = connect(probe, reinterpret_cast<const sockaddr*>(&name), sizeof(name)) == 0;
  close(probe);
  if (!alive) return Status();
  return Status(Code::kUnavailable,
                fmt::format("cannot listen on {}: another server is there", endpoint));
}

// What both sockets have.
void SetUp(zmq::socket_ref* socket, std::span<const std::string> endpoints) {
  socket->set(zmq::sockopt::handshake_ivl, kHandshakeMs);
  socket->set(zmq::sockopt::backlog, kBacklog);
  socket->set(zmq::sockopt::linger, kLingerMs);
  // Only where it is asked for: with it, libzmq names IPv4 endpoints in IPv6 form.
  socket->set(zmq::sockopt::ipv6,
              std::any_of(endpoints.begin(), endpoints.end(), [](const std::string& endpoint) {
                return endpoint.find('[') != endpoint.npos;
              }));
  socket->set(zmq::sockopt::tcp_keepalive, 1);
  socket->set(zmq::sockopt::tcp_keepalive_idle, kKeepaliveIdleSeconds);
  socket->set(zmq::sockopt::tcp_keepalive_intvl, kKeepaliveIntervalSeconds);
  socket->set(zmq::sockopt::tcp_keepalive_cnt, kKeepaliveCount);
}

// Puts `endpoint` into use; gives back its name with the port that was picked.
Result<std::string> Bind(zmq::socket_ref* socket, const std::string& endpoint) {
  if (Status status = CheckIpcIsFree(endpoint); !status.ok()) return status;
  try {
    socket->bind(endpoint);
  } catch (const zmq::error_t& error) {
    return Status(Code::kUnavailable,
                  fmt::format("cannot listen on {}: {}", endpoint, error.what()));
  }
  return socket->get(zmq::sockopt::last_endpoint);
}

class WakeUp {
 public:
  ~WakeUp() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  Status Open() {
    descriptor_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return descriptor_ >= 0 ? Status() : ErrnoStatus("cannot make an eventfd", errno);
  }
  int descriptor() const { return descriptor_; }
  void Wake() {
    const uint64_t one = 1;
    // It fails only when the counter is full, and then the thread is awake anyway.
    [[maybe_unused]] const ssize_t written = write(descriptor_, &one, sizeof(one));
  }
  void Take() {
    uint64_t count;
    [[maybe_unused]] const ssize_t got = read(descriptor_, &count, sizeof(count));
  }

 private:
  int descriptor_ = -1;
};

}  // namespace

// The feed's socket: an XPUB, since that tells whether anybody subscribes, with a thread and a
// context of its own, so that publishing to many costs requests nothing.
class ZmqTransport::FeedLoop {
 public:
  explicit FeedLoop(MessageHandler* handler) : handler_(*handler) {}

  ~FeedLoop() {
    if (thread_.joinable()) Stop();
    if (socket_) zmq_close(socket_.handle());
  }

  Result<std::string> Start(const std::string& endpoint, void* context) try {
    if (Status status = wake_.Open(); !status.ok()) return status;
    if (context == nullptr || !endpoint.starts_with("inproc://")) {
      context = own_context_.emplace(1).handle();
    }
    socket_ = zmq::socket_ref(zmq::from_handle, zmq_socket(context, ZMQ_XPUB));
    if (!socket_) throw zmq::error_t();
    socket_.set(zmq::sockopt::sndhwm, kSubscriberHighWaterMark);
    SetUp(&socket_, {&endpoint, 1});
    socket_.set(zmq::sockopt::maxmsgsize, kSubscriptionBytesMax);
    Result<std::string> bound = Bind(&socket_, endpoint);
    if (bound.ok()) thread_ = std::thread([this] { Run(); });
    return bound;
  } catch (const zmq::error_t& error) {
    return Status(Code::kUnavailable, fmt::format("cannot start ZeroMQ: {}", error.what()));
  }

  bool HasSubscribers() const { return topics_.load(std::memory_order_relaxed) > 0; }

  bool TakesPublications() const {
    MutexLock lock(mu_);
    return queued_bytes_ < kPublishQueueBytesMax;
  }

  void Publish(Publications publications) {
    {
      MutexLock lock(mu_);
      queued_bytes_ += publications.bytes();
      queue_.push_back(std::move(publications));
    }
    wake_.Wake();
  }

  // Sends what it was given, and gives subscribers a moment to take it.
  void Stop() {
    {
      MutexLock lock(mu_);
      stop_ = true;
    }
    wake_.Wake();
    thread_.join();
    zmq_close(std::exchange(socket_, {}).handle());
    own_context_.reset();
  }

  void AddStats(const StatAdder& add) const {
    add("feed_topics", topics_.load(std::memory_order_relaxed));
    add("publications_too_many_bytes", dropped_.load(std::memory_order_relaxed));
  }

 private:
  // What libzmq calls back with when every subscriber has been sent a large event.
  struct Lent {
    std::shared_ptr<std::atomic<size_t>> held;
    std::string bytes;
    std::atomic<bool> handed_over{false};  // As Loop::Lent's.
    static void Free(void*, void* hint) {
      auto* const lent = static_cast<Lent*>(hint);
      CHECK(lent->handed_over.load(std::memory_order_acquire));
      lent->held->fetch_sub(lent->bytes.size(), std::memory_order_relaxed);
      delete lent;
    }
  };

  void Run() {
    zmq_pollitem_t items[2] = {{nullptr, wake_.descriptor(), ZMQ_POLLIN, 0},
                               {socket_.handle(), 0, ZMQ_POLLIN, 0}};
    for (;;) {
      zmq_poll(items, 2, -1);
      if ((items[0].revents & ZMQ_POLLIN) != 0) wake_.Take();
      ReadSubscriptions();
      std::vector<Publications> queue;
      {
        MutexLock lock(mu_);
        if (stop_ && queue_.empty()) return;
        queue.swap(queue_);
        queued_bytes_ = 0;
      }
      for (const Publications& publications : queue) {
        publications.ForEach(
            [this](std::string_view key, std::string_view event) { SendOne(key, event); });
      }
    }
  }

  // libzmq tells the first subscription to a topic, with a byte 1 in front, and the end of the last
  // one, with a 0. Whatever else a peer sends is nothing to us.
  void ReadSubscriptions() {
    for (zmq::message_t message;
         zmq_msg_recv(message.handle(), socket_.handle(), ZMQ_DONTWAIT) >= 0;) {
      const auto* const bytes = static_cast<const char*>(message.data());
      if (message.size() == 0 || message.more()) continue;
      if (bytes[0] == 1 && topics_.fetch_add(1) == 0) handler_.OnSubscriber();
      if (bytes[0] == 0 && topics_.load() > 0) topics_.fetch_sub(1);
    }
  }

  // Without waiting: who has no room does not get it.
  void SendOne(std::string_view key, std::string_view event) {
    zmq::message_t body;
    if (event.size() < kLargeEventBytes) {
      body.rebuild(event.data(), event.size());
    } else if (large_bytes_->load(std::memory_order_relaxed) > kLargeEventBytesInAll) {
      dropped_.fetch_add(1, std::memory_order_relaxed);
      return;
    } else {
      large_bytes_->fetch_add(event.size(), std::memory_order_relaxed);
      auto lent = std::make_unique<Lent>();
      lent->held = large_bytes_;
      lent->bytes = event;
      lent->handed_over.store(true, std::memory_order_release);
      char* const memory = lent->bytes.data();
      body.rebuild(memory, event.size(), Lent::Free, lent.release());
    }
    zmq::message_t topic(key.data(), key.size());
    // An XPUB never has no room.
    CHECK(zmq_msg_send(topic.handle(), socket_.handle(), ZMQ_DONTWAIT | ZMQ_SNDMORE) >= 0);
    CHECK(zmq_msg_send(body.handle(), socket_.handle(), ZMQ_DONTWAIT) >= 0);
  }

  // Constant after Start().
  MessageHandler& handler_;
  std::optional<zmq::context_t> own_context_;

  // Synchronise themselves.
  WakeUp wake_;
  std::atomic<size_t> topics_{0};
  std::atomic<uint64_t> dropped_{0};
  const std::shared_ptr<std::atomic<size_t>> large_bytes_ =
      std::make_shared<std::atomic<size_t>>(0);
  mutable Mutex mu_;

  std::vector<Publications> queue_ GUARDED_BY(mu_);
  size_t queued_bytes_ GUARDED_BY(mu_) = 0;
  bool stop_ GUARDED_BY(mu_) = false;

  // Owned by thread_.
  zmq::socket_ref socket_;

  std::thread thread_;
};

class ZmqTransport::Loop final : public MessageHandler::ReplySink {
 public:
  explicit Loop(MessageHandler* handler) : handler_(*handler), lane_(handler->NewLane()) {}

  ~Loop() {
    if (thread_.joinable()) Stop();
    if (socket_) zmq_close(socket_.handle());
  }

  Result<std::vector<std::string>> Start(const Options& options) try {
    if (Status status = wake_.Open(); !status.ok()) return status;
    void* context = options.context;
    if (context == nullptr) context = own_context_.emplace(1).handle();
    // libzmq takes the routing ids that it gives out from rand().
    srand(static_cast<unsigned>(RandomUint64()));
    socket_ = zmq::socket_ref(zmq::from_handle, zmq_socket(context, ZMQ_ROUTER));
    if (!socket_) throw zmq::error_t();
    socket_.set(zmq::sockopt::router_mandatory, true);
    socket_.set(zmq::sockopt::maxmsgsize, static_cast<int64_t>(options.body_bytes_max));
    socket_.set(zmq::sockopt::sndhwm, kHighWaterMark);
    socket_.set(zmq::sockopt::rcvhwm, kHighWaterMark);
    SetUp(&socket_, options.listen);
    std::vector<std::string> endpoints;
    for (const std::string& endpoint : options.listen) {
      Result<std::string> bound = Bind(&socket_, endpoint);
      if (!bound.ok()) return bound.status();
      endpoints.push_back(*bound);
    }
    socket_descriptor_ = socket_.get(zmq::sockopt::fd);
    return endpoints;
  } catch (const zmq::error_t& error) {
    return Status(Code::kUnavailable, fmt::format("cannot start ZeroMQ: {}", error.what()));
  }

  void StartReading() {
    thread_ = std::thread([this] { Run(); });
  }

  void Send(std::vector<Outbound> replies) {
    std::vector<Queued> charged;
    for (Outbound& reply : replies) {
      Queued queued;
      if (!Charge(reply.connection, reply.reply.size(), &queued.charge)) continue;
      queued.connection = reply.connection;
      queued.address = std::move(reply.address);
      queued.reply = std::move(reply.reply);
      charged.push_back(std::move(queued));
    }
    {
      MutexLock lock(mu_);
      for (Queued& queued : charged) outbox_.push_back(std::move(queued));
    }
    wake_.Wake();
  }

  bool TakesMore(uint64_t connection) const { return account_.TakesMore(connection); }
  bool TakesEvents(uint64_t connection) const { return account_.TakesEvents(connection); }

  void StopReading() {
    stop_reading_.store(true, std::memory_order_relaxed);
    wake_.Wake();
    MutexLock lock(mu_);
    while (!reading_stopped_) changed_.Wait(mu_);
  }

  void Stop() {
    StopReading();
    {
      MutexLock lock(mu_);
      stop_ = true;
    }
    wake_.Wake();
    thread_.join();
    zmq_close(std::exchange(socket_, {}).handle());
    // Waits until what is on its way has been taken, at most kLingerMs.
    own_context_.reset();
  }

  void AddStats(const StatAdder& add) const {
    add("messages_in", messages_in_.load(std::memory_order_relaxed));
    add("messages_out", messages_out_.load(std::memory_order_relaxed));
    add("bytes_in", bytes_in_.load(std::memory_order_relaxed));
    add("bytes_out", bytes_out_.load(std::memory_order_relaxed));
    add("messages_refused", refused_messages_.load(std::memory_order_relaxed));
    add("replies_dropped", dropped_replies_.load(std::memory_order_relaxed));
    add("output_waiting_bytes", account_.WaitingInAll());
  }

 private:
  // A reply handed over by another thread.
  struct Queued {
    uint64_t connection;
    std::string address;
    entrepot::Reply reply;
    OutputAccount::Charge charge;
  };
  // A message that its peer had no room for.
  struct Stuck {
    std::string address;
    zmq::message_t body;
    OutputAccount::Charge charge;  // Of a small body; a large one carries its own.
  };
  // What libzmq calls back with when it has sent a body that lent it its memory.
  struct Lent {
    char* memory;
    OutputAccount::Charge charge;
    // libzmq hands the message from thread to thread by atomics of its own; this one says so to who
    // cannot look inside of it, the thread sanitizer.
    std::atomic<bool> handed_over{false};
    static void Free(void*, void* hint) {
      auto* const lent = static_cast<Lent*>(hint);
      CHECK(lent->handed_over.load(std::memory_order_acquire));
      std::free(lent->memory);
      delete lent;
    }
  };

  void Count(std::atomic<uint64_t>* counter, uint64_t by) {
    counter->fetch_add(by, std::memory_order_relaxed);
  }

  // False: the peer has more than it may, and the reply is dropped.
  bool Charge(uint64_t connection, size_t bytes, OutputAccount::Charge* charge) {
    if (bytes <= kCopiedReplyBytes) return true;
    if (account_.Waiting(connection) > kOutputBytesOfPeerHard) {
      Count(&dropped_replies_, 1);
      return false;
    }
    *charge = account_.Add(connection, bytes);
    return true;
  }

  // --- The thread ----------------------------------------------------------------------------

  void Run() {
    int64_t last_sweep_us = MonotonicMicros();
    bool reading = true;
    for (;;) {
      // What has come when the stop is asked for is answered still, a turn of it.
      const bool last_turn = reading && stop_reading_.load(std::memory_order_relaxed);
      const bool full_turn = reading && Receive() && !last_turn;
      const bool sent = SendOutbox();
      const int64_t now_us = MonotonicMicros();
      if (!stuck_.empty() && now_us - last_resend_us_ >= kResendPeriodMs * 1000 / 2) {
        Resend(now_us);
      }
      if (now_us - last_sweep_us > 1'000'000) {
        last_sweep_us = now_us;
        account_.Sweep();
      }
      if (last_turn) {
        reading = false;
        MutexLock lock(mu_);
        reading_stopped_ = true;
        changed_.NotifyAll();
      }
      if (full_turn || sent) continue;
      {
        MutexLock lock(mu_);
        if (!outbox_.empty()) continue;
        if (stop_) return;
      }
      Poll(reading);
    }
  }

  // Waits by poll(2), which is two system calls less than zmq_poll(3). ZMQ_FD tells only of what
  // comes after a look at ZMQ_EVENTS; the look is taken also when the socket is not read, for it is
  // how libzmq gets on with its own work.
  void Poll(bool reading) {
    if ((socket_.get(zmq::sockopt::events) & ZMQ_POLLIN) != 0 && reading) return;
    pollfd descriptors[2] = {{wake_.descriptor(), POLLIN, 0}, {socket_descriptor_, POLLIN, 0}};
    const int timeout_ms = stuck_.empty() ? 1000 : kResendPeriodMs;
    CHECK(poll(descriptors, 2, timeout_ms) >= 0 || errno == EINTR);
    if ((descriptors[0].revents & POLLIN) != 0) wake_.Take();
  }

  // Drains what has come, up to a turn's bounds, and has it handled. True: there may be more.
  bool Receive() {
    size_t count = 0, bytes = 0;
    bool drained = false;
    while (count < kTurnMessages && bytes < kTurnBytes) {
      if (!ReceiveMessage(count)) {
        drained = true;
        break;
      }
      bytes += bodies_[count].size();
      ++count;
    }
    if (count == 0) return false;
    for (size_t i = 0; i < count; ++i) inbound_[i].address = addresses_[i];
    Count(&messages_in_, count);
    Count(&bytes_in_, bytes);
    lane_->Handle({inbound_.data(), count}, this);
    return !drained;
  }

  // Reads one message into place `i`. False: there is none.
  bool ReceiveMessage(size_t i) {
    if (!ReceiveFrame(&bodies_[i])) return false;
    std::string& address = addresses_[i];
    Inbound& inbound = inbound_[i];
    address.clear();
    inbound = {};
    // The first frame is the routing id, which libzmq puts there.
    inbound.connection = HashKey(View(bodies_[i]), secret_);
    inbound.peer = inbound.connection;
    Address::Append(&address, bodies_[i]);
    size_t frames = 0;
    while (bodies_[i].more()) {
      const bool is_routing_id = frames == 0;
      if (!is_routing_id) AddToEnvelope(bodies_[i], frames, &inbound, &address);
      CHECK(ReceiveFrame(&bodies_[i]));  // Frames of a message come together.
      ++frames;
    }
    if (frames > kFramesMax) inbound.too_large = true;
    if (inbound.too_large) Count(&refused_messages_, 1);
    inbound.body = View(bodies_[i]);
    return true;
  }

  void AddToEnvelope(const zmq::message_t& frame, size_t frames, Inbound* inbound,
                     std::string* address) {
    // Of a message that is too large, the answer goes out behind as much of the envelope as may be.
    if (frames >= kFramesMax || inbound->too_large) return;
    if (!Address::Append(address, frame)) {
      inbound->too_large = true;
      return;
    }
    // Behind a proxy the frames name the peer; an empty one is a delimiter, and one of 4 bytes the
    // number by which a correlating REQ knows its reply, another one in each of its requests.
    if (frame.size() != 0 && frame.size() != 4) {
      inbound->peer = inbound->peer * 31 + HashKey(View(frame), secret_);
    }
  }

  bool ReceiveFrame(zmq::message_t* frame) {
    for (;;) {
      if (zmq_msg_recv(frame->handle(), socket_.handle(), ZMQ_DONTWAIT) >= 0) return true;
      if (errno == EAGAIN) return false;
      CHECK(errno == EINTR);
    }
  }

  static std::string_view View(const zmq::message_t& message) {
    return {static_cast<const char*>(message.data()), message.size()};
  }

  // MessageHandler::ReplySink
  bool TakesMore(const Inbound& message) const override {
    return account_.TakesMore(message.connection);
  }
  void Reply(const Inbound& message, entrepot::Reply* reply) override {
    OutputAccount::Charge charge;
    if (!Charge(message.connection, reply->size(), &charge)) return;
    SendBody(message.connection, message.address, MakeBody(reply, std::move(charge)));
  }

  bool SendOutbox() {
    std::vector<Queued> outbox;
    {
      MutexLock lock(mu_);
      outbox.swap(outbox_);
    }
    for (Queued& queued : outbox) {
      SendBody(queued.connection, queued.address,
               MakeBody(&queued.reply, std::move(queued.charge)));
    }
    return !outbox.empty();
  }

  static zmq::message_t MakeBody(entrepot::Reply* reply, OutputAccount::Charge charge) {
    const size_t size = reply->size();
    if (size <= kCopiedReplyBytes) {
      zmq::message_t body(size);
      reply->CopyTo(static_cast<char*>(body.data()));
      return body;
    }
    auto lent = std::make_unique<Lent>();
    lent->charge = std::move(charge);
    if (reply->pieces().empty()) {
      lent->memory = reply->bytes().Release();
    } else {
      lent->memory = static_cast<char*>(std::malloc(size));
      CHECK(lent->memory != nullptr);
      reply->CopyTo(lent->memory);
      reply->Clear();
    }
    char* const memory = lent->memory;
    lent->handed_over.store(true, std::memory_order_release);
    return zmq::message_t(memory, size, Lent::Free, lent.release());
  }

  void SendBody(uint64_t connection, std::string_view address, zmq::message_t body) {
    if (!stuck_.empty()) {
      const auto stuck = stuck_.find(connection);
      // Behind what stands there already.
      if (stuck != stuck_.end()) return Keep(connection, address, std::move(body));
    }
    if (!TrySend(connection, address, &body)) Keep(connection, address, std::move(body));
  }

  // False: the peer has no room. Otherwise the message has been taken care of.
  bool TrySend(uint64_t connection, std::string_view address, zmq::message_t* body) {
    const size_t size = body->size();
    for (bool first = true; !address.empty(); first = false) {
      const std::string_view bytes = Address::Take(&address);
      zmq::message_t frame(bytes.data(), bytes.size());
      if (zmq_msg_send(frame.handle(), socket_.handle(), ZMQ_DONTWAIT | ZMQ_SNDMORE) >= 0) continue;
      if (first && errno == EAGAIN) return false;
      if (first && errno == EHOSTUNREACH) handler_.OnPeerGone(connection);
      Count(&dropped_replies_, 1);
      body->rebuild();
      return true;
    }
    if (zmq_msg_send(body->handle(), socket_.handle(), ZMQ_DONTWAIT) >= 0) {
      Count(&messages_out_, 1);
      Count(&bytes_out_, size);
    } else {
      Count(&dropped_replies_, 1);
      body->rebuild();
    }
    return true;
  }

  void Keep(uint64_t connection, std::string_view address, zmq::message_t body) {
    if (account_.Waiting(connection) > kOutputBytesOfPeerHard) {
      Count(&dropped_replies_, 1);
      return;
    }
    Stuck stuck{std::string(address), std::move(body), {}};
    if (stuck.body.size() <= kCopiedReplyBytes) {
      stuck.charge = account_.Add(connection, sizeof(Stuck) + stuck.body.size());
    }
    stuck_[connection].push_back(std::move(stuck));
  }

  void Resend(int64_t now_us) {
    last_resend_us_ = now_us;
    for (auto at = stuck_.begin(); at != stuck_.end();) {
      std::deque<Stuck>& queue = at->second;
      while (!queue.empty() && TrySend(at->first, queue.front().address, &queue.front().body)) {
        queue.pop_front();
      }
      at = queue.empty() ? stuck_.erase(at) : std::next(at);
    }
  }

  // Constant after Start().
  MessageHandler& handler_;
  const HashSecret secret_{RandomUint64(), RandomUint64()};
  std::optional<zmq::context_t> own_context_;

  // Synchronise themselves.
  WakeUp wake_;
  OutputAccount account_;
  std::atomic<uint64_t> messages_in_{0}, messages_out_{0}, bytes_in_{0}, bytes_out_{0};
  std::atomic<uint64_t> refused_messages_{0}, dropped_replies_{0};
  std::atomic<bool> stop_reading_{false};
  mutable Mutex mu_;
  CondVar changed_;

  std::vector<Queued> outbox_ GUARDED_BY(mu_);
  bool reading_stopped_ GUARDED_BY(mu_) = false;
  bool stop_ GUARDED_BY(mu_) = false;

  // Owned by thread_.
  zmq::socket_ref socket_;
  int socket_descriptor_ = -1;  // Readable when ZMQ_EVENTS may have changed.
  std::unique_ptr<MessageHandler::Lane> lane_;
  std::array<zmq::message_t, kTurnMessages> bodies_;
  std::array<std::string, kTurnMessages> addresses_;
  std::array<Inbound, kTurnMessages> inbound_;
  std::unordered_map<uint64_t, std::deque<Stuck>> stuck_;
  int64_t last_resend_us_ = 0;

  std::thread thread_;
};

ZmqTransport::ZmqTransport() = default;
ZmqTransport::~ZmqTransport() = default;

Result<std::unique_ptr<ZmqTransport>> ZmqTransport::Start(const Options& options,
                                                          MessageHandler* handler) {
  std::unique_ptr<ZmqTransport> transport(new ZmqTransport);
  transport->loop_ = std::make_unique<Loop>(handler);
  Result<std::vector<std::string>> endpoints = transport->loop_->Start(options);
  if (!endpoints.ok()) return endpoints.status();
  transport->endpoints_ = std::move(*endpoints);
  if (const std::string feed = FeedEndpoint(options.feed, options.listen); !feed.empty()) {
    transport->feed_loop_ = std::make_unique<FeedLoop>(handler);
    Result<std::string> bound = transport->feed_loop_->Start(feed, options.context);
    if (!bound.ok()) return FeedRefused(bound.status());
    transport->feed_endpoint_ = *bound;
  }
  options.started(transport.get());
  transport->loop_->StartReading();
  return transport;
}

void ZmqTransport::Send(std::vector<Outbound> replies) { loop_->Send(std::move(replies)); }
bool ZmqTransport::TakesMore(uint64_t connection) const { return loop_->TakesMore(connection); }
bool ZmqTransport::TakesEvents(uint64_t connection) const { return loop_->TakesEvents(connection); }
void ZmqTransport::StopReading() { loop_->StopReading(); }
bool ZmqTransport::HasSubscribers() const {
  return feed_loop_ != nullptr && feed_loop_->HasSubscribers();
}
bool ZmqTransport::TakesPublications() const { return feed_loop_->TakesPublications(); }
void ZmqTransport::Publish(Publications publications) {
  feed_loop_->Publish(std::move(publications));
}
void ZmqTransport::Stop() {
  if (feed_loop_ != nullptr) feed_loop_->Stop();
  loop_->Stop();
}
void ZmqTransport::AddStats(const StatAdder& add) const {
  loop_->AddStats(add);
  if (feed_loop_ != nullptr) feed_loop_->AddStats(add);
}

}  // namespace entrepot
