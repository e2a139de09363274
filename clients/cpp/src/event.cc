#include "entrepot/event.h"

#include <array>
#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <variant>

namespace entrepot {
namespace {

constexpr std::array<std::string_view, 5> kCauseNames = {"client", "transaction", "expired",
                                                         "evicted", "other"};

// In the order of the variant.
constexpr std::array<std::string_view, std::variant_size_v<Event>> kKindNames = {
    "snapshot", "synced", "set", "delete", "expired", "touch", "left", "resync"};

}  // namespace

std::string_view KindName(const Event& event) { return kKindNames[event.index()]; }

std::string_view CauseName(Cause cause) { return kCauseNames[static_cast<size_t>(cause)]; }

std::string Token::ToString() const { return history + ":" + std::to_string(revision); }

Result<Token> Token::FromString(std::string_view text) {
  const size_t colon = text.rfind(':');
  Token token;
  if (colon != std::string_view::npos && colon > 0) {
    token.history = text.substr(0, colon);
    const char* const end = text.data() + text.size();
    const auto [stopped, error] = std::from_chars(text.data() + colon + 1, end, token.revision);
    if (error == std::errc() && stopped == end) return token;
  }
  return Status(StatusCode::kInvalidArgument,
                "\"" + std::string(text) + "\" is no token; say HISTORY:REVISION");
}

const std::string* KeyOf(const Event& event) {
  return std::visit(
      [](const auto& kind) -> const std::string* {
        if constexpr (requires { kind.key; }) {
          return &kind.key;
        } else {
          return nullptr;
        }
      },
      event);
}

}  // namespace entrepot
