// Requests: a call as a value, not yet made.
//
// The methods of Client make a request and wait for its result. The functions here only make it;
// it can then be started without waiting, put into a pipeline, or made an operation of a
// transaction:
//
//    std::future<Result<Outcome>> later = client.Start(request::Set("a", 1));
//    auto found = pipeline.Add(request::Get("a"));
//    transaction.Then(request::Increment("a", 2));
//
// Thread safety: as plain values.

#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "entrepot/event.h"
#include "entrepot/result.h"
#include "entrepot/types.h"
#include "entrepot/value.h"
#include "entrepot/wire_request.h"

namespace entrepot {

// What a method without a result gives back.
struct Done {};

template <typename T>
struct Request {
  using Type = T;

  WireRequest wire;
  CallOptions call;
  // Reads the encoded result; `bad_reply` where it is not what the protocol says.
  std::function<Result<T>(std::string_view result)> decode;
};

namespace request {

Request<ServerInfo> Hello(const CallOptions& call = {});
Request<Done> Ping(const CallOptions& call = {});

Request<std::optional<Value>> Get(std::string_view key, const ReadOptions& options = {});
Request<std::optional<entrepot::Entry>> Entry(std::string_view key,
                                              const EntryOptions& options = {});
Request<Items> GetMany(const std::vector<std::string>& keys, const ReadOptions& options = {});

Request<Outcome> Set(std::string_view key, const Value& value, const SetOptions& options = {});
Request<Outcome> Delete(std::string_view key, const DeleteOptions& options = {});
// `by` is an integer or a float.
Request<Outcome> Increment(std::string_view key, const Value& by = 1,
                           const IncrementOptions& options = {});
// `data` is a str or bin; the entry keeps its type.
Request<Outcome> Append(std::string_view key, const Value& data, const WriteOptions& options = {});
Request<Outcome> Prepend(std::string_view key, const Value& data, const WriteOptions& options = {});
// Without a TTL the entry becomes permanent.
Request<Outcome> Touch(std::string_view key, std::optional<int64_t> ttl_ms,
                       const WriteOptions& options = {});

Request<Page> FindPage(const Query& query, std::string_view key_prefix = {},
                       const PageOptions& options = {});
Request<Page> ScanPage(std::string_view key_prefix, const PageOptions& options = {});
Request<Counted> Count(std::string_view key_prefix = {}, const std::optional<Query>& query = {},
                       const ReadOptions& options = {});
Request<DeletedPrefix> DeletePrefix(std::string_view key_prefix,
                                    const DeletePrefixOptions& options = {});

Request<entrepot::ChangesPage> ChangesPage(const Token& since, std::string_view key_prefix = {},
                                           const ChangesPageOptions& options = {});

// The revision up to which all that this connection has written is on disk.
Request<uint64_t> Sync(const CallOptions& call = {});
// The server's figures by name, as its metrics are named.
Request<std::map<std::string, Value>> Stats(const CallOptions& call = {});

// A method that this library does not know; the result is handed over as it is.
Request<Value> Raw(WireRequest wire, const CallOptions& call = {});

}  // namespace request
}  // namespace entrepot
