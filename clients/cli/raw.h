// Raw: requests sent as they are written, and every frame shown, in hex and decoded.
//
// The way to see the protocol itself, and to send what no client library would.
//
// Thread safety: none.

#pragma once

#include <string>
#include <vector>

#include "exit_status.h"
#include "session.h"

namespace entrepot::cli {

struct RawCommand {
  // `["method", [params…]]` each, in JSON; together they are one body, with msgids from 1 on.
  std::vector<std::string> requests;
  std::string hex;  // The body in hex, in place of requests.
  ExitStatus Run(Session& session) const;
};

}  // namespace entrepot::cli
