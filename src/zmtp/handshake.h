// The first bytes of a connection: the greeting of ZMTP 3 (RFC 37), both ways.
//
// The NULL mechanism is the only one so far; another one has its place between the greeting and
// READY, see Session.
//
// Thread safety: pure functions.
//
//    greeting  := signature version mechanism as-server:byte zero:byte[31]       -- 64 bytes
//    signature := 0xff byte[8] 0x7f
//    version   := major:byte minor:byte
//    mechanism := name, zeros up to 20 bytes
#pragma once

#include <cstddef>
#include <string_view>

#include "zmtp/events.h"

namespace entrepot::zmtp {

inline constexpr size_t kGreetingBytes = 64;

// What this library sends at once, without waiting for the peer: version 3.1, mechanism NULL.
std::string_view Greeting();

// What can be said of the first bytes of a peer, any number of them: kNone while nothing is wrong;
// else kNotZmtp, kOlderPeer or kMechanism. With kGreetingBytes of them kNone means: it is whole.
// A peer of a later major version is accepted: by RFC 37 it falls back to ours.
Event CheckGreeting(std::string_view received);

}  // namespace entrepot::zmtp
