// The exit statuses of `entrepot`, the same for every command.

#pragma once

#include "entrepot/status.h"

namespace entrepot::cli {

enum class ExitStatus : int {
  kOk = 0,
  kServerError = 1,  // The server said no, or the command could not do its work.
  kUsage = 2,
  kNotFound = 3,
  kConflict = 4,
  kUnreachable = 5,  // No server, or no answer in time.
};

// What an error of the client means to a shell script.
ExitStatus ExitStatusOf(const Status& status);

}  // namespace entrepot::cli
