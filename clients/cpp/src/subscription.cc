#include "entrepot/subscription.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "decode.h"
#include "entrepot/request.h"
#include "event_wire.h"
#include "subscription_reader.h"
#include "watch_state.h"

namespace entrepot {
namespace {

constexpr milliseconds kPauseFirst{20};
constexpr milliseconds kPauseMax{1000};
// In front of one event it makes an array of it.
constexpr char kArrayOfOne = '\x91';

// The feed's endpoint as one can connect to it: a server that listens everywhere names no address.
std::string Reachable(const std::string& feed, const std::string& server) {
  const size_t port = feed.rfind(':');
  const std::string_view address = std::string_view(feed).substr(0, port);
  const bool everywhere =
      address == "tcp://*" || address == "tcp://0.0.0.0" || address == "tcp://[::]";
  if (!everywhere || !server.starts_with("tcp://")) return feed;
  return server.substr(0, server.rfind(':')) + feed.substr(port);
}

}  // namespace

Subscription::Reader::Reader(std::shared_ptr<ClientCore> core, std::string key_prefix,
                             SubscribeOptions options, int wake_descriptor)
    : core_(std::move(core)),
      key_prefix_(std::move(key_prefix)),
      options_(std::move(options)),
      process_(getpid()),
      wake_descriptor_(wake_descriptor),
      state_(key_prefix_) {}

Subscription::Reader::~Reader() {
  // In a forked child the socket is the parent's: its memory stays, as it must.
  if (getpid() != process_) [[maybe_unused]]
    FeedSocket* const left = feed_.release();
  close(wake_descriptor_);
}

Result<std::unique_ptr<Subscription::Reader>> Subscription::Reader::Begin(
    std::shared_ptr<ClientCore> core, std::string key_prefix, SubscribeOptions options) {
  const int wake_descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_descriptor < 0) {
    return Status(StatusCode::kOverloaded,
                  std::string("no descriptor for a subscription: ") + std::strerror(errno));
  }
  const TimePoint deadline = Clock::now() + milliseconds(core->timeout_ms(options.call));
  std::unique_ptr<Reader> reader(
      new Reader(std::move(core), std::move(key_prefix), std::move(options), wake_descriptor));
  if (const Status opened = reader->Open(); !opened.ok()) return opened;
  while (!reader->state_.has_begun()) {
    if (Clock::now() >= deadline) {
      return Status(StatusCode::kTimeout,
                    "no heartbeat from the feed of " + reader->core_->endpoint());
    }
    if (const Status turned = reader->Turn(deadline); !turned.ok()) return turned;
  }
  return reader;
}

void Subscription::Reader::Close() {
  closed_.store(true);
  if (getpid() != process_) return;
  const uint64_t one = 1;
  // The only failure is a full counter, and then the reader is awake.
  [[maybe_unused]] const ssize_t written = write(wake_descriptor_, &one, sizeof one);
}

Result<Event> Subscription::Reader::Take(std::optional<TimePoint> until) {
  if (getpid() != process_) return Status(StatusCode::kClosed, "a subscription ends with a fork");
  while (true) {
    if (closed_.load()) return Status(StatusCode::kClosed, "the subscription was closed");
    if (!ready_.empty()) {
      Event event = std::move(ready_.front());
      ready_.pop_front();
      return event;
    }
    if (until && Clock::now() >= *until) {
      return Status(StatusCode::kTimeout, "nothing was published meanwhile");
    }
    if (Status turned = Turn(until.value_or(TimePoint::max())); !turned.ok()) return turned;
  }
}

Status Subscription::Reader::Turn(TimePoint until) {
  if (gap_) return Fetch(until);
  if (feed_ == nullptr) {
    const Status opened = Open();
    return opened.ok() ? opened : PauseAfter(opened, until);
  }
  if (const std::optional<FeedSocket::Message> message = feed_->Receive()) {
    return TakeMessage(message->key, message->body);
  }
  if (Clock::now() >= heard_ + kFeedSilence) {
    // The server may have moved: the next connection is found anew.
    feed_.reset();
    state_.Interrupted();
    return Status();
  }
  feed_->Wait(wake_descriptor_, std::min(until, heard_ + kFeedSilence));
  return Status();
}

