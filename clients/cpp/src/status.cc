#include "entrepot/status.h"

#include <array>
#include <ostream>
#include <string>
#include <string_view>

namespace entrepot {
namespace {

struct CodeName {
  StatusCode code;
  std::string_view name;
};

constexpr std::array<CodeName, 24> kCodeNames = {{
    {StatusCode::kOk, "ok"},
    {StatusCode::kMalformed, "malformed"},
    {StatusCode::kUnknownMethod, "unknown_method"},
    {StatusCode::kInvalidArgument, "invalid_argument"},
    {StatusCode::kTooLarge, "too_large"},
    {StatusCode::kWrongType, "wrong_type"},
    {StatusCode::kFull, "full"},
    {StatusCode::kOverloaded, "overloaded"},
    {StatusCode::kNoIndex, "no_index"},
    {StatusCode::kDenied, "denied"},
    {StatusCode::kReadOnly, "read_only"},
    {StatusCode::kUnavailable, "unavailable"},
    {StatusCode::kOutcomeUnknown, "outcome_unknown"},
    {StatusCode::kSessionExpired, "session_expired"},
    {StatusCode::kHistoryLost, "history_lost"},
    {StatusCode::kUnknownHistory, "unknown_history"},
    {StatusCode::kNotLeader, "not_leader"},
    {StatusCode::kInternal, "internal"},
    {StatusCode::kUnreachable, "unreachable"},
    {StatusCode::kTimeout, "timeout"},
    {StatusCode::kConnectionLost, "connection_lost"},
    {StatusCode::kBadReply, "bad_reply"},
    {StatusCode::kClosed, "closed"},
    {StatusCode::kOther, "other"},
}};

}  // namespace

std::string_view StatusCodeName(StatusCode code) {
  for (const CodeName& entry : kCodeNames) {
    if (entry.code == code) return entry.name;
  }
  return "other";
}

StatusCode StatusCodeFromName(std::string_view name) {
  for (const CodeName& entry : kCodeNames) {
    if (entry.name == name) return entry.code;
  }
  return StatusCode::kOther;
}

std::string Status::ToString() const {
  std::string text(StatusCodeName(code_));
  if (!message_.empty()) text.append(": ").append(message_);
  return text;
}

std::ostream& operator<<(std::ostream& out, const Status& status) {
  return out << status.ToString();
}

}  // namespace entrepot
