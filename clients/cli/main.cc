// `entrepot`: the command line of an Entrepôt server.

#include <clocale>
#include <csignal>
#include <cstdio>
#include <string>
#include <vector>

#include "command_line.h"

int main(int argc, char** argv) {
  std::setlocale(LC_CTYPE, "");
  // `entrepot scan | head` ends quietly, also where a parent ignores the signal.
  std::signal(SIGPIPE, SIG_DFL);
  std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);
  return static_cast<int>(
      entrepot::cli::RunProgram(std::vector<std::string>(argv + 1, argv + argc)));
}
