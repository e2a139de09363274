// A received message and the parts of one to send, as the library and its user exchange them.
//
// Thread safety: values.
#pragma once

#include <cstdint>
#include <string_view>

namespace entrepot::zmtp {

// Names one connection for ever: a later one in the same place has another handle. Never 0.
//    handle := generation:32 slot:24 io-thread:8
using ConnectionHandle = uint64_t;

constexpr uint32_t IoThreadOf(ConnectionHandle handle) {
  return static_cast<uint32_t>(handle & 0xff);
}

// Views are valid during the call that hands the message over.
struct Message {
  ConnectionHandle connection;
  uint32_t envelope_frames;   // At most ZmtpLimits::frames - 1.
  std::string_view envelope;  // These frames as received, headers included: to be echoed as it is.
  std::string_view body;      // The last frame, without its header.
};

// A piece of a body. Without `release` the bytes are copied during Send(). With it they stay where
// they are, and `release(owner)` is called exactly once, on any thread, when they are needed no
// more: sent, dropped or refused.
struct Piece {
  std::string_view bytes;
  void* owner = nullptr;
  void (*release)(void* owner) = nullptr;
};

}  // namespace entrepot::zmtp
