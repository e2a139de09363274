// Link: the way to the server over time, made of one connection after the other.
//
// One connection is the current one, on which requests are sent. It can be renewed: then a new one
// takes its place, and the old one is still read, for answers that come late, until nobody waits
// for them. A connection that ends is replaced at once, then after kReopenFirstMs, doubling up to
// kReopenMaxMs, until an answer has come.
//
// Thread safety: none; it belongs to the client's exchange thread.

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>
#include <zmq.hpp>

#include "client_clock.h"
#include "connection.h"
#include "entrepot/status.h"

namespace entrepot {

class Link {
 public:
  Link(zmq::context_t& context, std::string endpoint)
      : context_(context), endpoint_(std::move(endpoint)) {}

  // Opens a current connection if there is none and it is time for one. An error is for ever.
  Status Open(TimePoint now);
  // When Open() should be called again; nothing while there is a current connection.
  std::optional<TimePoint> reopen_at() const;

  bool ready() const;
  // Since when connecting has failed; nothing while it has not, or has succeeded since.
  std::optional<TimePoint> refused_since() const { return refused_since_; }

  // The number of the current connection, from 1; 0 where there is none.
  uint64_t current() const { return current_ ? current_->number : 0; }

  // Sends on the current connection; false where that cannot be now. `sequence` names who waits
  // for the answer.
  bool Send(const std::string& body, uint64_t sequence);

  // Sends what nobody waits for on the connection of that number, if it is the current one.
  void Notify(uint64_t connection, const std::string& body);

  // Puts the current connection aside, still read, so that Open() makes a new one.
  void Renew();

  struct Arrival {
    uint64_t connection;  // Its number.
    zmq::message_t body;
  };
  struct Arrivals {
    std::vector<Arrival> bodies;
    std::vector<uint64_t> ended;  // Numbers of connections.
  };

  // What has happened since the last call.
  Arrivals Receive(TimePoint now);

  // Nobody waits for the answer to `sequence` any more.
  void Forget(uint64_t sequence);

  // Closes everything, so that the next Open() starts afresh.
  void Reset();

  // What to poll for reading.
  void AddPollItems(std::vector<zmq_pollitem_t>* items);

 private:
  struct Numbered {
    uint64_t number;
    std::unique_ptr<Connection> connection;
    std::set<uint64_t> awaited;  // The sequences that were sent on it.
  };

  void Read(Numbered* numbered, Arrivals* arrivals);

  zmq::context_t& context_;
  const std::string endpoint_;
  std::optional<Numbered> current_;
  std::vector<Numbered> aside_;
  uint64_t last_number_ = 0;
  std::optional<TimePoint> refused_since_;
  TimePoint reopen_at_{};
  milliseconds reopen_wait_{0};
};

}  // namespace entrepot
