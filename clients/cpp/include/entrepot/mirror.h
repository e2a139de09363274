// Mirror: a local copy of the entries below a prefix, always current: the Clone pattern of the
// ZeroMQ Guide, without its race between the snapshot and what follows.
//
//    entrepot::Result<entrepot::Mirror> config = client.Mirror("config:");
//    if (!config.ok()) return config.status();
//    entrepot::Result<std::optional<entrepot::Entry>> limit = config->Get("config:limit");
//
// It shows the store at one instant, its token: all of a transaction or nothing. While the server
// is away it keeps what it has, and is_live() is false. Where it has to begin anew it changes when
// the new snapshot is whole. docs/CLIENTS.md, section 9, is the contract.
//
// An error that a watch does not heal ends the mirror: every later use gives it.
//
// Lifetime: a mirror may outlive the Client object that made it, but gets `closed` after its
// Close() and in a forked child. Its destructor is Close(). Thread safety: all methods from any
// thread, but for the destructor and moves.

#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "entrepot/event.h"
#include "entrepot/result.h"
#include "entrepot/types.h"

namespace entrepot {

class WatchQueue;

// A change of an entry; nothing where there is none.
struct Difference {
  std::string key;
  std::optional<Entry> before;
  std::optional<Entry> after;
};

struct MirrorOptions {
  // Called for each change, one after the other, when the mirror shows it; for the entries that are
  // there at first too, before Client::Mirror() returns. It may use the mirror, but not close it.
  std::function<void(const Difference& change)> on_change = {};
  CallOptions call = {};  // Its time is also how long the first snapshot may pause.
};

class Mirror {
 public:
  ~Mirror();
  Mirror(Mirror&&) noexcept;
  Mirror& operator=(Mirror&&) noexcept;

  // The entry, without its TTL, or nothing.
  Result<std::optional<Entry>> Get(std::string_view key) const;
  // All entries of one instant, in the order of the keys.
  Result<std::map<std::string, Entry>> Entries() const;
  Result<size_t> size() const;

  // The instant that it shows. It moves on where nothing changes, too.
  Result<Token> token() const;

  // Whether the server has been heard within 3 seconds and everything is shown.
  bool is_live() const;

  // Ok until an error or Close() has ended it.
  Status status() const;

  // Ends it, and waits until `on_change` runs no more. May be called twice.
  void Close();

 private:
  friend class Client;
  class Follower;

  explicit Mirror(std::unique_ptr<Follower> follower);

  // Waits for the first snapshot, then goes on by itself.
  static Result<Mirror> Begin(std::shared_ptr<WatchQueue> queue, const MirrorOptions& options,
                              int64_t timeout_ms);

  std::unique_ptr<Follower> follower_;
};

}  // namespace entrepot
