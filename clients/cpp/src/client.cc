#include "entrepot/client.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "client_core.h"
#include "endpoint.h"
#include "subscription_reader.h"

namespace entrepot {

Client::Client(std::string_view server, const ClientOptions& options)
    : core_(std::make_shared<ClientCore>(ChooseEndpoint(server), options)) {}

Client::~Client() {
  if (core_ != nullptr) core_->Close();
}

Client::Client(Client&&) noexcept = default;

Client& Client::operator=(Client&& other) noexcept {
  if (core_ != nullptr && core_ != other.core_) core_->Close();
  core_ = std::move(other.core_);
  return *this;
}

Status Client::status() const { return core_->status(); }

const std::string& Client::server() const { return core_->endpoint(); }

void Client::Close() { core_->Close(); }

void Client::Submit(WireRequest wire, const CallOptions& call, Finish finish) {
  std::vector<WireRequest> requests;
  requests.push_back(std::move(wire));
  core_->Submit(
      std::move(requests), call,
      [finish = std::move(finish)](std::vector<Reply> replies) { finish(replies.front()); });
}

Result<ServerInfo> Client::Hello(const CallOptions& call) { return Call(request::Hello(call)); }

Result<Done> Client::Ping(const CallOptions& call) { return Call(request::Ping(call)); }

Result<std::optional<Value>> Client::Get(std::string_view key, const ReadOptions& options) {
  return Call(request::Get(key, options));
}

Result<std::optional<entrepot::Entry>> Client::Entry(std::string_view key,
                                                     const EntryOptions& options) {
  return Call(request::Entry(key, options));
}

Result<Items> Client::GetMany(const std::vector<std::string>& keys, const ReadOptions& options) {
  return Call(request::GetMany(keys, options));
}

Result<Outcome> Client::Set(std::string_view key, const Value& value, const SetOptions& options) {
  return Call(request::Set(key, value, options));
}

Result<Outcome> Client::Delete(std::string_view key, const DeleteOptions& options) {
  return Call(request::Delete(key, options));
}

Result<Outcome> Client::Increment(std::string_view key, const Value& by,
                                  const IncrementOptions& options) {
  return Call(request::Increment(key, by, options));
}

Result<Outcome> Client::Append(std::string_view key, const Value& data,
                               const WriteOptions& options) {
  return Call(request::Append(key, data, options));
}

Result<Outcome> Client::Prepend(std::string_view key, const Value& data,
                                const WriteOptions& options) {
  return Call(request::Prepend(key, data, options));
}

Result<Outcome> Client::Touch(std::string_view key, std::optional<int64_t> ttl_ms,
                              const WriteOptions& options) {
  return Call(request::Touch(key, ttl_ms, options));
}

Result<TransactionOutcome> Client::Transact(const Transaction& transaction,
                                            const WriteOptions& options) {
  return Call(request::Transact(transaction, options));
}

namespace {

// A walk's fetching of pages: `make_page` makes the request of one.
Walk MakeWalk(std::shared_ptr<ClientCore> core, const WalkOptions& options,
              std::function<Request<Page>(const PageOptions& options)> make_page) {
  PageOptions page{.limit = options.page_limit,
                   .values = options.values,
                   .order = options.order,
                   .ack = options.ack,
                   .call = options.call};
  return Walk([core = std::move(core), page, make_page = std::move(make_page)](
                  const std::string& cursor) mutable -> Result<Page> {
    page.cursor = cursor;
    return core->Call(make_page(page));
  });
}

}  // namespace

Walk Client::Find(const Query& query, std::string_view key_prefix, const WalkOptions& options) {
  return MakeWalk(core_, options,
                  [query, key_prefix = std::string(key_prefix)](const PageOptions& page) {
                    return request::FindPage(query, key_prefix, page);
                  });
}

Result<Page> Client::FindPage(const Query& query, std::string_view key_prefix,
                              const PageOptions& options) {
  return Call(request::FindPage(query, key_prefix, options));
}

Walk Client::Scan(std::string_view key_prefix, const WalkOptions& options) {
  return MakeWalk(core_, options, [key_prefix = std::string(key_prefix)](const PageOptions& page) {
    return request::ScanPage(key_prefix, page);
  });
}

Result<Page> Client::ScanPage(std::string_view key_prefix, const PageOptions& options) {
  return Call(request::ScanPage(key_prefix, options));
}

Result<Counted> Client::Count(std::string_view key_prefix, const std::optional<Query>& query,
                              const ReadOptions& options) {
  return Call(request::Count(key_prefix, query, options));
}

Result<DeletedPrefix> Client::DeletePrefix(std::string_view key_prefix,
                                           const DeletePrefixOptions& options) {
  return Call(request::DeletePrefix(key_prefix, options));
}

Result<uint64_t> Client::Sync(const CallOptions& call) { return Call(request::Sync(call)); }

Result<std::map<std::string, Value>> Client::Stats(const CallOptions& call) {
  return Call(request::Stats(call));
}

Result<entrepot::Entry> Client::Update(std::string_view key, const Change& change,
                                       const UpdateOptions& options) {
  const TimePoint deadline = Clock::now() + milliseconds(core_->timeout_ms(options.call));
  const auto rest_of_the_time = [&] {
    const auto left = std::chrono::duration_cast<milliseconds>(deadline - Clock::now());
    return CallOptions{.timeout_ms = std::max<int64_t>(1, left.count()),
                       .retries = options.call.retries};
  };
  std::optional<Value> present;
  uint64_t version = 0;
  bool known = false;
  while (true) {
    if (!known) {
      Result<std::optional<entrepot::Entry>> entry = Entry(key, {.call = rest_of_the_time()});
      if (!entry.ok()) return entry.status();
      present = *entry ? std::optional((*entry)->value) : std::nullopt;
      version = *entry ? (*entry)->version : 0;
    }
    Result<Value> changed = change(present);
    if (!changed.ok()) return changed.status();
    Result<Outcome> written = Set(key, *changed,
                                  {.ttl_ms = options.ttl_ms,
                                   .keep_ttl = !options.ttl_ms.has_value(),
                                   .if_version = version,
                                   .call = rest_of_the_time()});
    if (!written.ok()) return written.status();
    if (!written->conflict()) {
      return entrepot::Entry{
          .key = std::string(key), .value = *std::move(changed), .version = written->version};
    }
    if (Clock::now() >= deadline) {
      return Status(StatusCode::kTimeout, "others changed the entry in every round of the update");
    }
    // A conflict carries the present entry, unless it is the outcome of an earlier attempt.
    known = !written->replayed;
    present = std::move(written->value);
    version = written->version;
  }
}

Result<entrepot::Watch> Client::Watch(std::string_view key_prefix, const WatchOptions& options) {
  Result<std::shared_ptr<WatchQueue>> queue = core_->StartWatch(std::string(key_prefix), options);
  if (!queue.ok()) return queue.status();
  return entrepot::Watch(*std::move(queue));
}

Result<entrepot::Mirror> Client::Mirror(std::string_view key_prefix, const MirrorOptions& options) {
  Result<std::shared_ptr<WatchQueue>> queue =
      core_->StartWatch(std::string(key_prefix), {.call = options.call});
  if (!queue.ok()) return queue.status();
  return entrepot::Mirror::Begin(*std::move(queue), options, core_->timeout_ms(options.call));
}

Result<entrepot::Subscription> Client::Subscribe(std::string_view key_prefix,
                                                 const SubscribeOptions& options) {
  Result<std::unique_ptr<entrepot::Subscription::Reader>> reader =
      entrepot::Subscription::Reader::Begin(core_, std::string(key_prefix), options);
  if (!reader.ok()) return reader.status();
  return entrepot::Subscription(*std::move(reader));
}

entrepot::Changes Client::Changes(const Token& since, std::string_view key_prefix,
                                  const ChangesOptions& options) {
  const ChangesPageOptions page{.limit = options.page_limit,
                                .wait_ms = options.wait_ms,
                                .values = options.values,
                                .call = options.call};
  return entrepot::Changes(since, options.wait_ms > 0,
                           [core = core_, prefix = std::string(key_prefix), page](const Token& at) {
                             return core->Call(request::ChangesPage(at, prefix, page));
                           });
}

Result<entrepot::ChangesPage> Client::ChangesPage(const Token& since, std::string_view key_prefix,
                                                  const ChangesPageOptions& options) {
  return Call(request::ChangesPage(since, key_prefix, options));
}

entrepot::Pipeline Client::Pipeline(const CallOptions& call) {
  return entrepot::Pipeline(core_, call);
}

}  // namespace entrepot
