// Shell: the prompt, with history and with completion of commands and live keys.
//
// Where stdin is no terminal, its lines are run without a prompt, as a script. The history is kept
// in the file that ENTREPOT_HISTORY names, or in ~/.entrepot_history.
//
// Thread safety: none; one shell a process, for libedit keeps the terminal's state.

#pragma once

#include "exit_status.h"
#include "session.h"

namespace entrepot::cli {

struct ShellCommand {
  // The status of the last line that was run.
  ExitStatus Run(Session& session) const;
};

}  // namespace entrepot::cli
