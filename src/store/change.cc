#include "store/change.h"

namespace entrepot {

std::string_view NameOf(ChangeOp op) {
  switch (op) {
    case ChangeOp::kSet:
      return "set";
    case ChangeOp::kDelete:
      return "delete";
    case ChangeOp::kTouch:
      return "touch";
  }
  return "unknown";
}

std::string_view NameOf(Cause cause) {
  switch (cause) {
    case Cause::kClient:
      return "client";
    case Cause::kTransaction:
      return "transaction";
    case Cause::kExpired:
      return "expired";
    case Cause::kEvicted:
      return "evicted";
  }
  return "unknown";
}

void AppendChange(ByteBuffer* out, const Change& change) {
  char* const to = out->Room(ChangeBytes(change));
  to[0] = static_cast<char>(change.op);
  to[1] = static_cast<char>(change.cause);
  StoreLittle<uint16_t>(to + 2, static_cast<uint16_t>(change.key.size()));
  StoreLittle<uint32_t>(to + 4, static_cast<uint32_t>(change.value.size()));
  StoreLittle<uint64_t>(to + 8, change.previous_version);
  StoreLittle<uint64_t>(to + 16, static_cast<uint64_t>(change.expires_at_ms));
  std::memcpy(to + kChangeHeaderBytes, change.key.data(), change.key.size());
  if (!change.value.empty()) {
    std::memcpy(to + kChangeHeaderBytes + change.key.size(), change.value.data(),
                change.value.size());
  }
  out->Advance(ChangeBytes(change));
}

bool TakeChange(std::string_view* payload, Change* change) {
  if (payload->size() < kChangeHeaderBytes) return false;
  const char* const at = payload->data();
  const auto op = static_cast<uint8_t>(at[0]);
  const auto cause = static_cast<uint8_t>(at[1]);
  if (op < 1 || op > 3 || cause < 1 || cause > 4) return false;
  const size_t key_bytes = LoadLittle<uint16_t>(at + 2);
  const size_t value_bytes = LoadLittle<uint32_t>(at + 4);
  if (key_bytes == 0 || payload->size() - kChangeHeaderBytes < key_bytes + value_bytes)
    return false;
  *change = {.op = static_cast<ChangeOp>(op),
             .cause = static_cast<Cause>(cause),
             .key = payload->substr(kChangeHeaderBytes, key_bytes),
             .value = payload->substr(kChangeHeaderBytes + key_bytes, value_bytes),
             .previous_version = LoadLittle<uint64_t>(at + 8),
             .expires_at_ms = static_cast<int64_t>(LoadLittle<uint64_t>(at + 16))};
  payload->remove_prefix(kChangeHeaderBytes + key_bytes + value_bytes);
  return true;
}

void AppendOutcome(ByteBuffer* out, const RetryOutcome* outcome) {
  char* to = out->Room(1 + kRetryOutcomeBytes);
  *to = outcome != nullptr ? 1 : 0;
  out->Advance(1);
  if (outcome == nullptr) return;
  ++to;
  for (const uint64_t field : {outcome->session_high, outcome->session_low, outcome->number,
                               outcome->done, outcome->version, outcome->extra}) {
    StoreLittle(to, field);
    to += 8;
  }
  to[0] = static_cast<char>(outcome->outcome);
  to[1] = static_cast<char>(outcome->extra_kind);
  out->Advance(kRetryOutcomeBytes);
}

bool TakeOutcome(std::string_view* payload, RetryOutcome* outcome, bool* present) {
  if (payload->empty()) return false;
  const uint8_t flag = static_cast<uint8_t>(payload->front());
  payload->remove_prefix(1);
  *present = flag == 1;
  if (flag == 0) return true;
  if (flag != 1 || payload->size() < kRetryOutcomeBytes) return false;
  const char* at = payload->data();
  for (uint64_t* field : {&outcome->session_high, &outcome->session_low, &outcome->number,
                          &outcome->done, &outcome->version, &outcome->extra}) {
    *field = LoadLittle<uint64_t>(at);
    at += 8;
  }
  if (static_cast<uint8_t>(at[1]) > static_cast<uint8_t>(RetryOutcome::Extra::kDeletedMore)) {
    return false;
  }
  outcome->outcome = static_cast<uint8_t>(at[0]);
  outcome->extra_kind = static_cast<RetryOutcome::Extra>(at[1]);
  payload->remove_prefix(kRetryOutcomeBytes);
  return true;
}

}  // namespace entrepot
