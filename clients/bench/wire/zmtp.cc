#include "bench/wire/zmtp.h"

#include <fmt/format.h>

#include <cstring>

namespace entrepot::bench {
namespace {

constexpr std::string_view kReady("\x05READY", 6);
constexpr std::string_view kError(
    "\x05"
    "ERROR",
    6);
constexpr std::string_view kPing("\x04PING", 5);
constexpr std::string_view kPong("\x04PONG", 5);
constexpr size_t kPingTtlBytes = 2;
constexpr size_t kVersionOffset = 10;
constexpr size_t kMechanismOffset = 12;
constexpr size_t kMechanismBytes = 20;

Status Malformed(std::string message) { return Status(Code::kMalformed, std::move(message)); }

void AppendProperty(std::string_view name, std::string_view value, std::string* out) {
  out->push_back(static_cast<char>(name.size()));
  out->append(name);
  char size[4];
  StoreBig<uint32_t>(size, static_cast<uint32_t>(value.size()));
  out->append(size, sizeof size);
  out->append(value);
}

std::string MakeFrame(uint8_t flags, std::string_view body) {
  char header[kFrameHeaderMax];
  std::string frame(header, WriteFrameHeader(flags, body.size(), header));
  return frame.append(body);
}

}  // namespace

std::string MakeZmtpGreeting(std::string_view socket_type) {
  std::string greeting(kGreetingBytes, '\0');
  greeting[0] = '\xff';
  greeting[9] = '\x7f';
  greeting[kVersionOffset] = 3;
  greeting[kVersionOffset + 1] = 1;
  std::memcpy(&greeting[kMechanismOffset], "NULL", 4);
  std::string ready(kReady);
  AppendProperty("Socket-Type", socket_type, &ready);
  AppendProperty("Identity", "", &ready);
  return greeting + MakeFrame(kFrameCommand, ready);
}

Result<std::optional<size_t>> ParseZmtpGreeting(std::string_view in) {
  if (!in.empty() && in[0] != '\xff') return Malformed("the peer does not speak ZMTP");
  if (in.size() < kGreetingBytes) return std::optional<size_t>();
  if (in[9] != '\x7f' || in[kVersionOffset] < 3) {
    return Malformed("the peer does not speak ZMTP 3");
  }
  std::string mechanism("NULL");
  mechanism.resize(kMechanismBytes);
  if (in.substr(kMechanismOffset, kMechanismBytes) != mechanism) {
    return Malformed("the peer asks for another mechanism than NULL");
  }
  Frame frame;
  switch (ParseFrame(in.substr(kGreetingBytes), &frame)) {
    case FrameState::kPartial:
      return std::optional<size_t>();
    case FrameState::kBroken:
      return Malformed("the peer's first frame is broken");
    case FrameState::kWhole:
      break;
  }
  if ((frame.flags & kFrameCommand) != 0 && frame.body.starts_with(kError)) {
    return Malformed(
        fmt::format("the peer refuses the connection: {}",
                    frame.body.substr(std::min(frame.body.size(), kError.size() + 1))));
  }
  if ((frame.flags & kFrameCommand) == 0 || !frame.body.starts_with(kReady)) {
    return Malformed("the peer's first frame is not READY");
  }
  return std::optional<size_t>(kGreetingBytes + frame.bytes);
}

char* WriteFrameHeader(uint8_t flags, uint64_t size, char* out) {
  if (size <= kFrameShortMax) {
    out[0] = static_cast<char>(flags);
    out[1] = static_cast<char>(size);
    return out + 2;
  }
  out[0] = static_cast<char>(flags | kFrameLong);
  StoreBig<uint64_t>(out + 1, size);
  return out + kFrameHeaderMax;
}

std::optional<std::string> AnswerPing(std::string_view command) {
  if (!command.starts_with(kPing) || command.size() < kPing.size() + kPingTtlBytes) {
    return std::nullopt;
  }
  std::string pong(kPong);
  pong.append(command.substr(kPing.size() + kPingTtlBytes));
  return MakeFrame(kFrameCommand, pong);
}

}  // namespace entrepot::bench
