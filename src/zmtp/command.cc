#include "zmtp/command.h"

#include <algorithm>

#include "base/coding.h"
#include "base/status.h"
#include "zmtp/frame.h"

namespace entrepot::zmtp {
namespace {

// A tenth of a second, the unit of a PING's TTL.
constexpr int64_t kTtlUnitMicros = 100'000;

bool EqualsIgnoringCase(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return lower(x) == lower(y); });
}

// Takes a length of type Size and that many bytes from the front of `from`.
template <typename Size>
std::optional<std::string_view> TakeSized(std::string_view* from) {
  if (from->size() < sizeof(Size)) return std::nullopt;
  const size_t size = LoadBig<Size>(from->data());
  if (from->size() - sizeof(Size) < size) return std::nullopt;
  const std::string_view taken = from->substr(sizeof(Size), size);
  from->remove_prefix(sizeof(Size) + size);
  return taken;
}

void AppendSized8(std::string_view bytes, std::string* out) {
  CHECK(bytes.size() <= kShortPayloadMax);
  out->push_back(static_cast<char>(bytes.size()));
  out->append(bytes);
}

void AppendProperty(std::string_view name, std::string_view value, std::string* out) {
  AppendSized8(name, out);
  char size[sizeof(uint32_t)];
  StoreBig<uint32_t>(size, static_cast<uint32_t>(value.size()));
  out->append(size, sizeof(size));
  out->append(value);
}

void AppendCommand(std::string_view name, std::string_view data, std::string* out) {
  const size_t payload = 1 + name.size() + data.size();
  char header[kLongHeaderBytes];
  out->append(header, StoreFrameHeader(header, kFlagCommand, payload));
  AppendSized8(name, out);
  out->append(data);
}

}  // namespace

std::optional<Command> ReadCommand(std::string_view payload) {
  const auto name = TakeSized<uint8_t>(&payload);
  if (!name || name->empty()) return std::nullopt;
  return Command{*name, payload};
}

std::optional<Ready> ReadReady(std::string_view data) {
  Ready ready;
  while (!data.empty()) {
    const auto name = TakeSized<uint8_t>(&data);
    if (!name || name->empty()) return std::nullopt;
    const auto value = TakeSized<uint32_t>(&data);
    if (!value) return std::nullopt;
    if (EqualsIgnoringCase(*name, "Socket-Type")) ready.socket_type = *value;
    if (EqualsIgnoringCase(*name, "Identity")) ready.identity = *value;
  }
  return ready;
}

bool MayConnect(std::string_view socket_type, EndpointKind kind) {
  if (kind == EndpointKind::kFeed) return socket_type == "SUB" || socket_type == "XSUB";
  return socket_type == "DEALER" || socket_type == "REQ" || socket_type == "ROUTER";
}

std::optional<Ping> ReadPing(std::string_view data) {
  if (data.size() < sizeof(uint16_t)) return std::nullopt;
  const std::string_view context = data.substr(sizeof(uint16_t));
  if (context.size() > kPingContextBytesMax) return std::nullopt;
  return Ping{LoadBig<uint16_t>(data.data()) * kTtlUnitMicros, context};
}

void AppendReady(EndpointKind kind, std::string* out) {
  std::string properties;
  const bool is_feed = kind == EndpointKind::kFeed;
  AppendProperty("Socket-Type", is_feed ? "PUB" : "ROUTER", &properties);
  if (!is_feed) AppendProperty("Identity", "", &properties);
  AppendCommand("READY", properties, out);
}

void AppendError(std::string_view reason, std::string* out) {
  std::string data;
  AppendSized8(reason, &data);
  AppendCommand("ERROR", data, out);
}

void AppendPong(std::string_view context, std::string* out) { AppendCommand("PONG", context, out); }

}  // namespace entrepot::zmtp
