#include "server/commands.h"

#include <algorithm>

#include <fmt/format.h>

#include "server/cursor.h"
#include "store/query.h"

namespace entrepot {

namespace {

// Bytes of a response besides the values in it: its head, the names and numbers of a result.
constexpr size_t kResponseOverhead = 256;
constexpr int64_t kIndexRetryMs = 100;
constexpr int64_t kStartingRetryMs = 100;
// Pages that a count reads before others have their turn on the worker.
constexpr uint32_t kSlicePages = 16;

// What a server does not have that keeps its data in memory only.
constexpr Method kFolderMethods[] = {Method::kSave, Method::kBackup};

bool NeedsFolder(Method method) {
  return std::find(std::begin(kFolderMethods), std::end(kFolderMethods), method) !=
         std::end(kFolderMethods);
}

void PackNumber(ByteBuffer* out, const Number& number) {
  if (const auto* const integer = std::get_if<int64_t>(&number)) {
    PackSigned(out, *integer);
  } else {
    PackFloat(out, std::get<double>(number));
  }
}

void PackOutcome(ByteBuffer* out, Outcome outcome) {
  PackName(out, "status");
  PackString(out, OutcomeName(outcome));
}

void PackVersion(ByteBuffer* out, uint64_t version) {
  PackName(out, "version");
  PackUnsigned(out, version);
}

// The value of an entry below a lock: copied, or referred to where it is a block.
void AppendValue(Reply* reply, const Entry& entry) {
  if (ValueBlock* const block = entry.block(); block != nullptr) {
    reply->AppendBlock(BlockRef(block));
  } else {
    reply->bytes().Append(entry.value());
  }
}

void AppendValue(Reply* reply, ValueCopy* value) {
  if (value->has_block()) {
    reply->AppendBlock(value->TakeBlock());
  } else {
    reply->bytes().Append(value->bytes());
  }
}

// The map of one operation's result.
void AppendResult(Reply* reply, OperationResult* result) {
  ByteBuffer* const out = &reply->bytes();
  const bool value = result->value || result->number;
  PackMap(out, 2u + (value ? 1 : 0) + (result->previous_version ? 1 : 0) +
                   (result->ttl_ms ? 1 : 0) + (result->length ? 1 : 0));
  PackOutcome(out, result->outcome);
  PackVersion(out, result->version);
  if (result->number) {
    PackName(out, "value");
    PackNumber(out, *result->number);
  } else if (result->value) {
    PackName(out, "value");
    AppendValue(reply, &*result->value);
  }
  if (result->previous_version) {
    PackName(out, "previous_version");
    PackUnsigned(out, *result->previous_version);
  }
  if (result->ttl_ms) {
    PackName(out, "ttl_ms");
    PackSigned(out, *result->ttl_ms);
  }
  if (result->length) {
    PackName(out, "length");
    PackUnsigned(out, *result->length);
  }
}

void PackReplay(ByteBuffer* out, Method method, const RetryOutcome& outcome) {
  using Extra = RetryOutcome::Extra;
  const bool deletion = method == Method::kDeletePrefix;
  PackMap(out, deletion ? 4 : outcome.extra_kind == Extra::kNone ? 3 : 4);
  if (!deletion) PackOutcome(out, static_cast<Outcome>(outcome.outcome));
  PackVersion(out, outcome.version);
  PackName(out, "replayed");
  PackBool(out, true);
  switch (outcome.extra_kind) {
    case Extra::kNone:
      break;
    case Extra::kUnsigned:
      PackName(out, "value");
      PackUnsigned(out, outcome.extra);
      break;
    case Extra::kNegative:
      PackName(out, "value");
      PackSigned(out, static_cast<int64_t>(outcome.extra));
      break;
    case Extra::kFloat:
      PackName(out, "value");
      PackFloat(out, std::bit_cast<double>(outcome.extra));
      break;
    case Extra::kLength:
      PackName(out, "length");
      PackUnsigned(out, outcome.extra);
      break;
    case Extra::kDeleted:
    case Extra::kDeletedMore:
      PackName(out, "deleted");
      PackUnsigned(out, outcome.extra);
      PackName(out, "more");
      PackBool(out, outcome.extra_kind == Extra::kDeletedMore);
      break;
  }
}

}  // namespace

// One request on its way through its method.
class Commands::Call {
 public:
  Call(Commands* commands, const Request& request, const Origin& origin, bool long_allowed,
       CommandThread* thread, CountWalk* walk, FeedWork* feed_work, Reply* reply)
      : commands_(*commands),
        engine_(*commands->engine_),
        request_(request),
        origin_(origin),
        long_allowed_(long_allowed),
        thread_(thread),
        walk_(walk),
        feed_work_(feed_work),
        reply_(reply),
        out_(&reply->bytes()) {}

