// The subscribers of one io thread, and what is published to them.
//
// Thread safety: has_subscribers() from any thread; the rest belongs to the io thread.
#pragma once

#include <atomic>
#include <cstddef>

#include "zmtp/connection.h"
#include "zmtp/inbox.h"
#include "zmtp/output_side.h"
#include "zmtp/subscriptions.h"

namespace entrepot::zmtp {

class FeedSide {
 public:
  FeedSide(Shared& shared, OutputSide& output) : shared_(shared), output_(output) {}

  // Whether anyone here may get what is published.
  bool has_subscribers() const { return count_.load(std::memory_order_relaxed) != 0; }

  // A connection was opened, or an opened one goes; those of other endpoints are ignored.
  void OnOpened(const Connection& connection) {
    if (connection.kind() == EndpointKind::kFeed) count_.fetch_add(1, std::memory_order_relaxed);
  }
  void OnClosed(const Connection& connection) {
    if (connection.kind() == EndpointKind::kFeed) count_.fetch_sub(1, std::memory_order_relaxed);
  }

  // Queues the message for each subscriber of its topic that has room for it.
  void Deliver(const Publication& publication);

  SubscriptionIndex& subscriptions() { return subscriptions_; }

 private:
  Shared& shared_;
  OutputSide& output_;
  std::atomic<size_t> count_{0};
  SubscriptionIndex subscriptions_;
};

}  // namespace entrepot::zmtp
