// Watch and changes: what happens to entries, a line an event, as it happens or since a token.
//
// A watch survives the server: after a restart it says on stderr where it went on. It ends after
// `count` events, on Ctrl-C, or when nobody reads its output any more; all three are status 0.
//
// Thread safety: none.

#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "commands.h"
#include "exit_status.h"
#include "session.h"

namespace entrepot::cli {

struct WatchCommand {
  std::string prefix;
  QuerySyntax query;
  std::string since;  // A token; empty for none.
  bool no_snapshot = false;
  bool keys = false;    // Without values.
  std::string command;  // Run by the shell for each event, in place of printing it.
  std::optional<uint64_t> count;
  ExitStatus Run(Session& session) const;
};

// Ends where there is nothing more, with the token from which a later run goes on; without a token
// to begin from, that is all it tells.
struct ChangesCommand {
  std::string prefix;
  std::string since;
  std::string wait;  // A duration: how long to wait for a next event; empty for not at all.
  bool keys = false;
  ExitStatus Run(Session& session) const;
};

}  // namespace entrepot::cli
