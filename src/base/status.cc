#include "base/status.h"

#include <cerrno>
#include <cstring>

#include <fmt/format.h>

namespace entrepot {

std::string_view CodeName(Code code) {
  switch (code) {
    case Code::kOk:
      return "ok";
    case Code::kMalformed:
      return "malformed";
    case Code::kUnknownMethod:
      return "unknown_method";
    case Code::kInvalidArgument:
      return "invalid_argument";
    case Code::kTooLarge:
      return "too_large";
    case Code::kWrongType:
      return "wrong_type";
    case Code::kFull:
      return "full";
    case Code::kOverloaded:
      return "overloaded";
    case Code::kNoIndex:
      return "no_index";
    case Code::kDenied:
      return "denied";
    case Code::kReadOnly:
      return "read_only";
    case Code::kUnavailable:
      return "unavailable";
    case Code::kOutcomeUnknown:
      return "outcome_unknown";
    case Code::kSessionExpired:
      return "session_expired";
    case Code::kHistoryLost:
      return "history_lost";
    case Code::kUnknownHistory:
      return "unknown_history";
    case Code::kNotLeader:
      return "not_leader";
    case Code::kInternal:
      return "internal";
  }
  return "internal";
}

bool MayRetryLater(Code code) {
  switch (code) {
    case Code::kFull:
    case Code::kOverloaded:
    case Code::kReadOnly:
    case Code::kUnavailable:
    case Code::kNotLeader:
    case Code::kInternal:
      return true;
    default:
      return false;
  }
}

Status ErrnoStatus(std::string_view what, int error) {
  const Code code = error == ENOSPC || error == EDQUOT ? Code::kReadOnly
                    : error == ENOMEM                  ? Code::kOverloaded
                                                       : Code::kUnavailable;
  return Status(code, fmt::format("{}: {}", what, std::strerror(error)));
}

namespace base_internal {

void CheckFailed(const char* file, int line, const char* condition) {
  std::fprintf(stderr, "%s:%d: the invariant does not hold: %s\n", file, line, condition);
  std::abort();
}

}  // namespace base_internal
}  // namespace entrepot
