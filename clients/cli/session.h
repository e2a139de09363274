// Session: what the commands of one run share: the client, the format, the console.
//
// Thread safety: none.

#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include "entrepot/client.h"
#include "exit_status.h"
#include "output.h"

namespace entrepot::cli {

// Where a command writes. Progress and colour are for a terminal only, and on stderr.
struct Console {
  std::FILE* out = stdout;
  std::FILE* error = stderr;
  bool out_is_terminal = false;
  bool error_is_terminal = false;

  // The console of this process.
  static Console OfProcess();
};

struct Session {
  Client& client;
  Format format = Format::kPlain;
  CallOptions call = {};
  Console console = {};

  // Says the error on stderr and gives its exit status.
  ExitStatus Fail(const Status& status) const;
  ExitStatus Fail(ExitStatus status, std::string_view message) const;
  // A mistake in how the command was written.
  ExitStatus Usage(std::string_view message) const { return Fail(ExitStatus::kUsage, message); }
};

}  // namespace entrepot::cli
