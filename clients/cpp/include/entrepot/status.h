// Status: why a call failed, or that it did not.
//
// The codes carry the names of the wire protocol's errors. Five more are the client's own, for
// what happens where no server answers. What a well-formed request can meet in normal life (an
// absent key, a conflict) is no error: it is told by the result of the call.
//
// Thread safety: as a plain value.

#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <string_view>
#include <utility>

namespace entrepot {

enum class StatusCode : uint8_t {
  kOk,
  // From the server.
  kMalformed,
  kUnknownMethod,
  kInvalidArgument,
  kTooLarge,
  kWrongType,
  kFull,
  kOverloaded,
  kNoIndex,
  kDenied,
  kReadOnly,
  kUnavailable,
  kOutcomeUnknown,
  kSessionExpired,
  kHistoryLost,
  kUnknownHistory,
  kNotLeader,
  kInternal,
  // From the client.
  kUnreachable,     // No connection could be made; nothing of the call was sent.
  kTimeout,         // The deadline passed without an answer.
  kConnectionLost,  // Without retries only: the connection ended before the answer came.
  kBadReply,        // The server's answer is not of the protocol.
  kClosed,          // The client was closed before or during the call.
  // A code that a newer server knows; its name stands in the message.
  kOther,
};

// The code's name on the wire: "ok", "wrong_type", "unreachable", ...
std::string_view StatusCodeName(StatusCode code);

// The reverse. A name that is not known is kOther.
StatusCode StatusCodeFromName(std::string_view name);

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(StatusCode code, std::string message) : code_(code), message_(std::move(message)) {}

  bool ok() const { return code_ == StatusCode::kOk; }
  StatusCode code() const { return code_; }
  const std::string& message() const { return message_; }

  // Whether the same call may succeed later without anything being changed.
  bool retry_later() const { return retry_later_; }
  // When the server advises to try again, in milliseconds; 0 where it gave no advice.
  int64_t retry_after_ms() const { return retry_after_ms_; }

  // Whether a write may have happened in spite of the error.
  bool maybe_applied() const { return maybe_applied_; }

  Status& SetRetryLater(int64_t retry_after_ms) {
    retry_later_ = true;
    retry_after_ms_ = retry_after_ms;
    return *this;
  }
  Status& SetMaybeApplied(bool maybe_applied) {
    maybe_applied_ = maybe_applied;
    return *this;
  }

  // "ok", or "wrong_type: increment of a str".
  std::string ToString() const;

 private:
  StatusCode code_ = StatusCode::kOk;
  bool retry_later_ = false;
  bool maybe_applied_ = false;
  int64_t retry_after_ms_ = 0;
  std::string message_;
};

std::ostream& operator<<(std::ostream& out, const Status& status);

}  // namespace entrepot
