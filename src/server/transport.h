// The seam between what speaks to the network and what answers requests.
//
// A transport delivers the messages of a turn as one batch, and takes replies back: at once, on its
// own thread, or later from any thread. What stands behind the seam sees no socket and no ZeroMQ
// type.
//
// Thread safety: stated for each call.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "feed/publisher.h"
#include "protocol/encoder.h"

namespace entrepot {

// One message, as it came in.
struct Inbound {
  // The connection it came from: the same number for all its messages, never that of another.
  uint64_t connection = 0;
  // Who sent it, to be handed back with the reply: the transport's own business, envelope included.
  std::string_view address;
  // Who sent it, as far as order goes: the connection and, behind a proxy, the peer there.
  uint64_t peer = 0;
  std::string_view body;
  // Over a bound of the transport: not to be run, but answered `too_large` under msgid 0.
  bool too_large = false;
};

// A reply on its way out.
struct Outbound {
  uint64_t connection = 0;
  std::string address;
  Reply reply;
  bool counted = false;  // Counts for TakesEvents() however small it is, where that can be known.
};

// Takes one number of `stats`.
using StatAdder = std::function<void(std::string_view name, uint64_t value)>;

class Transport {
 public:
  virtual ~Transport() = default;

  // Hands replies over to be sent. Any thread.
  virtual void Send(std::vector<Outbound> replies) = 0;

  // False: so much waits for this connection to take it that nothing more is to be run for it. Any
  // thread; see also ReplySink::TakesMore().
  virtual bool TakesMore(uint64_t connection) const = 0;

  // Whether the connection is to be told of changes now: little of what it was sent waits for it,
  // and where much waits for all together, nothing. Any thread.
  virtual bool TakesEvents(uint64_t connection) const = 0;

  // Whether anybody is there to be published to. Any thread.
  virtual bool HasSubscribers() const = 0;
  // Whether there is room for publications; if not, they are better kept for a moment. Any thread.
  virtual bool TakesPublications() const = 0;
  // Sends each to those who subscribe to a prefix of its key and have room for it. Never waits. One
  // thread at a time.
  virtual void Publish(Publications publications) = 0;

  // The endpoints listened on, with the ports that were picked. Any thread, after the start.
  virtual const std::vector<std::string>& endpoints() const = 0;
  // The feed's; empty where there is none.
  virtual const std::string& feed_endpoint() const = 0;

  // Reads no more from now on; returns when no batch is being handled. Send() still works.
  virtual void StopReading() = 0;
  // Sends what it was given, waits a moment for peers to take it, and ends its threads.
  virtual void Stop() = 0;

  // Tells its counters and gauges by name, for `stats`. Any thread.
  virtual void AddStats(const StatAdder& add) const = 0;
};

// Answers batches.
class MessageHandler {
 public:
  // Takes a reply that is ready at once.
  class ReplySink {
   public:
    // What it does not take out of `reply`, its memory above all, is the caller's again.
    virtual void Reply(const Inbound& message, entrepot::Reply* reply) = 0;
    // Whether the message is to be run; as Transport::TakesMore(), for the thread of the transport.
    virtual bool TakesMore(const Inbound& message) const = 0;

   protected:
    ~ReplySink() = default;
  };

  // One for each thread of a transport, used by that thread only.
  class Lane {
   public:
    virtual ~Lane() = default;
    // Handles the messages of a turn; their bytes are valid until it returns.
    virtual void Handle(std::span<const Inbound> messages, ReplySink* sink) = 0;
  };
  virtual std::unique_ptr<Lane> NewLane() = 0;

  // The connection has gone, as far as the transport can tell: it saw its end, or something was
  // sent to it afterwards. Any thread, any number of times.
  virtual void OnPeerGone(uint64_t connection) = 0;
  // Transport::HasSubscribers() may have become true. Any thread.
  virtual void OnSubscriber() = 0;

 protected:
  ~MessageHandler() = default;
};

}  // namespace entrepot
