// Result<T>: a value, or the Status that says why there is none.
//
//    entrepot::Result<std::optional<Value>> value = client.Get("user:1");
//    if (!value.ok()) return value.status();
//    Use(*value);
//
// Reading the value of a failed result is a defect of the caller; it ends the program with the
// status on stderr, in release builds too. Nothing throws.
//
// Thread safety: as a plain value.

#pragma once

#include <concepts>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <type_traits>
#include <utility>

#include "entrepot/status.h"

namespace entrepot {

template <typename T>
class [[nodiscard]] Result {
 public:
  template <std::convertible_to<T> U = T>
  requires(!std::same_as<std::remove_cvref_t<U>, Result> &&
           !std::same_as<std::remove_cvref_t<U>, Status>) Result(U&& value)
      : value_(std::forward<U>(value)) {}
  // `status` must not be ok: a success has a value.
  Result(Status status) : status_(std::move(status)) {
    if (status_.ok()) Die("a Result was made from a status that is ok");
  }

  bool ok() const { return value_.has_value(); }
  // Ok where there is a value.
  const Status& status() const { return status_; }

  const T& value() const& { return Checked(), *value_; }
  T& value() & { return Checked(), *value_; }
  T&& value() && { return Checked(), *std::move(value_); }

  const T& operator*() const& { return value(); }
  T& operator*() & { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  const T* operator->() const { return &value(); }
  T* operator->() { return &value(); }

  template <typename U>
  T value_or(U&& fallback) const& {
    return ok() ? *value_ : static_cast<T>(std::forward<U>(fallback));
  }

 private:
  void Checked() const {
    if (!ok()) Die(status_.ToString().c_str());
  }

  [[noreturn]] static void Die(const char* reason) {
    std::fprintf(stderr, "entrepot: the value of a failed result was read: %s\n", reason);
    std::abort();
  }

  Status status_;
  std::optional<T> value_;
};

}  // namespace entrepot
