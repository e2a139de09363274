// Client: a program's connection to an Entrepôt server.
//
//    #include <entrepot/client.h>
//
//    entrepot::Client client("tcp://127.0.0.1:5555");
//    entrepot::Result<entrepot::Outcome> stored = client.Set("user:1", "Ada", {.ttl_ms = 60'000});
//    for (auto& entry : client.Scan("user:")) std::cout << entry.key << '\n';
//
// Making a client sends nothing and waits for nothing; a server that is not there is told by the
// first call. Every call ends within its `timeout_ms`, whatever happens to the server or the
// network: a call without an answer is sent again on a new connection, and a write carries its own
// number (`once`), so that it counts once however often it was sent. docs/CLIENTS.md is the
// contract in full; nothing here throws.
//
// What a well-formed call can meet in normal life is a result: Get() of an absent key is
// std::nullopt, a conflict is the status of an Outcome.
//
// Methods that only wait for one request are the functions of entrepot/request.h under the same
// names; Start() runs any of those without waiting.
//
// Lifetime: what a client gave out (Walk, Pipeline) may outlive it. Its destructor is Close().
// Thread safety: every method from any number of threads, but for the destructor and moves.
// After a fork the child has a connection and a session of its own from its first call on; what
// was in flight stays the parent's.

#pragma once

#include <cstdint>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "entrepot/changes.h"
#include "entrepot/event.h"
#include "entrepot/mirror.h"
#include "entrepot/pipeline.h"
#include "entrepot/request.h"
#include "entrepot/result.h"
#include "entrepot/subscription.h"
#include "entrepot/transaction.h"
#include "entrepot/types.h"
#include "entrepot/value.h"
#include "entrepot/walk.h"
#include "entrepot/watch.h"

namespace zmq {
class context_t;
}

namespace entrepot {

class ClientCore;

struct ClientOptions {
  // The whole time of a call, with connecting and every retry.
  int64_t timeout_ms = 5000;
  // How often a call without an answer is sent again, at equal shares of its time. 0: nothing is
  // ever sent twice, and writes carry no `once`.
  int retries = 3;
  // How long connections may be refused before a call that was not sent is `unreachable`.
  int64_t connect_wait_ms = 500;
  // A libzmq context to share, for inproc:// endpoints; it must outlive the client. Such a client
  // cannot be used in a forked child.
  zmq::context_t* context = nullptr;
};

class Client {
 public:
  // `server` is one endpoint, `tcp://host:port` or `ipc://path`. Left out, it is the environment
  // variable ENTREPOT_SERVER, and without that tcp://127.0.0.1:5555. See status().
  explicit Client(std::string_view server = {}, const ClientOptions& options = {});

  ~Client();
  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;

  // `invalid_argument` when the endpoint is malformed: then every call gives the same.
  Status status() const;
  const std::string& server() const;

  // Ends calls in flight as `closed` and waits until no socket and no thread is left. May be called
  // twice, from any thread but the client's own.
  void Close();

  Result<ServerInfo> Hello(const CallOptions& call = {});
  Result<Done> Ping(const CallOptions& call = {});

  Result<std::optional<Value>> Get(std::string_view key, const ReadOptions& options = {});
  Result<std::optional<entrepot::Entry>> Entry(std::string_view key,
                                               const EntryOptions& options = {});
  Result<Items> GetMany(const std::vector<std::string>& keys, const ReadOptions& options = {});

  Result<Outcome> Set(std::string_view key, const Value& value, const SetOptions& options = {});
  Result<Outcome> Delete(std::string_view key, const DeleteOptions& options = {});
  Result<Outcome> Increment(std::string_view key, const Value& by = 1,
                            const IncrementOptions& options = {});
  Result<Outcome> Append(std::string_view key, const Value& data, const WriteOptions& options = {});
  Result<Outcome> Prepend(std::string_view key, const Value& data,
                          const WriteOptions& options = {});
  Result<Outcome> Touch(std::string_view key, std::optional<int64_t> ttl_ms,
                        const WriteOptions& options = {});
  Result<TransactionOutcome> Transact(const Transaction& transaction,
                                      const WriteOptions& options = {});

  // Entries whose value matches the query, in the order of the values.
  Walk Find(const Query& query, std::string_view key_prefix = {}, const WalkOptions& options = {});
  Result<Page> FindPage(const Query& query, std::string_view key_prefix = {},
                        const PageOptions& options = {});
  // Entries whose key begins with the prefix, in the order of the keys.
  Walk Scan(std::string_view key_prefix, const WalkOptions& options = {});
  Result<Page> ScanPage(std::string_view key_prefix, const PageOptions& options = {});
  Result<Counted> Count(std::string_view key_prefix = {}, const std::optional<Query>& query = {},
                        const ReadOptions& options = {});
  Result<DeletedPrefix> DeletePrefix(std::string_view key_prefix,
                                     const DeletePrefixOptions& options = {});
  Result<uint64_t> Sync(const CallOptions& call = {});
  Result<std::map<std::string, Value>> Stats(const CallOptions& call = {});

  // Reads the entry, calls `change` with its value (or nothing), and writes what that gives back on
  // the condition that the entry is still the one read; on a conflict it starts again with the
  // newer value. An error of `change` ends the update and nothing is written. One deadline covers
  // all rounds. Gives back the entry as written.
  using Change = std::function<Result<Value>(const std::optional<Value>& value)>;
  Result<entrepot::Entry> Update(std::string_view key, const Change& change,
                                 const UpdateOptions& options = {});

  // What changes below the prefix from now on, after what is there: see entrepot/watch.h. It waits
  // until the watch has begun: a change that is made after it has returned is told.
  Result<entrepot::Watch> Watch(std::string_view key_prefix = {}, const WatchOptions& options = {});

  // A local copy of the entries below the prefix that is kept current: see entrepot/mirror.h. It
  // waits until the copy is whole.
  Result<entrepot::Mirror> Mirror(std::string_view key_prefix = {},
                                  const MirrorOptions& options = {});

  // What is published below the prefix by the server's PUB endpoint: see entrepot/subscription.h.
  // It waits until the feed has been heard.
  Result<Subscription> Subscribe(std::string_view key_prefix = {},
                                 const SubscribeOptions& options = {});

  // A watch by asking: what has changed since the token, page by page, up to where there is
  // nothing more. `history_lost` and `unknown_history` mean that a new start is needed.
  entrepot::Changes Changes(const Token& since, std::string_view key_prefix = {},
                            const ChangesOptions& options = {});
  Result<entrepot::ChangesPage> ChangesPage(const Token& since, std::string_view key_prefix = {},
                                            const ChangesPageOptions& options = {});

  // An empty pipeline.
  entrepot::Pipeline Pipeline(const CallOptions& call = {});

  // Makes the call without waiting for it. The future is ready at the call's deadline at the
  // latest.
  template <typename T>
  std::future<Result<T>> Start(Request<T> request) {
    auto promise = std::make_shared<std::promise<Result<T>>>();
    std::future<Result<T>> future = promise->get_future();
    Submit(std::move(request.wire), request.call,
           [promise, decode = std::move(request.decode)](const Result<std::string>& reply) {
             promise->set_value(reply.ok() ? decode(*reply) : Result<T>(reply.status()));
           });
    return future;
  }

  // Makes the call and waits for it.
  template <typename T>
  Result<T> Call(Request<T> request) {
    return Start(std::move(request)).get();
  }

 private:
  using Finish = std::function<void(const Result<std::string>& reply)>;

  void Submit(WireRequest wire, const CallOptions& call, Finish finish);

  std::shared_ptr<ClientCore> core_;
};

}  // namespace entrepot
