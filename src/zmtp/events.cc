#include "zmtp/events.h"

namespace entrepot::zmtp {

std::string_view EventName(Event event) {
  switch (event) {
    case Event::kNone:
      return "none";
    case Event::kPeerClosed:
      return "peer_closed";
    case Event::kSocketFailed:
      return "socket_failed";
    case Event::kClosedByServer:
      return "closed_by_server";
    case Event::kNotZmtp:
      return "not_zmtp";
    case Event::kOlderPeer:
      return "older_peer";
    case Event::kMechanism:
      return "mechanism";
    case Event::kHandshakeMalformed:
      return "handshake_malformed";
    case Event::kHandshakeTooLarge:
      return "handshake_too_large";
    case Event::kHandshakeTimeout:
      return "handshake_timeout";
    case Event::kSocketType:
      return "socket_type";
    case Event::kFrameMalformed:
      return "frame_malformed";
    case Event::kTooManyFrames:
      return "too_many_frames";
    case Event::kEnvelopeTooLarge:
      return "envelope_too_large";
    case Event::kBodyTooLarge:
      return "body_too_large";
    case Event::kCommandTooLarge:
      return "command_too_large";
    case Event::kCommandMalformed:
      return "command_malformed";
    case Event::kCommandUnexpected:
      return "command_unexpected";
    case Event::kDiedInMessage:
      return "died_in_message";
    case Event::kTtlExpired:
      return "ttl_expired";
    case Event::kTooManySubscriptions:
      return "too_many_subscriptions";
    case Event::kSubscriptionTooLarge:
      return "subscription_too_large";
    case Event::kOutputOfPeer:
      return "output_of_peer";
    case Event::kInputInAll:
      return "input_in_all";
    case Event::kOutputInAll:
      return "output_in_all";
    case Event::kConnectionsInAll:
      return "connections_in_all";
    case Event::kConnectionsOfAddress:
      return "connections_of_address";
    case Event::kDescriptors:
      return "descriptors";
    case Event::kConnectionsAccepted:
      return "connections_accepted";
    case Event::kConnectionsOpened:
      return "connections_opened";
    case Event::kConnectionsClosed:
      return "connections_closed";
    case Event::kMessagesReceived:
      return "messages_received";
    case Event::kMessagesSent:
      return "messages_sent";
    case Event::kBytesReceived:
      return "bytes_received";
    case Event::kBytesSent:
      return "bytes_sent";
    case Event::kPings:
      return "pings";
    case Event::kUnknownCommands:
      return "unknown_commands";
    case Event::kIdentitiesIgnored:
      return "identities_ignored";
    case Event::kFeedMessagesIgnored:
      return "feed_messages_ignored";
    case Event::kReadingPaused:
      return "reading_paused";
    case Event::kReadingStalled:
      return "reading_stalled";
    case Event::kPublicationsDropped:
      return "publications_dropped";
    case Event::kPublicationsDroppedOfSubscriber:
      return "publications_dropped_of_subscriber";
  }
  return "none";
}

}  // namespace entrepot::zmtp
