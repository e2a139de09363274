#include "zmtp/frame.h"

#include "base/coding.h"

namespace entrepot::zmtp {
namespace {

constexpr uint8_t kFlagsKnown = kFlagMore | kFlagLong | kFlagCommand;
constexpr uint64_t kPayloadBytesCeiling = uint64_t{1} << 63;

Item Refused(Event reason) { return {.kind = Item::Kind::kRefused, .reason = reason}; }

Item Incomplete(size_t needed) { return {.kind = Item::Kind::kIncomplete, .end = needed}; }

}  // namespace

char* StoreFrameHeader(char* to, uint8_t flags, uint64_t payload_bytes) {
  if (payload_bytes <= kShortPayloadMax) {
    to[0] = static_cast<char>(flags);
    to[1] = static_cast<char>(payload_bytes);
    return to + kShortHeaderBytes;
  }
  to[0] = static_cast<char>(flags | kFlagLong);
  StoreBig<uint64_t>(to + 1, payload_bytes);
  return to + kLongHeaderBytes;
}

Item ReadItem(std::string_view bytes, const ItemLimits& limits) {
  size_t at = 0;
  size_t envelope_bytes = 0;
  for (uint32_t frames = 0;; ++frames) {
    if (bytes.size() <= at) return Incomplete(at + kShortHeaderBytes);
    const uint8_t flags = static_cast<uint8_t>(bytes[at]);
    const bool is_command = (flags & kFlagCommand) != 0;
    if ((flags & ~kFlagsKnown) != 0 || (is_command && (flags & kFlagMore) != 0)) {
      return Refused(Event::kFrameMalformed);
    }
    // MORE promises one frame more than those counted so far.
    if (!is_command && frames + (flags & kFlagMore) >= limits.frames) {
      return Refused(Event::kTooManyFrames);
    }

    const bool is_long = (flags & kFlagLong) != 0;
    const size_t payload = at + (is_long ? kLongHeaderBytes : kShortHeaderBytes);
    if (bytes.size() < payload) return Incomplete(payload);
    const uint64_t size =
        is_long ? LoadBig<uint64_t>(bytes.data() + at + 1) : static_cast<uint8_t>(bytes[at + 1]);
    if (size >= kPayloadBytesCeiling) return Refused(Event::kFrameMalformed);

    if (is_command) {
      if (size > limits.command_bytes) return Refused(Event::kCommandTooLarge);
    } else if ((flags & kFlagMore) == 0) {
      if (size > limits.body_bytes) return Refused(Event::kBodyTooLarge);
    } else {
      if (size > limits.envelope_bytes - envelope_bytes) return Refused(Event::kEnvelopeTooLarge);
      envelope_bytes += size;
    }

    const size_t end = payload + size;
    if (bytes.size() < end) return Incomplete(end);
    if ((flags & kFlagMore) == 0) {
      return {.kind = is_command ? Item::Kind::kCommand : Item::Kind::kMessage,
              .envelope_frames = frames,
              .envelope_end = at,
              .payload = payload,
              .end = end};
    }
    at = end;
  }
}

}  // namespace entrepot::zmtp
