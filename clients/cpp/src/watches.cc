#include "watches.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "decode.h"

namespace entrepot {
namespace {

// The server tells something each second; after so much silence the connection counts as dead.
constexpr milliseconds kSilence{3000};
// The pause before a request that failed is made again, where the server names none.
constexpr milliseconds kBackoffFirst{20};
constexpr milliseconds kBackoffMax{1000};

}  // namespace

Watches::Watcher* Watches::Find(WatchNumber number) {
  const auto found = watchers_.find(number);
  return found == watchers_.end() ? nullptr : &found->second;
}

void Watches::Start(WatchStart start) {
  const WatchNumber number = start.number;
  Watcher& watcher = watchers_.emplace(number, Watcher{std::move(start)}).first->second;
  alarms_.emplace(watcher.alarm, number);
}

void Watches::Taken(WatchNumber number, uint64_t count) {
  Watcher* const watcher = Find(number);
  if (watcher == nullptr) return;
  watcher->start.state.Taken(count);
  GrantCredit(watcher);
}

void Watches::Close(WatchNumber number) {
  Watcher* const watcher = Find(number);
  if (watcher == nullptr) return;
  if (watcher->connection != 0) Unwatch(watcher->connection, watcher->id);
  Forget(watcher);
}

void Watches::CloseAll(const Status& status) {
  while (!watchers_.empty()) End(&watchers_.begin()->second, status);
}

void Watches::Take(uint64_t connection, WatchMessage message, TimePoint now) {
  const auto found = living_.find({connection, message.watch});
  if (found == living_.end()) {
    Unwatch(connection, message.watch);
    return;
  }
  Watcher* const watcher = found->second;
  watcher->heard = now;
  if (!message.whole) {
    Unwatch(connection, message.watch);
    End(watcher, BadReply());
    return;
  }
  const Status error = message.error;
  WatchState& state = watcher->start.state;
  WatchBatch batch = state.Told(std::move(message));
  watcher->start.queue->Push(std::move(batch), state.phase() == WatchState::Phase::kLive);
  if (error.ok()) {
    GrantCredit(watcher);
  } else {
    Leave(watcher, now);
    AskFailed(watcher, error, now);
  }
}

void Watches::ConnectionGone(uint64_t connection) {
  std::vector<Watcher*> gone;
  for (auto place = living_.lower_bound({connection, 0});
       place != living_.end() && place->first.first == connection; ++place) {
    gone.push_back(place->second);
  }
  for (Watcher* const watcher : gone) CutOff(watcher);
}

void Watches::Turn(TimePoint now) {
  while (!alarms_.empty() && alarms_.begin()->first <= now) {
    Watcher* const watcher = Find(alarms_.begin()->second);
    if (watcher->connection == 0) {
      Ask(watcher);
    } else if (watcher->heard + kSilence > now) {
      SetAlarm(watcher, watcher->heard + kSilence);
    } else {
      // All who live on it are cut off.
      host_.Renew(watcher->connection);
    }
  }
}

TimePoint Watches::NextTurn() const {
  return alarms_.empty() ? TimePoint::max() : alarms_.begin()->first;
}

void Watches::Ask(Watcher* watcher) {
  SetAlarm(watcher, TimePoint::max());
  const WatchNumber number = watcher->start.number;
  host_.Ask(watcher->start.state.Request(), watcher->start.timeout, watcher->start.retries,
            [this, number](const Reply& reply, uint64_t connection, TimePoint now) {
              Answered(number, reply, connection, now);
            });
}

void Watches::Answered(WatchNumber number, const Reply& reply, uint64_t connection, TimePoint now) {
  Watcher* const watcher = Find(number);
  if (watcher == nullptr) return;  // It was closed; its first message will be answered.
  if (!reply.ok()) {
    AskFailed(watcher, reply.status(), now);
    return;
  }
  WatchState& state = watcher->start.state;
  const bool is_first = !state.has_begun();
  const std::optional<uint64_t> id = state.Accepted(*reply);
  if (!id) {
    AskFailed(watcher, BadReply(), now);
    return;
  }
  watcher->backoff = milliseconds{0};
  if (connection == host_.current_connection()) {
    watcher->connection = connection;
    watcher->id = *id;
    watcher->heard = now;
    living_[{connection, *id}] = watcher;
    SetAlarm(watcher, now + kSilence);
    watcher->start.queue->Push({{}, state.token()}, /*live=*/false);
  } else {
    watcher->start.queue->Push(state.CutOff(), /*live=*/false);
    SetAlarm(watcher, now);
  }
  if (is_first) std::exchange(watcher->start.begun, nullptr)(Status());
}

void Watches::AskFailed(Watcher* watcher, const Status& error, TimePoint now) {
  WatchState& state = watcher->start.state;
  if (std::optional<WatchBatch> resync = state.Refused(error)) {
    watcher->start.queue->Push(*std::move(resync), /*live=*/false);
    SetAlarm(watcher, now);
  } else if (state.has_begun() && PassesByItself(error)) {
    watcher->start.queue->Push(state.CutOff(), /*live=*/false);
    watcher->backoff = std::clamp(watcher->backoff * 2, kBackoffFirst, kBackoffMax);
    const milliseconds advised{error.retry_after_ms()};
    SetAlarm(watcher, now + (advised.count() > 0 ? advised : watcher->backoff));
  } else {
    End(watcher, error);
  }
}

void Watches::Leave(Watcher* watcher, TimePoint ask_at) {
  living_.erase({watcher->connection, watcher->id});
  watcher->connection = 0;
  SetAlarm(watcher, ask_at);
}

void Watches::CutOff(Watcher* watcher) {
  Leave(watcher, TimePoint{});
  watcher->start.queue->Push(watcher->start.state.CutOff(), /*live=*/false);
}

void Watches::GrantCredit(Watcher* watcher) {
  const uint64_t credit = watcher->start.state.TakeCreditDue();
  if (credit == 0) return;
  host_.Notify(watcher->connection, WireRequest("credit").Add(watcher->id).Add(credit));
}

void Watches::SetAlarm(Watcher* watcher, TimePoint alarm) {
  alarms_.erase({watcher->alarm, watcher->start.number});
  watcher->alarm = alarm;
  alarms_.emplace(alarm, watcher->start.number);
}

void Watches::Unwatch(uint64_t connection, uint64_t id) {
  host_.Notify(connection, WireRequest("unwatch").Add(id));
}

void Watches::End(Watcher* watcher, const Status& error) {
  if (watcher->start.begun) {
    std::exchange(watcher->start.begun, nullptr)(error);
  } else {
    watcher->start.queue->End(error);
  }
  Forget(watcher);
}

void Watches::Forget(Watcher* watcher) {
  if (watcher->connection != 0) living_.erase({watcher->connection, watcher->id});
  alarms_.erase({watcher->alarm, watcher->start.number});
  watchers_.erase(watcher->start.number);
}

}  // namespace entrepot
