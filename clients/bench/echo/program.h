// What the two echo programs share: their flags, the ports file, and stopping at SIGTERM.
//
// Thread safety: call from the main thread.
#pragma once

#include <string>

#include "base/status.h"

namespace entrepot::bench {

struct EchoFlags {
  std::string host = "127.0.0.1";
  int port = 0;
  std::string ports_file;
};

// Reads --listen tcp://host:port and --ports-file FILE; prints what is wrong and exits with 2.
EchoFlags ParseEchoFlags(int argc, char** argv, const char* name, const char* description);

// Writes {"listen": ["tcp://…"]} whole, if a file was asked for.
Status WritePortsFile(const EchoFlags& flags, int port);

// A descriptor that becomes readable when SIGTERM or SIGINT arrives; call before threads start.
int MakeStopDescriptor();

}  // namespace entrepot::bench
