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
    const size_t waiting = connection.output().waiting_bytes();
    // Where many are slow, what waits for all of them must not close anyone: answers to requests
    // keep a half of the room. What is only not written yet does not count: who reads loses nothing
    // because others do not.
    const bool is_full_in_all = connection.wants_write && shared_.output_budget.total() >=
                                                              shared_.output_budget.bytes_max() / 2;
    if (is_full_in_all || waiting + bytes.size() > shared_.limits.subscriber_bytes) {
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