  // What RunMethod() answers besides a Status: the method did not begin.
  bool too_long() const { return too_long_; }
  bool no_room() const { return no_room_; }
  // Or it has done a slice of its work.
  bool unfinished() const { return unfinished_; }
  // Or it has something under way that it waits for.
  bool waits() const { return waits_; }
  int64_t retry_after_ms() const { return retry_after_ms_; }
  const Gate& gate() const { return gate_; }
  // For an error that says where the history begins.
  std::optional<uint64_t> oldest() const { return oldest_; }

  Status RunMethod() {
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

 private:
  void Acknowledged() {
    if (options_.ack == Acknowledge::kApplied) gate_ = {};
    if (options_.ack == Acknowledge::kDurable) Durable();
  }
  void Durable() {
    gate_.synced = std::max(gate_.synced, gate_.open);
    gate_.synced_record = std::max(gate_.synced_record, gate_.open_record);
    if (!engine_.committer().Passed(gate_)) engine_.committer().RequestSync();
  }
  bool TooLong() {
    too_long_ = !long_allowed_;
    return too_long_;
  }
  void Head() { PackResultHead(out_, request_.msgid); }

  Status Hello() {
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

  Status NoParams() {
    if (request_.param_count == 0) return Status();
    return Status(Code::kInvalidArgument,
                  fmt::format("{} takes no params", MethodName(request_.method)));
  }

  Status Ping() {
    if (Status status = NoParams(); !status.ok()) return status;
    Head();
    PackMap(out_, 1);
    PackOutcome(out_, Outcome::kOk);
    return Status();
  }

  Status Get() {
    Operation get;
    if (Status status = ReadOperation(request_, engine_.limits(), &get, &options_); !status.ok()) {
      return status;
    }
    engine_.Get(&thread_->engine, get.hash, get.key, &gate_,
                [&](const Entry* entry, int64_t ttl_ms) {
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

  // Begins a write that carries `once`. True: it has run before, and that outcome was told; or it
  // is not to run, and `status` says why.
  bool Replayed(Status* status) {
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

  // An error of the engine: no room is none of the client's.
  Status Engines(const Status& status) {
    no_room_ = status.code() == Code::kOverloaded;
    return status;
  }

  size_t ReplyRoom() const { return engine_.limits().reply_bytes - kResponseOverhead; }

  Status Write() {
    Operation operation;
    Status status = ReadOperation(request_, engine_.limits(), &operation, &options_);
    if (!status.ok() || Replayed(&status)) return status;
    OperationResult result;
    status =
        engine_.Write(&thread_->engine, operation, attempt_.get(), ReplyRoom(), &result, &gate_);
    Acknowledged();
    if (!status.ok()) return Engines(status);
    Head();
    AppendResult(reply_, &result);
    return Status();
  }

  Status GetMany() {
    if (Status status = ReadParams(request_, 1, &options_); !status.ok()) return status;
    MsgpackReader reader(request_.params[0]);
    Token token;
    if (!reader.Next(&token) || token.type != Token::kArray) {
      return Status(Code::kInvalidArgument, "get_many takes an array of keys");
    }
    const uint32_t count = token.count;
    if (count > engine_.limits().get_many_keys) {
      return Status(Code::kTooLarge, fmt::format("get_many of {} keys, over the limit of {}", count,
                                                 engine_.limits().get_many_keys));
    }
    if (count > kInlineOperations && TooLong()) return Status();
    std::vector<Operation> gets(count);
    for (Operation& get : gets) {
      const char* const begin = reader.at();
      const bool whole = reader.Skip(SIZE_MAX) == MsgpackReader::Skipped::kWhole;
      CHECK(whole);
      const std::string_view key(begin, static_cast<size_t>(reader.at() - begin));
      if (Status status = ReadKey(key, engine_.limits(), /*to_write=*/false, &get.key);
          !status.ok()) {
        return status;
      }
      get.hash = engine_.store().Hash(get.key);
    }
    const Reply::Mark mark = reply_->Here();
    const size_t before = reply_->size();
    bool over = false;
    uint64_t version = 0;
    Head();
    PackMap(out_, 2);
    PackName(out_, "items");
    PackArray(out_, count);
    engine_.GetMany(&thread_->engine, gets, &gate_, [&](size_t, const Entry* entry) {
      if (entry == nullptr) return PackNil(out_);
      over = over || reply_->size() - before + entry->value_size() > ReplyRoom();
      if (over) return;
      PackArray(out_, 2);
      AppendValue(reply_, *entry);
      PackUnsigned(out_, entry->version());
      version = std::max(version, entry->version());
    });
    if (over) {
      reply_->GoBack(mark);
      return Status(Code::kTooLarge, "the values are over the limit of a reply together");
    }
    PackVersion(out_, version);
    Acknowledged();
    return Status();
  }

  Status Transact() {
    Transaction transaction;
    Status status = ReadTransaction(
        request_, engine_.limits(),
        [this](std::string_view key) { return engine_.store().Hash(key); }, &transaction,
        &options_);
    if (!status.ok()) return status;
    if (transaction.conditions.size() + transaction.then_operations.size() +
                transaction.else_operations.size() >
            kInlineOperations &&
        TooLong()) {
      return Status();
    }
    if (Replayed(&status)) return status;
    TransactionResult result;
    const size_t operations =
        std::max(transaction.then_operations.size(), transaction.else_operations.size());
    if (operations * kResponseOverhead / 2 >= ReplyRoom()) {
      return Status(Code::kTooLarge, "the results would be over the limit of a reply");
    }
    status = engine_.Transact(&thread_->engine, transaction, attempt_.get(),
                              ReplyRoom() - operations * kResponseOverhead / 2, &result, &gate_);
    Acknowledged();
    if (!status.ok()) return Engines(status);
    Head();
    PackMap(out_, 3);
    PackOutcome(out_, result.outcome);
    PackVersion(out_, result.version);
    PackName(out_, "results");
    PackArray(out_, static_cast<uint32_t>(result.results.size()));
    for (size_t i = 0; i < result.results.size(); ++i) {
      OperationResult& answer = result.results[i];
      // What a conflict has undone has nothing to tell; the last one is that conflict.
      const bool undone =
          result.undone && i + 1 < result.results.size() && answer.outcome != Outcome::kFound &&
          answer.outcome != Outcome::kNotFound && answer.outcome != Outcome::kUnchanged;
      undone ? PackMap(out_, 0) : AppendResult(reply_, &answer);
    }
    return Status();
  }

  // Reads what find, scan and count have in common.
  Status ReadRange(IndexOrder order, std::string_view query, IndexRange* range,
                   std::optional<Query>* wanted) {
    if (order == IndexOrder::kByKey) {
      *range = IndexRange::WithPrefix(options_.key_prefix.value_or(""));
      return Status();
    }
    Result<Query> read = Query::Read(query);
    if (!read.ok()) return read.status();
    *range = read->Range();
    *wanted = std::move(*read);
    return Status();
  }

  bool Wanted(const std::optional<Query>& query, const Entry& entry) const {
    if (options_.key_prefix && !entry.key().starts_with(*options_.key_prefix)) return false;
    return !query || query->Matches(entry.value());
  }

  Status PageError(const Status& status) {
    if (status.code() == Code::kOverloaded) retry_after_ms_ = kIndexRetryMs;
    return status;
  }

  Status Page(IndexOrder order) {
    if (Status status = ReadParams(request_, 1, &options_); !status.ok()) return status;
    std::string_view prefix;
    if (order == IndexOrder::kByKey) {
      if (Status status = ReadPrefix(request_.params[0], &prefix); !status.ok()) return status;
      options_.key_prefix = prefix;
    }
    OrderedIndex::PageRequest page_request{{}, options_.order};
    std::optional<Query> query;
    if (Status status = ReadRange(order, request_.params[0], &page_request.range, &query);
        !status.ok()) {
      return status;
    }
    const uint64_t limit = options_.limit.value_or(kPageLimitDefault);
    if (limit > kPageLimitMax) {
      return Status(Code::kInvalidArgument, fmt::format("limit is at most {}", kPageLimitMax));
    }
    // A cursor belongs to all of this.
    std::string call(order == IndexOrder::kByKey ? "scan" : "find");
    call += options_.order == Direction::kAscending ? '+' : '-';
    for (const std::string_view part :
         {request_.params[0], options_.key_prefix.value_or(std::string_view())}) {
      call += std::to_string(part.size()) + ':';
      call += part;
    }
    if (options_.cursor) {
      const std::optional<IndexPlace> place = Cursor::Read(*options_.cursor, call, order);
      if (!place) {
        return Status(Code::kInvalidArgument, "the cursor does not belong to this call");
      }
      page_request.range.ContinueBehind(page_request.direction, *place);
    }
    if ((limit > kInlinePageEntries || engine_.PageBacklog(order) > kInlineQueueEntries) &&
        TooLong()) {
      return Status();
    }

    ByteBuffer keys, versions;
    Reply values;
    uint32_t found = 0;
    const Result<Engine::Page> page =
        engine_.ReadPage(&thread_->engine, order, page_request, &gate_, [&](const Entry& entry) {
          if (!Wanted(query, entry)) return OrderedIndex::Visit::kContinue;
          ++found;
          PackKey(&keys, entry.key(), entry.key_is_utf8());
          if (options_.values) {
            AppendValue(&values, entry);
            PackUnsigned(&versions, entry.version());
          }
          const bool full = found == limit || keys.size() + values.size() > kPageBytes;
          return full ? OrderedIndex::Visit::kStop : OrderedIndex::Visit::kContinue;
        });
    if (!page.ok()) return PageError(page.status());
    Head();
    PackMap(out_, 4u + (options_.values ? 2 : 0) + (page->more ? 1 : 0));
    PackOutcome(out_, found > 0 ? Outcome::kFound : Outcome::kNotFound);
    PackVersion(out_, page->revision);
    PackName(out_, "examined");
    PackUnsigned(out_, page->examined);
    PackName(out_, "keys");
    PackArray(out_, found);
    out_->Append(keys.view());
    if (options_.values) {
      PackName(out_, "values");
      PackArray(out_, found);
      reply_->Append(std::move(values));
      PackName(out_, "versions");
      PackArray(out_, found);
      out_->Append(versions.view());
    }
    if (page->more) {
      PackName(out_, "cursor");
      Cursor::Pack(out_, call, order, *page->last);
    }
    Acknowledged();
    return Status();
  }

  Status Count() {
    if (request_.param_count > 1) {
      return Status(Code::kInvalidArgument, "count takes a map of options only");
    }
    if (Status status = ReadOptions(Method::kCount, request_.params[0], &options_); !status.ok()) {
      return status;
    }
    const IndexOrder order = options_.query.empty() ? IndexOrder::kByKey : IndexOrder::kByValue;
    OrderedIndex::PageRequest page_request{{}, Direction::kAscending};
    std::optional<Query> query;
    if (Status status = ReadRange(order, options_.query, &page_request.range, &query);
        !status.ok()) {
      return status;
    }
    if (TooLong()) return Status();
    // It goes on where the slice before ended, if there was one.
    if (walk_->pages > 0) page_request.range = walk_->rest;
    for (uint32_t pages = 0;; ++pages) {
      const Result<Engine::Page> page =
          engine_.ReadPage(&thread_->engine, order, page_request, &gate_, [&](const Entry& entry) {
            if (Wanted(query, entry)) ++walk_->count;
            return OrderedIndex::Visit::kContinue;
          });
      if (!page.ok()) return PageError(page.status());
      if (walk_->pages++ == 0) walk_->version = page->revision;
      walk_->version_end = page->revision;
      if (!page->more) break;
      page_request.range.ContinueBehind(Direction::kAscending, *PlaceOf(order, *page->last));
      if (pages == kSlicePages) {
        walk_->rest = page_request.range;
        unfinished_ = true;
        return Status();
      }
    }
    Head();
    PackMap(out_, 3);
    PackName(out_, "count");
    PackUnsigned(out_, walk_->count);
    PackVersion(out_, walk_->version);
    PackName(out_, "version_end");
    PackUnsigned(out_, walk_->version_end);
    *walk_ = {};
    Acknowledged();
    return Status();
  }

  Status DeletePrefix() {
    Status status = ReadParams(request_, 1, &options_);
    if (!status.ok()) return status;
    std::string_view prefix;
    if (status = ReadPrefix(request_.params[0], &prefix); !status.ok()) return status;
    if (prefix.starts_with('$')) {
      return Status(Code::kDenied, "keys that start with $ belong to the system");
    }
    if (TooLong()) return Status();
    if (Replayed(&status)) return status;
    Engine::PrefixDeletion result;
    status = engine_.DeletePrefix(
        &thread_->engine, prefix,
        std::min(options_.limit.value_or(kDeletePrefixLimitDefault), kDeletePrefixLimitMax),
        attempt_.get(), &result, &gate_);
    if (!status.ok()) {
      return engine_.PageBacklog(IndexOrder::kByKey) == SIZE_MAX ? PageError(status)
                                                                 : Engines(status);
    }
    Head();
    PackMap(out_, 3);
    PackName(out_, "deleted");
    PackUnsigned(out_, result.deleted);
    PackName(out_, "more");
    PackBool(out_, result.more);
    PackVersion(out_, result.version);
    Acknowledged();
    return Status();
  }

  Status Sync() {
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

  Status Save() {
    if (Status status = NoParams(); !status.ok()) return status;
    return WaitForFolder({});
  }

  Status Backup() {
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

  // Has a snapshot written, and at `destination`, if that is not empty, a backup.
  Status WaitForFolder(std::string_view destination) {
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

  Status Stats() {
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

  // --- The change feed -----------------------------------------------------------------------

  // Whether changes above `token` can be told at all.
  Status CheckToken(const HistoryToken& token) {
    if (token.history != engine_.history()) {
      return Status(Code::kUnknownHistory,
                    fmt::format("this server's history is {}, not {}; take a new snapshot",
                                engine_.history(), Quoted(token.history)));
    }
    if (token.revision <= engine_.committer().last_revision()) return Status();
    oldest_ = engine_.committer().ring().oldest();
    return Status(
        Code::kHistoryLost,
        fmt::format("revision {} is not known here; take a new snapshot", token.revision));
  }

  EventFilter FilterOf() const {
    EventFilter filter;
    filter.key_prefix = options_.key_prefix.value_or("");
    filter.values = !options_.no_values;
    return filter;
  }

  Status StartWatch() {
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

  Status FoundOrNot(bool found) {
    Head();
    PackMap(out_, 1);
    PackOutcome(out_, found ? Outcome::kOk : Outcome::kNotFound);
    return Status();
  }

  Status Unwatch() {
    uint64_t id = 0;
    if (request_.param_count != 1) {
      return Status(Code::kInvalidArgument, "unwatch takes the id of a watch");
    }
    if (Status status = ReadCount("the id", request_.params[0], &id); !status.ok()) return status;
    return FoundOrNot(commands_.feed_.RemoveWatch(origin_, id));
  }

  Status AddCredit() {
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

  Status Changes() {
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

  Commands& commands_;
  Engine& engine_;
  const Request& request_;
  const Origin& origin_;
  const bool long_allowed_;
  CommandThread* const thread_;
  CountWalk* const walk_;
  FeedWork* const feed_work_;
  Reply* const reply_;
  ByteBuffer* const out_;

  ParamOptions options_;
  std::unique_ptr<Retries::Attempt> attempt_;
  Gate gate_;
  bool too_long_ = false;
  bool no_room_ = false;
  bool unfinished_ = false;
  bool waits_ = false;
  int64_t retry_after_ms_ = 0;
  std::optional<uint64_t> oldest_;
};

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
