#include "server/native_transport.h"

#include <cstdlib>
#include <memory>

#include <absl/container/inlined_vector.h>
#include <fmt/format.h>

#include "base/clock.h"
#include "base/coding.h"
#include "base/random.h"
#include "server/option.h"

namespace entrepot {

namespace {

// Replies of workers up to this size are copied, and not counted: of those a peer has at most as
// many as it may have bodies waiting.
constexpr size_t kCopiedReplyBytes = 4096;

void ReleaseBlock(void* owner) { static_cast<ValueBlock*>(owner)->Unref(); }

}  // namespace

// Hands replies that are ready at once to the connections of the turn.
class NativeTransport::Sink final : public MessageHandler::ReplySink {
 public:
  explicit Sink(NativeTransport* transport) : transport_(*transport) {}

  void Reply(const Inbound& message, entrepot::Reply* reply) override {
    transport_.SendReply(message.connection, message.address, *reply);
  }
  bool TakesMore(const Inbound& message) const override {
    return transport_.server_.WaitingOutput(message.connection) <= kOutputBytesRefuse &&
           transport_.account_.TakesMore(message.connection);
  }

 private:
  NativeTransport& transport_;
};

NativeTransport::NativeTransport(const Options& options, MessageHandler* handler, Logger* logger)
    : handler_(handler),
      logger_(*logger),
      secret_{RandomUint64(), RandomUint64()},
      threads_(options.io_threads),
      server_({.io_threads = options.io_threads, .limits = {.body_bytes = options.body_bytes_max}},
              *this) {}

NativeTransport::~NativeTransport() { server_.Stop(); }

Result<std::unique_ptr<NativeTransport>> NativeTransport::Start(const Options& options,
                                                                MessageHandler* handler,
                                                                Logger* logger) {
  std::unique_ptr<NativeTransport> transport(new NativeTransport(options, handler, logger));
  for (const std::string& endpoint : options.listen) {
    Result<std::string> bound = transport->server_.Listen(endpoint, zmtp::EndpointKind::kRequests);
    if (!bound.ok()) return bound.status();
    transport->endpoints_.push_back(*bound);
  }
  if (const std::string feed = FeedEndpoint(options.feed, options.listen); !feed.empty()) {
    Result<std::string> bound = transport->server_.Listen(feed, zmtp::EndpointKind::kFeed);
    if (!bound.ok()) return FeedRefused(bound.status());
    transport->feed_endpoint_ = *bound;
  }
  options.started(transport.get());
  if (Status status = transport->server_.Start(); !status.ok()) return status;
  return transport;
}

void NativeTransport::OnThreadStarted(uint32_t io_thread) {
  threads_[io_thread].lane = handler_->NewLane();
}

void NativeTransport::OnThreadStopping(uint32_t io_thread) { threads_[io_thread].lane.reset(); }

uint64_t NativeTransport::PeerOf(const zmtp::Message& message) const {
  // The frames in front of the body as they came: flags:u8 length:u8, or flags:u8 length:u64, and
  // the content each (RFC 37, "Framing"). Those that name a peer are the ones that are neither
  // empty, a delimiter, nor of 4 bytes, the number of a correlating REQ's request.
  constexpr uint8_t kLong = 2;
  uint64_t peer = message.connection;
  for (std::string_view rest = message.envelope; !rest.empty();) {
    const bool is_long = (static_cast<uint8_t>(rest[0]) & kLong) != 0;
    const size_t head = is_long ? 9 : 2;
    const size_t size =
        is_long ? LoadBig<uint64_t>(rest.data() + 1) : static_cast<uint8_t>(rest[1]);
    if (size != 0 && size != 4) peer = peer * 31 + HashKey(rest.substr(head, size), secret_);
    rest.remove_prefix(head + size);
  }
  return peer;
}

void NativeTransport::OnMessages(uint32_t io_thread, std::span<const zmtp::Message> messages) {
  handling_.fetch_add(1);
  if (reading_.load()) {
    IoThread& thread = threads_[io_thread];
    thread.inbound.clear();
    for (const zmtp::Message& message : messages) {
      thread.inbound.push_back({.connection = message.connection,
                                .address = message.envelope,
                                .peer = PeerOf(message),
                                .body = message.body});
    }
    Sink sink(this);
    thread.lane->Handle(thread.inbound, &sink);
  }
  if (io_thread == 0) SweepAccount();
  handling_.fetch_sub(1);
  handling_.notify_all();
}

void NativeTransport::SweepAccount() {
  const int64_t now_us = MonotonicMicros();
  if (now_us - last_sweep_us_ < 1'000'000) return;
  last_sweep_us_ = now_us;
  account_.Sweep();
}

void NativeTransport::OnRefused(zmtp::Event reason, std::string_view address, uint64_t suppressed) {
  logger_.Refused("closed a connection of {}: {}{}", address, zmtp::EventName(reason),
                  suppressed > 0 ? fmt::format(", and {} more", suppressed) : "");
}

void NativeTransport::SendReply(uint64_t connection, std::string_view envelope,
                                const Reply& reply) {
  if (reply.pieces().empty()) {
    const zmtp::Piece body{reply.bytes().view()};
    server_.Send(connection, envelope, {&body, 1});
    return;
  }
  absl::InlinedVector<zmtp::Piece, 8> body;
  size_t taken = 0;
  const std::string_view bytes = reply.bytes().view();
  for (const Reply::Piece& piece : reply.pieces()) {
    if (piece.offset > taken) body.push_back({bytes.substr(taken, piece.offset - taken)});
    taken = piece.offset;
    ValueBlock* const block = piece.block.get();
    block->Ref();
    body.push_back({block->bytes(), block, ReleaseBlock});
  }
  if (bytes.size() > taken) body.push_back({bytes.substr(taken)});
  server_.Send(connection, envelope, body);
}

void NativeTransport::Send(std::vector<Outbound> replies) {
  // What is on its way to the connection's thread, or waits there, counts until it has left.
  struct Lent {
    char* memory;
    OutputAccount::Charge charge;
    static void Free(void* owner) {
      std::free(static_cast<Lent*>(owner)->memory);
      delete static_cast<Lent*>(owner);
    }
  };
  for (Outbound& outbound : replies) {
    Reply& reply = outbound.reply;
    const size_t size = reply.size();
    if (size <= kCopiedReplyBytes && !outbound.counted) {
      SendReply(outbound.connection, outbound.address, reply);
      continue;
    }
    auto lent = std::make_unique<Lent>();
    lent->charge = account_.Add(outbound.connection, size);
    if (reply.pieces().empty()) {
      lent->memory = reply.bytes().Release();
    } else {
      lent->memory = static_cast<char*>(std::malloc(size));
      CHECK(lent->memory != nullptr);
      reply.CopyTo(lent->memory);
    }
    const zmtp::Piece body{{lent->memory, size}, lent.get(), Lent::Free};
    lent.release();
    server_.Send(outbound.connection, outbound.address, {&body, 1});
  }
}

bool NativeTransport::TakesEvents(uint64_t connection) const {
  return account_.TakesEvents(connection);
}

void NativeTransport::Publish(Publications publications) {
  publications.ForEach([this](std::string_view key, std::string_view event) {
    const std::string_view frames[] = {key, event};
    server_.Publish(frames);
  });
}

void NativeTransport::OnOpened(zmtp::ConnectionHandle, zmtp::EndpointKind kind, std::string_view) {
  if (kind == zmtp::EndpointKind::kFeed) handler_->OnSubscriber();
}

void NativeTransport::OnClosed(zmtp::ConnectionHandle connection, zmtp::Event) {
  handler_->OnPeerGone(connection);
}

void NativeTransport::OnSentToNobody(zmtp::ConnectionHandle connection) {
  handler_->OnPeerGone(connection);
}

bool NativeTransport::TakesMore(uint64_t connection) const {
  if (!account_.TakesMore(connection)) return false;
  // While this much is on its way, only those run for whom nothing is: the connections' threads
  // close those that do not read, so it does not last.
  return account_.Waiting(connection) == 0 || account_.WaitingInAll() <= kOutputBytesInAll / 2;
}

void NativeTransport::StopReading() {
  server_.StopListening();
  // Sequentially consistent with OnMessages(): either it sees this, or its count is seen here.
  reading_.store(false);
  for (uint32_t handling = handling_.load(); handling != 0; handling = handling_.load()) {
    handling_.wait(handling);
  }
}

void NativeTransport::Stop() { server_.Stop(); }

void NativeTransport::AddStats(const StatAdder& add) const {
  for (size_t event = 1; event < zmtp::kEvents; ++event) {
    add(fmt::format("zmtp_{}", zmtp::EventName(static_cast<zmtp::Event>(event))),
        server_.counters().Get(static_cast<zmtp::Event>(event)));
  }
  add("output_waiting_bytes", const_cast<zmtp::Server&>(server_).HeldOutput());
  add("connections", const_cast<zmtp::Server&>(server_).Connections());
}

}  // namespace entrepot
