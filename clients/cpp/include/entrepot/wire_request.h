// WireRequest: a request as the protocol has it, before it has a msgid.
//
// The functions of entrepot/request.h make these; use it directly only to call a method that this
// library does not know. A request may be sent more than once, by several clients.
//
// Thread safety: as a plain value.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "entrepot/value.h"

namespace entrepot {

class WireRequest {
 public:
  // A kWrite takes `once` when the client retries; a kRead is simply sent again.
  enum class Kind : uint8_t { kRead, kWrite };

  explicit WireRequest(std::string method, Kind kind = Kind::kRead)
      : method_(std::move(method)), kind_(kind) {}

  // Adds a positional parameter.
  WireRequest& Add(const Value& param);
  // Adds a key: a str when it is valid UTF-8, else a bin.
  WireRequest& AddKey(std::string_view key) { return Add(Value::TextOrBytes(key)); }
  // Adds an option by name.
  WireRequest& Option(std::string_view name, const Value& value);

  // Lets the server wait before it answers: that much time is added to that of the call, and to
  // each attempt.
  WireRequest& Wait(int64_t wait_ms) { return wait_ms_ = wait_ms, *this; }

  const std::string& method() const { return method_; }
  Kind kind() const { return kind_; }
  int64_t wait_ms() const { return wait_ms_; }
  // About how many bytes Encode() makes.
  size_t size() const { return method_.size() + params_.size() + options_.size() + 64; }

  // `[0, msgid, method, [params…, {options…, once}]]`. `once` is left out where it is null.
  std::string Encode(uint32_t msgid, const Value* once) const;

  // `[2, method, [params…, {options…}]]`: it gets no answer.
  std::string EncodeNotification() const;

  // `[method, [params…, {options…}]]`, as it stands inside a transaction.
  std::string EncodeOperation() const;

 private:
  // `method, [params…, {options…, once}]`.
  void AppendCall(const Value* once, std::string* out) const;

  std::string method_;
  std::string params_;   // Encoded values, one after the other.
  std::string options_;  // Encoded names and values, one after the other.
  uint32_t param_count_ = 0;
  uint32_t option_count_ = 0;
  int64_t wait_ms_ = 0;
  Kind kind_;
};

}  // namespace entrepot
