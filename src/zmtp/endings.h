// How connections of one io thread end: in peace, at once, and in which order it is told.
//
// An ended connection is open no longer at once, is told to the handler at the end of the turn, and
// is destroyed when nothing names it any more. One that ends in peace still gets its last output,
// then its peer has a while to close its own half.
//
// Thread safety: none; belongs to one io thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "zmtp/common.h"
#include "zmtp/connection_table.h"
#include "zmtp/deadlines.h"
#include "zmtp/feed_side.h"
#include "zmtp/output_side.h"

namespace entrepot::zmtp {

class Endings {
 public:
  Endings(Common& common, ConnectionTable& connections, OutputSide& output, FeedSide& feed,
          Deadlines& deadlines);

  // Notes that it is to be ended by EndNoted(), when its messages of this turn are answered.
  void EndLater(const Connection& connection, Event reason);
  void EndNoted(int64_t now_micros);
  // Ends it: in peace where `reason` allows. One that drains already is killed.
  void End(Connection& connection, Event reason, int64_t now_micros);
  // Ends it at once, also while it drains.
  void Kill(Connection& connection);

  // Counts those that have ended and tells the handler.
  void TellClosed();
  // Destroys those that were killed and told of.
  void DestroyKilled();

  bool has_work() const { return !noted_.empty() || !ended_.empty() || !killed_.empty(); }

 private:
  Common& common_;
  ConnectionTable& connections_;
  OutputSide& output_;
  FeedSide& feed_;
  Deadlines& deadlines_;

  std::vector<std::pair<ConnectionHandle, Event>> noted_;
  std::vector<Connection*> ended_;  // Not told yet, so not destroyed.
  std::vector<ConnectionHandle> killed_;
};

}  // namespace entrepot::zmtp