Status Subscription::Reader::Open() {
  std::string endpoint = options_.feed;
  if (endpoint.empty()) {
    const Result<ServerInfo> hello = core_->Call(request::Hello(options_.call));
    if (!hello.ok()) return hello.status();
    if (hello->feed.empty()) {
      return Status(StatusCode::kInvalidArgument, core_->endpoint() + " publishes no feed");
    }
    endpoint = Reachable(hello->feed, core_->endpoint());
  }
  Result<std::unique_ptr<FeedSocket>> opened = FeedSocket::Open(endpoint, key_prefix_);
  if (!opened.ok()) return opened.status();
  feed_ = *std::move(opened);
  heard_ = Clock::now();
  return Status();
}

Status Subscription::Reader::TakeMessage(const std::string& key, const std::string& body) {
  if (key == kHeartbeatKey) return TakeHeartbeat(body);
  const std::string array = kArrayOfOne + body;
  WireReader reader(array);
  std::vector<Event> events;
  if (!ReadEvents(&reader, &events) || !reader.AtEnd()) return BadReply();
  for (Event& change : events) {
    if (!state_.IsNew(change)) continue;
    gap_ = state_.GapBefore(change);
    if (gap_) {
      held_ = std::move(change);
    } else {
      Tell(std::move(change));
    }
  }
  return Status();
}

Status Subscription::Reader::TakeHeartbeat(const std::string& body) {
  Token token;
  const bool whole = ForEachField(body, [&](std::string_view name, WireReader& value) {
    if (name == "history") return token.history = value.ReadString().value_or(""), true;
    if (name == "version") return token.revision = value.ReadUint().value_or(0), true;
    return false;
  });
  if (!whole || token.history.empty()) return BadReply();
  heard_ = Clock::now();
  pause_ = milliseconds{0};
  gap_ = state_.Heartbeat(token, heard_);
  if (const std::optional<event::Resync> resync = state_.TakeResync()) ready_.push_back(*resync);
  return Status();
}

Status Subscription::Reader::Fetch(TimePoint until) {
  const Result<ChangesPage> page =
      core_->Call(request::ChangesPage(gap_->since, gap_->key_prefix, {.call = options_.call}));
  if (!page.ok()) {
    const StatusCode code = page.status().code();
    if (code != StatusCode::kHistoryLost && code != StatusCode::kUnknownHistory) {
      return PauseAfter(page.status(), until);
    }
    state_.Lose(std::string(StatusCodeName(code)));
    gap_.reset();
    held_.reset();
    return Status();
  }
  pause_ = milliseconds{0};
  for (const Event& change : page->events) {
    const bool wanted = !gap_->of_one_key || *KeyOf(change) == gap_->key_prefix;
    if (wanted && VersionOf(change) <= gap_->until && state_.IsNew(change)) Tell(change);
  }
  if (page->more && page->token.revision < gap_->until) {
    gap_->since = page->token;
    return Status();
  }
  gap_.reset();
  if (held_) Tell(*std::exchange(held_, std::nullopt));
  // What has arrived meanwhile was not silence.
  heard_ = Clock::now();
  return Status();
}

void Subscription::Reader::Tell(Event change) {
  state_.Tell(change);
  ready_.push_back(std::move(change));
}

Status Subscription::Reader::PauseAfter(const Status& error, TimePoint until) {
  if (!PassesByItself(error)) return error;
  pause_ = std::clamp(pause_ * 2, kPauseFirst, kPauseMax);
  const TimePoint end = std::min(until, Clock::now() + pause_);
  const auto left_ms = std::chrono::ceil<milliseconds>(end - Clock::now()).count();
  pollfd closing = {wake_descriptor_, POLLIN, 0};
  poll(&closing, 1, static_cast<int>(std::max<int64_t>(0, left_ms)));
  return Status();
}

Subscription::Subscription(std::unique_ptr<Reader> reader) : reader_(std::move(reader)) {}

Subscription::~Subscription() = default;
Subscription::Subscription(Subscription&&) noexcept = default;
Subscription& Subscription::operator=(Subscription&&) noexcept = default;

Result<Event> Subscription::Next() { return Take(std::nullopt); }

Result<Event> Subscription::Next(milliseconds patience) { return Take(Clock::now() + patience); }

Result<Event> Subscription::Take(std::optional<TimePoint> until) {
  if (!status_.ok()) return status_;
  Result<Event> event = reader_->Take(until);
  const bool goes_on = event.ok() || event.status().code() == StatusCode::kTimeout;
  if (!goes_on && !reader_->closed()) status_ = event.status();
  return event;
}

void Subscription::Close() { reader_->Close(); }

void Subscription::Iterator::Step() {
  Result<Event> event = subscription_->Next();
  if (event.ok()) {
    subscription_->current_ = *std::move(event);
  } else {
    subscription_ = nullptr;
  }
}

}  // namespace entrepot
