// ZMTP 3 frames (RFC 37, "Framing"): read in place, written at once.
//
// It does not know what a message or a command means (see session.h). A parser that keeps state
// from byte to byte would save looking again at the headers of a half-received message, at most
// `frames` of them, and cost a copy and a branch a frame for everything that arrives whole.
//
// Thread safety: pure functions.
//
//    item    := message | command
//    message := (more frame)* last frame          -- a command may stand between two frames
//    frame   := flags:byte size payload:byte[size]
//    size    := byte | u64be                      -- by flag LONG; the latter below 2^63
//    flags   := 1 MORE | 2 LONG | 4 COMMAND       -- a command never has MORE
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "zmtp/events.h"

namespace entrepot::zmtp {

inline constexpr uint8_t kFlagMore = 1;
inline constexpr uint8_t kFlagLong = 2;
inline constexpr uint8_t kFlagCommand = 4;
inline constexpr size_t kShortHeaderBytes = 2;
inline constexpr size_t kLongHeaderBytes = 9;
inline constexpr size_t kShortPayloadMax = 255;

// Bytes of the header of a frame with this payload, as StoreFrameHeader() writes it.
constexpr size_t FrameHeaderBytes(uint64_t payload_bytes) {
  return payload_bytes <= kShortPayloadMax ? kShortHeaderBytes : kLongHeaderBytes;
}

// Writes the header of a frame at `to`; gives back where the payload goes. `flags` is kFlagMore,
// kFlagCommand or 0.
char* StoreFrameHeader(char* to, uint8_t flags, uint64_t payload_bytes);

// What a peer may send, see ZmtpLimits.
struct ItemLimits {
  size_t frames;
  size_t envelope_bytes;
  size_t body_bytes;
  size_t command_bytes;
};

// What stands at the front of received bytes; offsets are from their beginning.
struct Item {
  enum class Kind : uint8_t {
    kMessage,     // Whole: [0, envelope_end) the envelope's frames, [payload, end) the body.
    kCommand,     // Whole: header at envelope_end, [payload, end) the contents. When envelope_end
                  // is not 0 it stands between the frames of a message that begins at 0.
    kIncomplete,  // Nothing can be said before `end` bytes are there.
    kRefused,     // By `reason`; nothing behind it can be understood.
  };
  Kind kind;
  Event reason = Event::kNone;
  uint32_t envelope_frames = 0;
  size_t envelope_end = 0;
  size_t payload = 0;
  size_t end = 0;
};

// Looks at the front of `bytes`. Bounds are applied to the sizes that headers announce, before
// their payloads arrive.
Item ReadItem(std::string_view bytes, const ItemLimits& limits);

}  // namespace entrepot::zmtp
