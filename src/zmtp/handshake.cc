#include "zmtp/handshake.h"

#include <algorithm>

namespace entrepot::zmtp {
namespace {

constexpr size_t kSignatureBytes = 10;
constexpr size_t kMajorAt = 10;
constexpr size_t kMechanismAt = 12;
constexpr size_t kMechanismBytes = 20;
constexpr unsigned char kMajorVersion = 3;

constexpr char kGreeting[kGreetingBytes + 1] =
    "\xff\0\0\0\0\0\0\0\1\x7f"  // Signature; byte 8 as libzmq has it, for very old peers.
    "\3\1"                      // Version 3.1.
    "NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
    "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

}  // namespace

std::string_view Greeting() { return {kGreeting, kGreetingBytes}; }

Event CheckGreeting(std::string_view received) {
  const auto byte = [&](size_t at) { return static_cast<unsigned char>(received[at]); };
  if (received.empty()) return Event::kNone;
  if (byte(0) != 0xff) {
    // ZMTP 1.0 begins with the length of an identity frame and its flags, which are 0.
    if (received.size() < 2) return Event::kNone;
    return byte(1) == 0 ? Event::kOlderPeer : Event::kNotZmtp;
  }
  if (received.size() < kSignatureBytes) return Event::kNone;
  if (byte(kSignatureBytes - 1) != 0x7f) {
    // In ZMTP 1.0 these are the flags behind a length of eight bytes.
    return byte(kSignatureBytes - 1) == 0 ? Event::kOlderPeer : Event::kNotZmtp;
  }
  if (received.size() > kMajorAt && byte(kMajorAt) < kMajorVersion) return Event::kOlderPeer;

  const size_t mechanism_end = std::min(received.size(), kMechanismAt + kMechanismBytes);
  for (size_t at = kMechanismAt; at < mechanism_end; ++at) {
    if (received[at] != kGreeting[at]) return Event::kMechanism;
  }
  return Event::kNone;
}

}  // namespace entrepot::zmtp
