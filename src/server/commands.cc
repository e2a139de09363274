#include "server/commands.h"

#include <utility>

#include <fmt/format.h>

#include "server/call.h"
#include "server/response.h"

namespace entrepot {

namespace {

constexpr int64_t kStartingRetryMs = 100;

}  // namespace

Status Commands::Call::RunMethod() {
  if (!engine_.ready() && request_.method != Method::kHello && request_.method != Method::kPing &&
      request_.method != Method::kStats && request_.method != Method::kUnknown) {
    retry_after_ms_ = kStartingRetryMs;
    return Status(Code::kUnavailable, "the server is starting: it reads its data");
  }
  switch (request_.method) {
    case Method::kGet:
      return Get();
    case Method::kSet:
    case Method::kDelete:
    case Method::kIncrement:
    case Method::kAppend:
    case Method::kPrepend:
    case Method::kTouch:
      return Write();
    case Method::kHello:
      return Hello();
    case Method::kPing:
      return Ping();
    case Method::kGetMany:
      return GetMany();
    case Method::kTransact:
      return Transact();
    case Method::kFind:
      return Page(IndexOrder::kByValue);
    case Method::kScan:
      return Page(IndexOrder::kByKey);
    case Method::kCount:
      return Count();
    case Method::kDeletePrefix:
      return DeletePrefix();
    case Method::kSync:
      return Sync();
    case Method::kStats:
      return Stats();
    case Method::kWatch:
      return StartWatch();
    case Method::kUnwatch:
      return Unwatch();
    case Method::kCredit:
      return AddCredit();
    case Method::kChanges:
      return Changes();
    case Method::kSave:
      return Save();
    case Method::kBackup:
      return Backup();
    case Method::kUnknown:
      break;
  }
  return Status(Code::kUnknownMethod,
                fmt::format("there is no method {}", Quoted(request_.method_name)));
}

Status Commands::Call::Get() {
  Operation get;
  if (Status status = ReadOperation(request_, engine_.limits(), &get, &options_); !status.ok()) {
    return status;
  }
  engine_.Get(&thread_->engine, get.hash, get.key, &gate_, [&](const Entry* entry, int64_t ttl_ms) {
    Head();
    if (entry == nullptr) {
      PackMap(out_, 2);
      PackOutcome(out_, Outcome::kNotFound);
      PackVersion(out_, 0);
    } else if (get.unless_version && *get.unless_version == entry->version()) {
      PackMap(out_, 2);
      PackOutcome(out_, Outcome::kUnchanged);
      PackVersion(out_, entry->version());
    } else {
      PackMap(out_, ttl_ms != 0 ? 4 : 3);
      PackOutcome(out_, Outcome::kFound);
      PackVersion(out_, entry->version());
      PackName(out_, "value");
      AppendValue(reply_, *entry);
      if (ttl_ms != 0) {
        PackName(out_, "ttl_ms");
        PackSigned(out_, ttl_ms);
      }
    }
  });
  Acknowledged();
  return Status();
}

bool Commands::Call::Replayed(Status* status) {
  if (!options_.once) return false;
  Result<std::unique_ptr<Retries::Attempt>> begun =
      engine_.retries().Begin(*options_.once, engine_.NowMs());
  if (!begun.ok()) {
    *status = begun.status();
    return true;
  }
  attempt_ = std::move(*begun);
  if (attempt_->runs_elsewhere()) {
    // Without room for two of it: it is run again, as where the commit queue is full.
    attempt_.reset();
    no_room_ = true;
    return true;
  }
  const RetryOutcome* const replayed = attempt_->replayed();
  if (replayed == nullptr) return false;
  // It waits for the original revision, or, where that changed nothing, for what is there now:
  // the outcome itself is to be durable.
  gate_.Add(
      {.open = replayed->version != 0 ? replayed->version : engine_.committer().last_revision()});
  Head();
  PackReplay(out_, request_.method, *replayed);
  thread_->metrics->replays.Add(1);
  Acknowledged();
  return true;
}

Status Commands::Call::Engines(const Status& status) {
  no_room_ = status.code() == Code::kOverloaded;
  return status;
}

Status Commands::Call::Write() {
  Operation operation;
  Status status = ReadOperation(request_, engine_.limits(), &operation, &options_);
  if (!status.ok() || Replayed(&status)) return status;
  OperationResult result;
  status = engine_.Write(&thread_->engine, operation, attempt_.get(), ReplyRoom(), &result, &gate_);
  Acknowledged();
  if (!status.ok()) return Engines(status);
  Head();
  AppendResult(reply_, &result);
  return Status();
}

void Commands::SetFacts(ServerFacts facts, StatsSource stats) {
  facts_ = std::move(facts);
  stats_ = std::move(stats);
}

void Commands::Refuse(const Request& request, const Status& status, CommandThread* thread,
                      Reply* reply) {
  if (status.code() == Code::kMalformed || status.code() == Code::kTooLarge) {
    logger_->Refused("refused a request: {}", status.message());
  }
  thread->metrics->errors[static_cast<size_t>(status.code())].Add(1);
  // A notification that cannot be read is answered all the same: nobody else would tell its sender.
  if (request.notification && status.code() != Code::kMalformed) {
    thread->metrics->notifications_failed.Add(1);
    return;
  }
  PackError(&reply->bytes(), request.msgid, status);
}

Commands::Verdict Commands::Run(const Request& request, const Origin& origin, bool long_allowed,
                                CommandThread* thread, CountWalk* walk, FeedWork* feed_work,
                                Reply* reply, Gate* gate) {
  if (request.error == Code::kMalformed) {
    Refuse(request, Status(Code::kMalformed, "this is no msgpack-rpc request; see the protocol"),
           thread, reply);
    return Verdict::kMalformed;
  }
  if (request.error == Code::kInvalidArgument) {
    Refuse(request,
           Status(Code::kInvalidArgument,
                  fmt::format("{} has too many params", MethodName(request.method))),
           thread, reply);
    return Verdict::kDone;
  }
  const Reply::Mark mark = reply->Here();
  Call call(this, request, origin, long_allowed, thread, walk, feed_work, reply);
  const Status status = call.RunMethod();
  if (call.too_long() || call.no_room()) {
    reply->GoBack(mark);
    return call.too_long() ? Verdict::kLong : Verdict::kNoRoom;
  }
  if (call.waits()) return Verdict::kWaits;
  gate->Add(call.gate());
  if (call.unfinished()) return Verdict::kUnfinished;
  thread->metrics->requests[static_cast<size_t>(request.method)].Add(1);
  if (status.ok()) {
    // A notification has no response.
    if (request.notification) reply->GoBack(mark);
    return Verdict::kDone;
  }
  reply->GoBack(mark);
  thread->metrics->errors[static_cast<size_t>(status.code())].Add(1);
  if (request.notification && status.code() != Code::kMalformed) {
    thread->metrics->notifications_failed.Add(1);
  } else {
    PackError(&reply->bytes(), request.msgid, status, call.retry_after_ms(), call.oldest());
  }
  return status.code() == Code::kMalformed ? Verdict::kMalformed : Verdict::kDone;
}

}  // namespace entrepot
