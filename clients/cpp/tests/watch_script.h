// What a server says to a watch, as a test writes it: JSON becomes the bytes of the wire.

#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "entrepot/event.h"
#include "entrepot/wire_request.h"
#include "event_wire.h"

namespace entrepot::testing {

using Json = nlohmann::json;

inline std::string Pack(const Json& json) {
  const std::vector<uint8_t> packed = Json::to_msgpack(json);
  return std::string(packed.begin(), packed.end());
}

// The answer to `watch`.
inline std::string Accepts(uint64_t watch, const std::string& history, uint64_t version) {
  return Pack({{"watch", watch}, {"history", history}, {"version", version}});
}

inline Json SetEvent(const std::string& key, const Json& value, uint64_t version,
                     uint64_t previous_version = 0) {
  return {{"key", key},         {"op", "set"},    {"cause", "client"},
          {"version", version}, {"value", value}, {"previous_version", previous_version}};
}

inline Json SnapshotEvent(const std::string& key, const Json& value, uint64_t version) {
  Json event = SetEvent(key, value, version);
  event["snapshot"] = true;
  return event;
}

// A message of a watch, read as the client reads it.
inline WatchMessage Message(uint64_t watch, const std::vector<Json>& events, uint64_t version,
                            bool synced = false, const Json& error = nullptr) {
  Json status = {{"version", version}, {"synced", synced}};
  if (!error.is_null()) status["error"] = error;
  const Json message = {2, "events", {watch, events, status}};
  return ParseWatchMessage(Pack(message)).value();
}

// The method and the options, or the params, of a request.
inline Json MethodAndParams(const WireRequest& request) {
  return Json::from_msgpack(request.EncodeOperation());
}

// An event in a word: "snapshot a", "set a@7", "synced 9", "resync interrupted", ...
inline std::string InAWord(const Event& event) {
  const std::string word(KindName(event));
  return std::visit(
      [&](const auto& kind) {
        if constexpr (requires { kind.previous_version; }) {
          return word + " " + kind.key + "@" + std::to_string(kind.version);
        } else if constexpr (requires { kind.key; }) {
          return word + " " + kind.key;
        } else if constexpr (requires { kind.token; }) {
          return word + " " + std::to_string(kind.token.revision);
        } else {
          return word + " " + kind.reason;
        }
      },
      event);
}

inline std::vector<std::string> InWords(const std::vector<Event>& events) {
  std::vector<std::string> words;
  for (const Event& event : events) words.push_back(InAWord(event));
  return words;
}

}  // namespace entrepot::testing
