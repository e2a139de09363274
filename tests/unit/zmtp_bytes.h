// Bytes that ZMTP peers send, made for tests: greetings, READY, frames.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "zmtp/frame.h"
#include "zmtp/handshake.h"

namespace entrepot::zmtp {

inline std::string Frame(uint8_t flags, std::string_view payload) {
  char header[kLongHeaderBytes];
  std::string frame(header, StoreFrameHeader(header, flags, payload.size()));
  return frame.append(payload);
}

// The same content with a size of eight bytes, which every peer may choose.
inline std::string LongFrame(uint8_t flags, std::string_view payload) {
  std::string frame(1, static_cast<char>(flags | kFlagLong));
  for (int shift = 56; shift >= 0; shift -= 8) {
    frame.push_back(static_cast<char>(uint64_t{payload.size()} >> shift & 0xff));
  }
  return frame.append(payload);
}

// Only the header of a frame of `size` bytes.
inline std::string LongHeader(uint8_t flags, uint64_t size) {
  std::string header(1, static_cast<char>(flags | kFlagLong));
  for (int shift = 56; shift >= 0; shift -= 8) {
    header.push_back(static_cast<char>(size >> shift & 0xff));
  }
  return header;
}

inline std::string CommandFrame(std::string_view name, std::string_view data) {
  std::string payload(1, static_cast<char>(name.size()));
  payload.append(name).append(data);
  return Frame(kFlagCommand, payload);
}

inline std::string Property(std::string_view name, std::string_view value) {
  std::string property(1, static_cast<char>(name.size()));
  property.append(name);
  for (int shift = 24; shift >= 0; shift -= 8) {
    property.push_back(static_cast<char>(value.size() >> shift & 0xff));
  }
  return property.append(value);
}

inline std::string ReadyFrame(std::string_view socket_type, std::string_view identity = "") {
  std::string properties = Property("Socket-Type", socket_type);
  if (!identity.empty()) properties += Property("Identity", identity);
  return CommandFrame("READY", properties);
}

// What a peer sends before its first message.
inline std::string Introduction(std::string_view socket_type) {
  return std::string(Greeting()) + ReadyFrame(socket_type);
}

}  // namespace entrepot::zmtp
