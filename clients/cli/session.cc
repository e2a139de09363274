#include "session.h"

#include <unistd.h>

#include <cstdio>
#include <string>
#include <string_view>

namespace entrepot::cli {

Console Console::OfProcess() {
  return {.out_is_terminal = isatty(STDOUT_FILENO) == 1,
          .error_is_terminal = isatty(STDERR_FILENO) == 1};
}

ExitStatus Session::Fail(const Status& status) const {
  return Fail(ExitStatusOf(status), status.ToString());
}

ExitStatus Session::Fail(ExitStatus status, std::string_view message) const {
  std::fflush(console.out);
  const char* const begin = console.error_is_terminal ? "\x1b[31m" : "";
  const char* const end = console.error_is_terminal ? "\x1b[0m" : "";
  std::fprintf(console.error, "%sentrepot: %.*s%s\n", begin, static_cast<int>(message.size()),
               message.data(), end);
  return status;
}

}  // namespace entrepot::cli
