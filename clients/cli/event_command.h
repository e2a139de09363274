// A command that the shell runs for an event: `entrepot watch --exec`.
//
// It finds the event in its environment, ENTREPOT_EVENT, ENTREPOT_KEY and ENTREPOT_VERSION, and the
// value's bytes, as `entrepot get` writes them, on its stdin.
//
// Thread safety: none.

#pragma once

#include <string>

#include "entrepot/event.h"
#include "entrepot/status.h"

namespace entrepot::cli {

// Runs `command` and waits for its end. The event must be about a key. `internal` where the system
// cannot run it, or where it ended with another status than 0; the message says which.
Status RunEventCommand(const std::string& command, const Event& event);

}  // namespace entrepot::cli
