// Endpoints as a client takes them: tcp://host:port, ipc://path, inproc://name.

#pragma once

#include <string>
#include <string_view>

#include "entrepot/status.h"

namespace entrepot {

// `server`, or where that is empty ENTREPOT_SERVER, or tcp://127.0.0.1:5555.
std::string ChooseEndpoint(std::string_view server);

// `invalid_argument` for what can be no endpoint of a server.
Status CheckEndpoint(std::string_view endpoint);

}  // namespace entrepot
