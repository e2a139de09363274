// ZMTP 3 commands (RFC 37): their names, and READY, ERROR, PING and PONG in full.
//
// Thread safety: pure functions.
//
//    command  := name-size:byte name data
//    READY    := (name-size:byte name value-size:u32be value)*
//    ERROR    := reason-size:byte reason
//    PING     := ttl:u16be context:byte[0..16]     -- ttl in tenths of a second, 0: none
//    PONG     := context:byte[0..16]
//    SUBSCRIBE, CANCEL := prefix
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "zmtp/events.h"

namespace entrepot::zmtp {

// What an endpoint of this library is, and with it which peers it accepts.
enum class EndpointKind : uint8_t {
  kRequests,  // A ROUTER: DEALER, REQ and ROUTER may connect (RFC 28).
  kFeed,      // A PUB: SUB and XSUB may connect (RFC 29).
};

inline constexpr size_t kPingContextBytesMax = 16;

struct Command {
  std::string_view name;
  std::string_view data;
};

// None when `payload` has no whole name.
std::optional<Command> ReadCommand(std::string_view payload);

// What a READY said. Views into it.
struct Ready {
  std::string_view socket_type;
  std::string_view identity;
};

// None when `data`, what follows the name, is not a list of properties. Names are compared without
// regard to case; properties that this library does not know are skipped.
std::optional<Ready> ReadReady(std::string_view data);

// Whether a socket of this type may talk to such an endpoint.
bool MayConnect(std::string_view socket_type, EndpointKind kind);

struct Ping {
  int64_t ttl_micros;
  std::string_view context;
};
std::optional<Ping> ReadPing(std::string_view data);

// Append a whole command frame to `out`. `reason` and `context` have at most 255 and 16 bytes.
void AppendReady(EndpointKind kind, std::string* out);
void AppendError(std::string_view reason, std::string* out);
void AppendPong(std::string_view context, std::string* out);

}  // namespace entrepot::zmtp
