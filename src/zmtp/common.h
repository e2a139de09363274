// What the io threads and the acceptor of one server share.
//
// Thread safety: every part synchronises itself, or is constant while the threads run.
#pragma once

#include <memory>
#include <vector>

#include "zmtp/addresses.h"
#include "zmtp/connection.h"
#include "zmtp/handler.h"
#include "zmtp/refusals.h"

namespace entrepot::zmtp {

class IoThread;

// Outlives the threads.
struct Common {
  Common(const ZmtpLimits& limits, Handler& the_handler);
  ~Common();

  Shared shared;
  Handler& handler;
  Refusals refusals;
  Addresses addresses;
  std::vector<std::unique_ptr<IoThread>> io_threads;  // Constant once they run.
};

}  // namespace entrepot::zmtp
