// Methods of the change feed: watch, unwatch, credit and changes.
#include <utility>

#include <fmt/format.h>

#include "server/call.h"
#include "server/response.h"
#include "store/query.h"

namespace entrepot {

Status Commands::Call::CheckToken(const HistoryToken& token) {
  if (token.history != engine_.history()) {
    return Status(Code::kUnknownHistory,
                  fmt::format("this server's history is {}, not {}; take a new snapshot",
                              engine_.history(), Quoted(token.history)));
  }
  if (token.revision <= engine_.committer().last_revision()) return Status();
  oldest_ = engine_.committer().ring().oldest();
  return Status(Code::kHistoryLost,
                fmt::format("revision {} is not known here; take a new snapshot", token.revision));
}

EventFilter Commands::Call::FilterOf() const {
  EventFilter filter;
  filter.key_prefix = options_.key_prefix.value_or("");
  filter.values = !options_.no_values;
  return filter;
}

Status Commands::Call::StartWatch() {
  if (Status status = ReadParams(request_, 0, &options_); !status.ok()) return status;
  Watch::Options watch{.filter = FilterOf(),
                       .after = engine_.committer().open(),
                       .must_see = engine_.committer().open(),
                       .snapshot = options_.snapshot,
                       .credit = options_.credit};
  if (!options_.query.empty()) {
    Result<Query> query = Query::Read(options_.query);
    if (!query.ok()) return query.status();
    watch.filter.query = std::move(*query);
  }
  if (options_.since) {
    if (options_.snapshot) {
      return Status(Code::kInvalidArgument, "snapshot and since exclude one another");
    }
    if (Status status = CheckToken(*options_.since); !status.ok()) return status;
    watch.after = options_.since->revision;
    // Then it is looked for in the log.
    if (watch.after < engine_.committer().ring().oldest() && TooLong()) return Status();
  }
  if (request_.notification) {
    return Status(Code::kInvalidArgument, "a watch needs a request: its response tells the id");
  }
  uint64_t oldest = 0;
  const uint64_t version = watch.after;
  const Result<uint64_t> id = commands_.feed_.AddWatch(origin_, std::move(watch), &oldest);
  if (!id.ok()) {
    oldest_ = oldest;
    return id.status();
  }
  feed_work_->watches.push_back(*id);
  Head();
  PackMap(out_, 3);
  PackName(out_, "watch");
  PackUnsigned(out_, *id);
  PackName(out_, "history");
  PackString(out_, engine_.history());
  PackVersion(out_, version);
  return Status();
}

Status Commands::Call::FoundOrNot(bool found) {
  Head();
  PackMap(out_, 1);
  PackOutcome(out_, found ? Outcome::kOk : Outcome::kNotFound);
  return Status();
}

Status Commands::Call::Unwatch() {
  uint64_t id = 0;
  if (request_.param_count != 1) {
    return Status(Code::kInvalidArgument, "unwatch takes the id of a watch");
  }
  if (Status status = ReadCount("the id", request_.params[0], &id); !status.ok()) return status;
  return FoundOrNot(commands_.feed_.RemoveWatch(origin_, id));
}

Status Commands::Call::AddCredit() {
  uint64_t id = 0, events = 0;
  if (request_.param_count != 2) {
    return Status(Code::kInvalidArgument, "credit takes the id of a watch and a number");
  }
  if (Status status = ReadCount("the id", request_.params[0], &id); !status.ok()) return status;
  if (Status status = ReadCount("the credit", request_.params[1], &events); !status.ok()) {
    return status;
  }
  return FoundOrNot(commands_.feed_.AddCredit(origin_, id, events));
}

Status Commands::Call::Changes() {
  if (Status status = ReadParams(request_, 1, &options_); !status.ok()) return status;
  HistoryToken token;
  if (Status status = ReadHistoryToken(request_.params[0], &token); !status.ok()) return status;
  const uint64_t limit = options_.limit.value_or(kChangesLimitDefault);
  const uint64_t wait_ms = options_.wait_ms.value_or(0);
  if (limit > kChangesLimitMax || wait_ms > kChangesWaitMsMax) {
    return Status(Code::kInvalidArgument, fmt::format("limit is at most {}, wait_ms at most {}",
                                                      kChangesLimitMax, kChangesWaitMsMax));
  }
  if (Status status = CheckToken(token); !status.ok()) return status;
  if (request_.notification) return Status();
  if (feed_work_->polls.size() == kPollsOfBody || !commands_.feed_.MayPark(origin_.connection)) {
    return Status(Code::kOverloaded, fmt::format("too many calls of changes wait; a body may "
                                                 "have {}",
                                                 kPollsOfBody));
  }
  std::unique_ptr<Poll> poll = commands_.feed_.NewPoll(request_.msgid, token.revision);
  poll->filter = FilterOf();
  poll->limit = limit;
  poll->until_us = MonotonicMicros() + static_cast<int64_t>(wait_ms) * 1000;
  feed_work_->bytes += reply_->size();
  std::swap(poll->before, *reply_);
  feed_work_->polls.push_back(std::move(poll));
  return Status();
}

}  // namespace entrepot
