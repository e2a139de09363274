#include "feed/watch.h"

#include <algorithm>

#include "protocol/encoder.h"

namespace entrepot {

Watch::Watch(uint64_t id, Options options, const Ring* ring, Log* log, Store* store)
    : id_(id),
      must_see_(options.must_see),
      filter_(std::move(options.filter)),
      counts_credit_(options.credit.has_value()),
      ring_(*ring),
      store_(*store),
      credit_(static_cast<int64_t>(options.credit.value_or(0))),
      reader_(ring, log, options.after) {
  if (options.snapshot) walk_.emplace(store);
}

bool Watch::MatchedNot(std::string_view key, uint64_t version, const Query& query) {
  bool matched_not = false;
  store_.Read(store_.Hash(key), key, [&](const Entry* entry, uint64_t) {
    matched_not = entry != nullptr && entry->version() == version && !query.Matches(entry->value());
  });
  return matched_not;
}

Result<bool> Watch::ReadThrough(uint64_t through, const Server& server) {
  if (!HasCredit()) return reader_.position() >= std::min(through, ring_.newest());
  if (!server.may_read_log && !reader_.InRing()) return false;
  const auto visit = [&](const Record& record) {
    const auto wants = [&](std::string_view key) {
      return !walk_ || !walk_->Covers(key, record.revision);
    };
    const auto matched_not = [this](std::string_view key, uint64_t version, const Query& query) {
      return MatchedNot(key, version, query);
    };
    const uint32_t count = PackEvents(&events_, filter_, record, wants, matched_not);
    event_count_ += count;
    if (counts_credit_) credit_.fetch_sub(count);
    return HasCredit() && events_.size() < kFeedSliceBytes;
  };
  const Result<Ring::Outcome> outcome = reader_.Read(through, kFeedSliceBytes, visit);
  if (!outcome.ok()) return outcome.status();
  return *outcome == Ring::Outcome::kEnd;
}

Result<bool> Watch::AdvanceWalk(const Server& server) {
  if (!walk_->HasPage()) {
    if (starved_) return true;
    walk_->ReadPage(server.participant, filter_, server.now_ms, server.last_revision);
  }
  if (reader_.position() < walk_->page_begin()) {
    const Result<bool> end = ReadThrough(walk_->page_begin(), server);
    if (!end.ok() || reader_.position() < walk_->page_begin()) return end;
  }
  // What the page shows must have passed the gate.
  if (ring_.newest() < walk_->page_end()) return true;
  if (!walk_->AllTaken()) {
    if (!HasCredit()) return true;
    const uint64_t most = counts_credit_ ? static_cast<uint64_t>(credit_.load()) : UINT64_MAX;
    const uint32_t count = walk_->TakeEvents(most, kFeedSliceBytes, &events_);
    event_count_ += count;
    if (counts_credit_) credit_.fetch_sub(count);
    return false;
  }
  if (reader_.position() < walk_->page_end()) {
    const Result<bool> end = ReadThrough(walk_->page_end(), server);
    if (!end.ok() || reader_.position() < walk_->page_end()) return end;
  }
  walk_->EndPage();
  if (walk_->Done()) walk_.reset();
  return false;
}

Result<Watch::Progress> Watch::Advance(const Server& server, ByteBuffer* message) {
  const bool had_walk = walk_.has_value();
  if (HasCredit()) starved_ = false;
  const Result<bool> end = had_walk ? AdvanceWalk(server) : ReadThrough(UINT64_MAX, server);
  if (!end.ok()) return end.status();
  // A walk that is over has told the store at the position where it ended, no more.
  if (!synced_ && !walk_ && (had_walk || (*end && reader_.position() >= must_see_))) {
    sync_due_ = true;
  }
  if (event_count_ > 0 || sync_due_) Pack(message, nullptr);
  if (!HasCredit()) {
    if (walk_ && !walk_->AllTaken()) {
      starved_ = true;
      walk_->Cut();
    }
    return Progress::kIdle;
  }
  if (!server.may_read_log && !reader_.InRing()) return Progress::kBehind;
  return *end ? Progress::kIdle : Progress::kMore;
}

void Watch::Pack(ByteBuffer* message, const Status* error) {
  PackArray(message, 3);
  PackUnsigned(message, 2);
  PackString(message, "events");
  PackArray(message, 3);
  PackUnsigned(message, id_);
  PackArray(message, event_count_);
  message->Append(events_.view());
  PackMap(message, error != nullptr ? 3 : 2);
  PackName(message, "version");
  PackUnsigned(message, reader_.position());
  PackName(message, "synced");
  PackBool(message, sync_due_);
  if (error != nullptr) {
    PackName(message, "error");
    PackErrorMap(message, *error, /*retry_after_ms=*/0, reader_.Oldest());
  }
  if (sync_due_) synced_ = true;
  sync_due_ = false;
  // Most watches have nothing to tell most of the time.
  events_ = ByteBuffer();
  event_count_ = 0;
}

}  // namespace entrepot
