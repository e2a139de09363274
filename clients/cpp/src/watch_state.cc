#include "watch_state.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "decode.h"

namespace entrepot {

bool PassesByItself(const Status& error) {
  switch (error.code()) {
    case StatusCode::kUnreachable:
    case StatusCode::kTimeout:
    case StatusCode::kConnectionLost:
    case StatusCode::kOverloaded:
    case StatusCode::kUnavailable:
      return true;
    default:
      return false;
  }
}

WatchState::WatchState(std::string key_prefix, WatchOptions options)
    : key_prefix_(std::move(key_prefix)),
      options_(std::move(options)),
      token_(options_.since),
      takes_snapshot_(!options_.since && options_.snapshot) {}

WireRequest WatchState::Request() {
  allowed_ = std::max<int64_t>(1, static_cast<int64_t>(options_.credit) - untaken_);
  WireRequest request("watch");
  if (!key_prefix_.empty()) request.Option("key_prefix", Value::TextOrBytes(key_prefix_));
  if (options_.query) request.Option("query", options_.query->encoded());
  resumes_after_.reset();
  if (takes_snapshot_) {
    request.Option("snapshot", true);
  } else if (token_) {
    request.Option("since", EncodeToken(*token_));
    if (has_begun_) resumes_after_ = token_->revision;
  }
  request.Option("values", options_.values);
  return request.Option("credit", allowed_);
}

std::optional<uint64_t> WatchState::Accepted(std::string_view result) {
  std::optional<uint64_t> watch;
  std::optional<uint64_t> version;
  std::string history;
  const bool whole = ForEachField(result, [&](std::string_view name, WireReader& value) {
    if (name == "watch") return watch = value.ReadUint(), true;
    if (name == "history") return history = value.ReadString().value_or(""), true;
    if (name == "version") return version = value.ReadUint(), true;
    return false;
  });
  if (!whole || !watch || !version || history.empty()) return std::nullopt;
  history_ = std::move(history);
  if (!token_ && !takes_snapshot_) token_ = Token{history_, *version};
  phase_ = Phase::kTelling;
  has_begun_ = true;
  return watch;
}

std::optional<WatchBatch> WatchState::Refused(const Status& error) {
  if (error.code() != StatusCode::kHistoryLost && error.code() != StatusCode::kUnknownHistory) {
    return std::nullopt;
  }
  phase_ = Phase::kAsking;
  return BeginAgain(StatusCodeName(error.code()));
}

WatchBatch WatchState::CutOff() {
  const bool was_telling = phase_ == Phase::kTelling;
  phase_ = Phase::kAsking;
  if (was_telling && takes_snapshot_) return BeginAgain("interrupted");
  return {{}, token_};
}

WatchBatch WatchState::Told(WatchMessage message) {
  allowed_ -= static_cast<int64_t>(message.told_count);
  WatchBatch batch{std::move(message.events), std::nullopt};
  const Token told{history_, message.version};
  if (message.synced) {
    phase_ = Phase::kLive;
    takes_snapshot_ = false;
    batch.events.emplace_back(event::Synced{told, resumes_after_});
  }
  untaken_ += static_cast<int64_t>(batch.events.size());
  if (!takes_snapshot_) {
    token_ = told;
    batch.token = told;
  }
  return batch;
}

uint64_t WatchState::TakeCreditDue() {
  if (phase_ == Phase::kAsking) return 0;
  const int64_t credit = static_cast<int64_t>(options_.credit);
  const int64_t room = credit - untaken_ - allowed_;
  if (2 * room < credit) return 0;
  allowed_ += room;
  return static_cast<uint64_t>(room);
}

WatchBatch WatchState::BeginAgain(std::string_view reason) {
  token_.reset();
  takes_snapshot_ = true;
  ++untaken_;
  return {{event::Resync{std::string(reason)}}, std::nullopt};
}

}  // namespace entrepot
