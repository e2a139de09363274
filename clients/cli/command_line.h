// The words of a command line, understood and run.
//
// The program's arguments and each line of the prompt come through here, so that both know the
// same commands. A further command is a struct with Run() (commands.h) and an Add…() in
// command_line.cc.
//
// Thread safety: none.

#pragma once

#include <string>
#include <vector>

#include "exit_status.h"
#include "session.h"

namespace entrepot::cli {

// Runs the program: `arguments` are those of main() without the program's name.
ExitStatus RunProgram(const std::vector<std::string>& arguments);

// Runs one line of the prompt in a session that stands.
ExitStatus RunLine(const std::vector<std::string>& words, Session& session);

// The names of all commands, for completion.
std::vector<std::string> CommandNames();

}  // namespace entrepot::cli
