// Methods of ranges of keys: find, scan, count and delete_prefix.
#include <algorithm>
#include <string>

#include <fmt/format.h>

#include "server/call.h"
#include "server/cursor.h"
#include "server/response.h"
#include "store/query.h"

namespace entrepot {

namespace {

constexpr int64_t kIndexRetryMs = 100;
// Pages that a count reads before others have their turn on the worker.
constexpr uint32_t kSlicePages = 16;

}  // namespace

Status Commands::Call::ReadRange(IndexOrder order, std::string_view query, IndexRange* range,
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

bool Commands::Call::Wanted(const std::optional<Query>& query, const Entry& entry) const {
  if (options_.key_prefix && !entry.key().starts_with(*options_.key_prefix)) return false;
  return !query || query->Matches(entry.value());
}

Status Commands::Call::PageError(const Status& status) {
  if (status.code() == Code::kOverloaded) retry_after_ms_ = kIndexRetryMs;
  return status;
}

Status Commands::Call::Page(IndexOrder order) {
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

Status Commands::Call::Count() {
  if (request_.param_count > 1) {
    return Status(Code::kInvalidArgument, "count takes a map of options only");
  }
  if (Status status = ReadOptions(Method::kCount, request_.params[0], &options_); !status.ok()) {
    return status;
  }
  const IndexOrder order = options_.query.empty() ? IndexOrder::kByKey : IndexOrder::kByValue;
  OrderedIndex::PageRequest page_request{{}, Direction::kAscending};
  std::optional<Query> query;
  if (Status status = ReadRange(order, options_.query, &page_request.range, &query); !status.ok()) {
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

Status Commands::Call::DeletePrefix() {
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

}  // namespace entrepot
