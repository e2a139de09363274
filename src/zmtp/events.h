// What happens to connections, as names and counters: every refused case has its own.
//
// Thread safety: Counters may be used from any thread; its numbers are exact in the end and read
// without order between each other.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace entrepot::zmtp {

// The first ones close the connection or refuse it; from kConnectionsAccepted on they only count.
enum class Event : uint8_t {
  kNone,
  // The ordinary ends of a connection.
  kPeerClosed,      // End of stream between two messages.
  kSocketFailed,    // Reset or another error of the socket.
  kClosedByServer,  // Close() or Stop() of this library.
  // The handshake.
  kNotZmtp,             // The first bytes are no ZMTP signature.
  kOlderPeer,           // ZMTP 1.0 or 2.0.
  kMechanism,           // A security mechanism other than NULL.
  kHandshakeMalformed,  // Something else than a well-formed READY.
  kHandshakeTooLarge,   // A READY over its bound: a huge identity, for instance.
  kHandshakeTimeout,    // Half a greeting or READY, then silence.
  kSocketType,          // A socket type that cannot talk to this endpoint.
  // Traffic.
  kFrameMalformed,  // Reserved flags, a command with MORE, a size over 2^63 - 1.
  kTooManyFrames,
  kEnvelopeTooLarge,
  kBodyTooLarge,
  kCommandTooLarge,
  kCommandMalformed,   // A PING, PONG, SUBSCRIBE or CANCEL that is not as RFC 37 says.
  kCommandUnexpected,  // READY or ERROR after the handshake.
  kDiedInMessage,      // End of stream in the middle of a message or of the handshake.
  kTtlExpired,         // Silence for longer than the peer's last PING announced.
  kTooManySubscriptions,
  kSubscriptionTooLarge,
  // Memory and sockets.
  kOutputOfPeer,  // It does not read: its waiting output is over the bound.
  kInputInAll,    // All unfinished input is over its bound and this one holds most of it.
  kOutputInAll,   // All waiting output is over its bound and this one holds most of it.
  kConnectionsInAll,
  kConnectionsOfAddress,
  kDescriptors,  // No file descriptor was left for it.
  // Not an end: counted only.
  kConnectionsAccepted,
  kConnectionsOpened,  // The handshake is done.
  kConnectionsClosed,  // Of those accepted.
  kMessagesReceived,
  kMessagesSent,
  kBytesReceived,
  kBytesSent,
  kPings,
  kUnknownCommands,      // Ignored.
  kIdentitiesIgnored,    // An identity was announced.
  kFeedMessagesIgnored,  // A message from a subscriber that is no subscription.
  kReadingPaused,        // Reading stopped because the peer does not take its output.
  kReadingStalled,       // Reading stopped because unfinished input in all is near its bound.
  kPublicationsDropped,  // For all subscribers of a thread: the publisher is too fast.
  kPublicationsDroppedOfSubscriber,  // For one subscriber, whose queue is full.
};
inline constexpr size_t kEvents = static_cast<size_t>(Event::kPublicationsDroppedOfSubscriber) + 1;

// The name in statistics and logs, for instance "too_many_frames".
std::string_view EventName(Event event);

// Whether this end of a connection is a refusal, which is worth a line in the log.
constexpr bool IsRefusal(Event event) {
  return event >= Event::kNotZmtp && event < Event::kConnectionsAccepted;
}

class Counters {
 public:
  void Add(Event event, uint64_t by = 1) {
    counts_[static_cast<size_t>(event)].fetch_add(by, std::memory_order_relaxed);
  }
  uint64_t Get(Event event) const {
    return counts_[static_cast<size_t>(event)].load(std::memory_order_relaxed);
  }

 private:
  std::array<std::atomic<uint64_t>, kEvents> counts_{};
};

}  // namespace entrepot::zmtp
