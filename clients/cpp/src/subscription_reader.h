// Subscription::Reader: reads a feed, and fetches by the client what it has missed.
//
//    opening ──▶ listening ──gap──▶ fetching
//       ▲            │  ▲               │
//       └──silence───┘  └───────────────┘
//
// Thread safety: Close() and closed() from any thread; all else from one thread at a time.

#pragma once

#include <sys/types.h>

#include <atomic>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "client_clock.h"
#include "client_core.h"
#include "entrepot/subscription.h"
#include "feed_socket.h"
#include "subscription_state.h"

namespace entrepot {

class Subscription::Reader {
 public:
  // Returns when the first heartbeat has come. The errors of a call; `invalid_argument` for a
  // server without a feed, `timeout` where no heartbeat comes.
  static Result<std::unique_ptr<Reader>> Begin(std::shared_ptr<ClientCore> core,
                                               std::string key_prefix, SubscribeOptions options);
  ~Reader();

  // The next event; `timeout` at `until`, `closed` after Close(). Other errors are for ever.
  Result<Event> Take(std::optional<TimePoint> until);

  void Close();
  bool closed() const { return closed_.load(); }

 private:
  Reader(std::shared_ptr<ClientCore> core, std::string key_prefix, SubscribeOptions options,
         int wake_descriptor);

  // One step of the work, or waiting for it until then. An error is for ever.
  Status Turn(TimePoint until);
  Status Open();
  Status TakeMessage(const std::string& key, const std::string& body);
  Status TakeHeartbeat(const std::string& body);
  // Fetches a page of what is missing.
  Status Fetch(TimePoint until);
  void Tell(Event change);
  // Waits before the same is tried again; the error where that is of no use.
  Status PauseAfter(const Status& error, TimePoint until);

  // Constant after construction.
  const std::shared_ptr<ClientCore> core_;
  const std::string key_prefix_;
  const SubscribeOptions options_;
  const pid_t process_;
  const int wake_descriptor_;

  // Synchronises itself.
  std::atomic<bool> closed_{false};

  // Owned by the reading thread.
  SubscriptionState state_;
  std::unique_ptr<FeedSocket> feed_;
  TimePoint heard_{};
  milliseconds pause_{0};
  std::optional<SubscriptionState::Gap> gap_;
  std::optional<Event> held_;  // The change that showed the gap; it is told behind what is fetched.
  std::deque<Event> ready_;
};

}  // namespace entrepot
