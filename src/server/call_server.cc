// Methods of the server itself: hello, ping, sync, save, backup and stats.
#include <algorithm>
#include <iterator>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "server/call.h"
#include "server/response.h"

namespace entrepot {

namespace {

// What a server does not have that keeps its data in memory only.
constexpr Method kFolderMethods[] = {Method::kSave, Method::kBackup};

bool NeedsFolder(Method method) {
  return std::find(std::begin(kFolderMethods), std::end(kFolderMethods), method) !=
         std::end(kFolderMethods);
}

}  // namespace

Status Commands::Call::Hello() {
  if (request_.param_count > 1) {
    return Status(Code::kInvalidArgument, "hello takes a map of options only");
  }
  if (Status status = ReadOptions(Method::kHello, request_.params[0], &options_); !status.ok()) {
    return status;
  }
  std::string session;
  if (options_.session) {
    Result<SessionId> opened =
        engine_.OpenSession(&thread_->engine, origin_.connection, &gate_, &no_room_);
    if (!opened.ok()) return opened.status();
    session = opened->ToString();
  }
  const ServerFacts& facts = commands_.facts_;
  const Limits& limits = engine_.limits();
  Head();
  PackMap(out_, 9u + (session.empty() ? 0 : 1));
  PackName(out_, "server");
  PackString(out_, facts.server);
  PackName(out_, "protocol");
  PackUnsigned(out_, 1);
  PackName(out_, "history");
  PackString(out_, engine_.history());
  PackVersion(out_, engine_.committer().synced());
  PackName(out_, "features");
  const size_t left_out = facts.data == nullptr ? std::size(kFolderMethods) : 0;
  PackArray(out_, static_cast<uint32_t>(kMethods - 1 - left_out + 2));
  for (size_t i = 1; i < kMethods; ++i) {
    const Method method = static_cast<Method>(i);
    if (left_out == 0 || !NeedsFolder(method)) PackString(out_, MethodName(method));
  }
  PackString(out_, "once");
  PackString(out_, "durable");
  PackName(out_, "limits");
  const std::pair<std::string_view, size_t> told[] = {
      {"key_bytes", limits.key_bytes},
      {"value_bytes", limits.value_bytes},
      {"body_bytes", limits.body_bytes},
      {"reply_bytes", limits.reply_bytes},
      {"nesting", limits.nesting},
      {"requests", limits.requests},
      {"get_many_keys", limits.get_many_keys},
      {"transact_operations", limits.transact_operations},
      {"frames", kFramesMax}};
  PackMap(out_, std::size(told));
  for (const auto& [name, value] : told) {
    PackString(out_, name);
    PackUnsigned(out_, value);
  }
  PackName(out_, "endpoints");
  PackMap(out_, 3);
  PackName(out_, "listen");
  PackArray(out_, static_cast<uint32_t>(facts.listen.size()));
  for (const std::string& endpoint : facts.listen) PackString(out_, endpoint);
  PackName(out_, "feed");
  facts.feed.empty() ? PackNil(out_) : PackString(out_, facts.feed);
  PackName(out_, "admin");
  facts.admin.empty() ? PackNil(out_) : PackString(out_, facts.admin);
  PackName(out_, "sync");
  PackString(out_, facts.sync);
  PackName(out_, "now_ms");
  PackSigned(out_, engine_.NowMs());
  if (!session.empty()) {
    PackName(out_, "session");
    PackString(out_, session);
  }
  return Status();
}

Status Commands::Call::NoParams() {
  if (request_.param_count == 0) return Status();
  return Status(Code::kInvalidArgument,
                fmt::format("{} takes no params", MethodName(request_.method)));
}

Status Commands::Call::Ping() {
  if (Status status = NoParams(); !status.ok()) return status;
  Head();
  PackMap(out_, 1);
  PackOutcome(out_, Outcome::kOk);
  return Status();
}

Status Commands::Call::Sync() {
  if (Status status = NoParams(); !status.ok()) return status;
  // All that anybody has written so far covers what this peer has.
  const uint64_t revision = engine_.committer().last_revision();
  gate_.Add({.open = revision, .open_record = engine_.committer().last_record()});
  Durable();
  Head();
  PackMap(out_, 1);
  PackVersion(out_, revision);
  return Status();
}

Status Commands::Call::Save() {
  if (Status status = NoParams(); !status.ok()) return status;
  return WaitForFolder({});
}

Status Commands::Call::Backup() {
  MsgpackReader reader(request_.params[0]);
  Token token;
  if (request_.param_count != 1 || !reader.Next(&token) || token.type != Token::kString) {
    return Status(Code::kInvalidArgument, "backup takes the path of a folder, a str");
  }
  if (!token.bytes.starts_with('/') || token.bytes.find('\0') != token.bytes.npos) {
    return Status(Code::kInvalidArgument,
                  fmt::format("backup takes an absolute path on the server's machine, not {}",
                              Quoted(token.bytes)));
  }
  std::string_view destination = token.bytes;
  while (destination.size() > 1 && destination.ends_with('/')) destination.remove_suffix(1);
  return WaitForFolder(destination);
}

Status Commands::Call::WaitForFolder(std::string_view destination) {
  DataFolder* const data = commands_.facts_.data;
  if (data == nullptr) {
    return Status(Code::kUnknownMethod,
                  fmt::format("this server keeps its data in memory only (--data none), so it "
                              "has no method {}",
                              MethodName(request_.method)));
  }
  if (TooLong()) return Status();
  if (walk_->task == nullptr) {
    Result<std::shared_ptr<const SnapshotTask>> asked =
        data->snapshotter()->Ask(std::string(destination));
    if (!asked.ok()) return asked.status();
    walk_->task = *asked;
  }
  waits_ = !walk_->task->done();
  if (waits_) return Status();
  const Result<uint64_t> outcome = std::exchange(walk_->task, nullptr)->outcome();
  if (!outcome.ok()) return outcome.status();
  Head();
  PackMap(out_, 1);
  PackVersion(out_, *outcome);
  return Status();
}

Status Commands::Call::Stats() {
  if (Status status = NoParams(); !status.ok()) return status;
  if (TooLong()) return Status();
  ByteBuffer fields;
  uint32_t count = 0;
  const auto add = [&](std::string_view name, uint64_t value) {
    PackString(&fields, name);
    PackUnsigned(&fields, value);
    ++count;
  };
  const Metrics::Sums sums = commands_.metrics_->Sum();
  for (size_t i = 1; i < kMethods; ++i) {
    add(fmt::format("requests_{}", MethodName(static_cast<Method>(i))), sums.requests[i]);
  }
  for (size_t i = 1; i < kCodes; ++i) {
    add(fmt::format("errors_{}", CodeName(static_cast<Code>(i))), sums.errors[i]);
  }
  add("notifications_failed", sums.notifications_failed);
  add("replays", sums.replays);
  add("bodies", sums.bodies);
  add("turns", sums.turns);
  add("latency_p50_us", sums.Percentile(0.5));
  add("latency_p90_us", sums.Percentile(0.9));
  add("latency_p99_us", sums.Percentile(0.99));
  add("latency_p999_us", sums.Percentile(0.999));
  const Store::Totals totals = engine_.store().CountTotals();
  add("entries", totals.entries);
  add("entry_bytes", totals.entry_bytes);
  add("index_bytes", totals.index_bytes);
  add("expired_entries", engine_.expired_entries());
  add("version", engine_.committer().synced());
  add("commit_queue_bytes", engine_.committer().queued_bytes());
  add("sessions", engine_.retries().sessions());
  add("session_outcomes", engine_.retries().outcomes());
  add("uptime_ms", static_cast<uint64_t>(engine_.NowMs() - commands_.facts_.start_ms));
  commands_.stats_(add);
  Head();
  PackMap(out_, count);
  out_->Append(fields.view());
  return Status();
}

}  // namespace entrepot
