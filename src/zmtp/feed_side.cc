#include "zmtp/feed_side.h"

#include <string_view>

namespace entrepot::zmtp {

void FeedSide::Deliver(const Publication& publication) {
  const std::string_view bytes = publication.message.bytes();
  const std::string_view topic = bytes.substr(publication.topic_begin, publication.topic_bytes);
  uint64_t sent = 0;
  uint64_t dropped = 0;
  subscriptions_.Match(topic, [&](Subscriber* subscriber) {
    Connection& connection = *static_cast<Connection*>(subscriber->connection());
    if (connection.output().waiting_bytes() + bytes.size() > shared_.limits.subscriber_bytes) {
      ++dropped;
      return;
    }
    ++sent;
    if (bytes.size() >= kShareBytesMin) {
      output_.AppendPiece(connection, publication.message.ToPiece());
    } else {
      output_.AppendBytes(connection, bytes);
    }
  });
  if (sent != 0) shared_.counters.Add(Event::kMessagesSent, sent);
  if (dropped != 0) shared_.counters.Add(Event::kPublicationsDroppedOfSubscriber, dropped);
}

}  // namespace entrepot::zmtp
