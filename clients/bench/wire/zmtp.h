// ZMTP 3.1 as far as a load tester and an echo need it (RFC 37): the greeting, the NULL mechanism's
// READY, and frames.
//
//     connection := greeting ready frame*
//     greeting   := FF 00*8 7F major:03 minor:01 mechanism:"NULL" 00*16 as_server:00 00*31
//     ready      := frame with COMMAND, body 05 "READY" (name_size:u8 name value_size:u32 value)*
//     frame      := flags:u8 (size:u8 | size:u64 if LONG) body
//
// Not a general implementation: no CURVE, no older peers, no multipart messages.
//
// Thread safety: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/coding.h"
#include "base/status.h"

namespace entrepot::bench {

inline constexpr uint8_t kFrameMore = 1;
inline constexpr uint8_t kFrameLong = 2;
inline constexpr uint8_t kFrameCommand = 4;
inline constexpr size_t kFrameHeaderMax = 9;
inline constexpr size_t kFrameShortMax = 255;
inline constexpr size_t kGreetingBytes = 64;
// Longer frames are refused: no reply that the tester asks for is as long.
inline constexpr uint64_t kFrameBytesMax = 64 * 1024 * 1024;

struct Frame {
  uint8_t flags = 0;
  std::string_view body;
  size_t bytes = 0;  // Header and body.
};

// Greeting and READY of a socket of type `socket_type`, for instance "DEALER".
std::string MakeZmtpGreeting(std::string_view socket_type);

enum class FrameState : uint8_t { kWhole, kPartial, kBroken };

// The frame at the front of `in`. kBroken: reserved flags, or more than kFrameBytesMax. No Status,
// because this runs once a message.
inline FrameState ParseFrame(std::string_view in, Frame* frame) {
  if (in.size() < 2) return FrameState::kPartial;
  frame->flags = static_cast<uint8_t>(in[0]);
  if ((frame->flags & ~(kFrameMore | kFrameLong | kFrameCommand)) != 0) return FrameState::kBroken;
  size_t header = 2;
  uint64_t size = static_cast<uint8_t>(in[1]);
  if ((frame->flags & kFrameLong) != 0) {
    header = kFrameHeaderMax;
    if (in.size() < header) return FrameState::kPartial;
    size = LoadBig<uint64_t>(in.data() + 1);
    if (size > kFrameBytesMax) return FrameState::kBroken;
  }
  if (in.size() - header < size) return FrameState::kPartial;
  frame->body = in.substr(header, size);
  frame->bytes = header + size;
  return FrameState::kWhole;
}

// How many bytes the peer's greeting and READY take; nothing while they are not whole.
Result<std::optional<size_t>> ParseZmtpGreeting(std::string_view in);

// The header of a frame of `size` bytes; returns its end.
char* WriteFrameHeader(uint8_t flags, uint64_t size, char* out);

// The PONG that answers a PING command of this body, as a frame; nothing for other commands.
std::optional<std::string> AnswerPing(std::string_view command);

}  // namespace entrepot::bench
