#include "event_output.h"

#include <string>
#include <type_traits>
#include <variant>

#include "json_text.h"

namespace entrepot::cli {
namespace {

std::string PlainLine(const Event& event, bool values) {
  std::string line(KindName(event));
  if (const std::string* key = KeyOf(event)) line += "\t" + EscapeLine(*key);
  if (const auto* synced = std::get_if<event::Synced>(&event)) {
    line += "\t" + synced->token.ToString();
  }
  if (const auto* resync = std::get_if<event::Resync>(&event)) line += "\t" + resync->reason;
  const Value* const value = ValueOf(event);
  if (values && value != nullptr) line += "\t" + EscapeLine(ToPlain(*value));
  return line + "\n";
}

std::string JsonLine(const Event& event, bool values) {
  std::string line = "{\"event\":\"" + std::string(KindName(event)) + "\"";
  if (const std::string* key = KeyOf(event)) line += ",\"key\":" + KeyToJson(*key);
  const Value* const value = ValueOf(event);
  if (values && value != nullptr) line += ",\"value\":" + ToExactJson(*value);
  std::visit(
      [&](const auto& kind) {
        if constexpr (requires { kind.version; }) {
          line += ",\"version\":" + std::to_string(kind.version);
        }
        if constexpr (requires { kind.previous_version; }) {
          line += ",\"previous_version\":" + std::to_string(kind.previous_version);
        }
        if constexpr (requires { kind.expires_at_ms; }) {
          if (kind.expires_at_ms) {
            line += ",\"expires_at_ms\":" + std::to_string(*kind.expires_at_ms);
          }
        }
        if constexpr (requires { kind.cause; }) {
          line += ",\"cause\":\"" + std::string(CauseName(kind.cause)) + "\"";
        }
        if constexpr (requires { kind.token; }) {
          line += ",\"token\":" + KeyToJson(kind.token.ToString());
        }
        if constexpr (requires { kind.reason; }) line += ",\"reason\":" + KeyToJson(kind.reason);
      },
      event);
  return line + "}\n";
}

}  // namespace

std::string EventLine(const Event& event, Format format, bool values) {
  return format == Format::kPlain ? PlainLine(event, values) : JsonLine(event, values);
}

const Value* ValueOf(const Event& event) {
  return std::visit(
      [](const auto& kind) -> const Value* {
        if constexpr (requires { kind.value; }) {
          return &kind.value;
        } else {
          return nullptr;
        }
      },
      event);
}

}  // namespace entrepot::cli
