#include "zmtp/server.h"

#include <utility>

#include "zmtp/frame.h"

namespace entrepot::zmtp {

Server::Server(const ServerOptions& options, Handler& handler)
    : common_(options.limits, handler), acceptor_(common_) {
  CHECK(options.io_threads >= 1 && options.io_threads <= kIoThreadsMax);
  for (uint32_t i = 0; i < options.io_threads; ++i) {
    common_.io_threads.push_back(std::make_unique<IoThread>(i, common_));
  }
}

Server::~Server() { Stop(); }

Result<std::string> Server::Listen(const std::string& endpoint, EndpointKind kind) {
  return acceptor_.Listen(endpoint, kind);
}

Status Server::Start() {
  CHECK(!is_running_);
  is_running_ = true;
  for (const auto& thread : common_.io_threads) {
    if (Status status = thread->Start(); !status.ok()) {
      Stop();
      return status;
    }
  }
  acceptor_.Start();
  return {};
}

void Server::StopListening() { acceptor_.Stop(); }

void Server::Stop() {
  acceptor_.Stop();
  if (!std::exchange(is_running_, false)) return;
  for (const auto& thread : common_.io_threads) thread->RequestStop();
  for (const auto& thread : common_.io_threads) thread->Join();
}

IoThread* Server::ThreadOf(ConnectionHandle connection) const {
  const uint32_t index = IoThreadOf(connection);
  return index < common_.io_threads.size() ? common_.io_threads[index].get() : nullptr;
}

SendResult Server::Send(ConnectionHandle connection, std::string_view envelope,
                        std::span<const Piece> body) {
  IoThread* const thread = ThreadOf(connection);
  if (thread == nullptr) {
    ReleasePieces(body);
    return SendResult::kGone;
  }
  if (thread->IsCurrent()) return thread->Send(connection, envelope, body);

  const size_t body_bytes = PiecesBytes(body);
  char header[kLongHeaderBytes];
  std::string head(envelope);
  head.append(header, StoreFrameHeader(header, 0, body_bytes));
  Budget& budget = common_.shared.output_budget;
  if (budget.total() + head.size() + body_bytes > budget.bytes_max()) {
    ReleasePieces(body);
    Close(connection);
    return SendResult::kOverloaded;
  }
  budget.AddUnassigned(head.size() + body_bytes);
  common_.shared.counters.Add(Event::kMessagesSent);
  thread->inbox().PostMessage(connection, head, body);
  return SendResult::kQueued;
}

size_t Server::WaitingOutput(ConnectionHandle connection) const {
  const IoThread* const thread = ThreadOf(connection);
  CHECK(thread != nullptr && thread->IsCurrent());
  return thread->WaitingOutput(connection);
}

void Server::PauseReading(ConnectionHandle connection) {
  Order(connection, ConnectionOrder::Kind::kPauseReading);
}

void Server::ResumeReading(ConnectionHandle connection) {
  Order(connection, ConnectionOrder::Kind::kResumeReading);
}

void Server::Close(ConnectionHandle connection) {
  Order(connection, ConnectionOrder::Kind::kClose);
}

void Server::Order(ConnectionHandle connection, ConnectionOrder::Kind kind) {
  IoThread* const thread = ThreadOf(connection);
  if (thread == nullptr) return;
  const ConnectionOrder order{connection, kind};
  if (thread->IsCurrent()) {
    thread->Obey(order);
  } else {
    thread->inbox().Post(order);
  }
}

bool Server::HasSubscribers() const {
  for (const auto& thread : common_.io_threads) {
    if (thread->has_subscribers()) return true;
  }
  return false;
}

bool Server::TakesPublications() const {
  for (const auto& thread : common_.io_threads) {
    if (thread->inbox().publish_bytes() >= kPublishSliceBytes) return false;
  }
  return true;
}

void Server::Publish(std::span<const std::string_view> frames) {
  CHECK(!frames.empty() && frames.size() <= common_.shared.limits.frames);
  if (!HasSubscribers()) return;
  std::string bytes;
  for (const std::string_view& frame : frames) {
    char header[kLongHeaderBytes];
    const uint8_t flags = &frame == &frames.back() ? 0 : kFlagMore;
    bytes.append(header, StoreFrameHeader(header, flags, frame.size()));
    bytes.append(frame);
  }
  const Publication publication{SharedBytesRef(std::move(bytes)),
                                FrameHeaderBytes(frames.front().size()), frames.front().size()};
  for (const auto& thread : common_.io_threads) {
    if (!thread->has_subscribers()) continue;
    if (!thread->inbox().PostPublication(publication, common_.shared.limits.publish_bytes)) {
      common_.shared.counters.Add(Event::kPublicationsDropped);
    }
  }
}

}  // namespace entrepot::zmtp
