#include "zmtp/endings.h"

namespace entrepot::zmtp {
namespace {

// After these there is no use in telling the peer anything, or no memory to do so.
bool EndsAtOnce(Event reason) {
  switch (reason) {
    case Event::kSocketFailed:
    case Event::kDiedInMessage:
    case Event::kTtlExpired:
    case Event::kHandshakeTimeout:
    case Event::kOutputOfPeer:
    case Event::kInputInAll:
    case Event::kOutputInAll:
    case Event::kDescriptors:
      return true;
    default:
      return false;
  }
}

}  // namespace

Endings::Endings(Common& common, ConnectionTable& connections, OutputSide& output, FeedSide& feed,
                 Deadlines& deadlines)
    : common_(common),
      connections_(connections),
      output_(output),
      feed_(feed),
      deadlines_(deadlines) {}

void Endings::EndLater(const Connection& connection, Event reason) {
  noted_.emplace_back(connection.handle(), reason);
}

void Endings::EndNoted(int64_t now_micros) {
  for (const auto& [handle, reason] : noted_) {
    Connection* const connection = connections_.Find(handle);
    if (connection != nullptr && connection->state() == Connection::State::kOpen) {
      End(*connection, reason, now_micros);
    }
  }
  noted_.clear();
}

void Endings::End(Connection& connection, Event reason, int64_t now_micros) {
  if (connection.state() != Connection::State::kOpen) return Kill(connection);
  ended_.push_back(&connection);
  connection.set_end_reason(reason);
  const bool has_nothing_to_say = connection.has_peer_finished() && connection.output().empty();
  if (EndsAtOnce(reason) || has_nothing_to_say) return Kill(connection);

  connection.Drain(now_micros + common_.shared.limits.linger_ms * 1000);
  deadlines_.Schedule(connection.handle(), connection.DeadlineMicros(),
                      &connection.scheduled_micros);
  output_.MarkDirty(connection);
}

void Endings::Kill(Connection& connection) {
  if (connection.state() == Connection::State::kClosed) return;
  connection.Close();
  killed_.push_back(connection.handle());
}

void Endings::TellClosed() {
  // The handler may send, and that may end others.
  for (size_t i = 0; i < ended_.size(); ++i) {
    const Connection& connection = *ended_[i];
    const Event reason = connection.end_reason();
    if (IsRefusal(reason)) {
      common_.refusals.Note(reason, connection.address());
    } else {
      common_.shared.counters.Add(reason);
    }
    if (!connection.is_opened) continue;
    feed_.OnClosed(connection);
    common_.handler.OnClosed(connection.handle(), reason);
  }
  ended_.clear();
}

void Endings::DestroyKilled() {
  std::vector<ConnectionHandle> kept;
  for (const ConnectionHandle handle : killed_) {
    Connection* const connection = connections_.Find(handle);
    CHECK(connection != nullptr);
    if (connection->is_dirty) {
      kept.push_back(handle);  // The next Flush() takes it out of its list.
      continue;
    }
    deadlines_.Cancel(handle, &connection->scheduled_micros);
    common_.addresses.Remove(connection->address());
    common_.shared.counters.Add(Event::kConnectionsClosed);
    connections_.Remove(handle);
  }
  killed_.swap(kept);
}

}  // namespace entrepot::zmtp
