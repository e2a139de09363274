// Status and Result: what a call that can fail in normal life gives back.
//
// Not for broken invariants: those are CHECK, which stays on in release and ends the program.
// Exceptions are not used by this project; those of libraries stop in the file that calls them.
//
// Thread safety: values, as std::string is.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace entrepot {

// Persistent: the names stand on the wire (docs/PROTOCOL.md, "Errors"); never rename.
// Each code tells the caller what to do, see the table there.
enum class Code : unsigned char {
  kOk,
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
};

// The name on the wire, for instance "invalid_argument"; "ok" for kOk.
std::string_view CodeName(Code code);

// Whether the same request may succeed when it is sent again later.
bool MayRetryLater(Code code);

// An outcome: kOk, or a code with a message for a person.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Code code, std::string message) : code_(code), message_(std::move(message)) {}

  bool ok() const { return code_ == Code::kOk; }
  Code code() const { return code_; }
  const std::string& message() const { return message_; }

 private:
  Code code_ = Code::kOk;
  std::string message_;
};

// A value of T, or the Status that says why there is none (never kOk).
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}          // NOLINT: implicit on purpose
  Result(Status status) : status_(std::move(status)) {}  // NOLINT: implicit on purpose

  bool ok() const { return value_.has_value(); }
  const Status& status() const { return status_; }

  // Require ok().
  T& value() & { return *value_; }
  const T& value() const& { return *value_; }
  T&& value() && { return *std::move(value_); }
  T& operator*() & { return *value_; }
  const T& operator*() const& { return *value_; }
  T* operator->() { return &*value_; }
  const T* operator->() const { return &*value_; }

 private:
  std::optional<T> value_;
  Status status_;
};

// The errno of a failed call as a Status: `what` names the call and the file, for instance
// "cannot open log/0001". Codes: ENOSPC and EDQUOT kReadOnly, ENOMEM kOverloaded, else
// kUnavailable.
Status ErrnoStatus(std::string_view what, int error);

namespace base_internal {
[[noreturn]] void CheckFailed(const char* file, int line, const char* condition);
}  // namespace base_internal

}  // namespace entrepot

// Ends the program when a condition that the code itself guarantees does not hold.
#define CHECK(condition)                             \
  (__builtin_expect(static_cast<bool>(condition), 1) \
       ? static_cast<void>(0)                        \
       : ::entrepot::base_internal::CheckFailed(__FILE__, __LINE__, #condition))

// CHECK in builds without NDEBUG, nothing otherwise: for checks on the path of every request.
#ifdef NDEBUG
#define DCHECK(condition) static_cast<void>(sizeof(static_cast<bool>(condition)))
#else
#define DCHECK(condition) CHECK(condition)
#endif
