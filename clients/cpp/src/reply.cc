#include "reply.h"

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "decode.h"
#include "wire_reader.h"

namespace entrepot {
namespace {

constexpr uint64_t kResponseType = 1;
constexpr uint64_t kNotificationType = 2;

}  // namespace

Status ReadError(WireReader* reader) {
  std::string code = "other";
  std::string message;
  bool retry_later = false;
  int64_t retry_after_ms = 0;
  const std::optional<uint32_t> fields = reader->ReadMap();
  for (uint32_t i = 0; fields && i < *fields && !reader->failed(); ++i) {
    const std::optional<std::string_view> name = reader->ReadString();
    if (name == "code") {
      code = reader->ReadString().value_or("other");
    } else if (name == "message") {
      message = reader->ReadString().value_or("");
    } else if (name == "retry") {
      retry_later = reader->ReadString() == "later";
    } else if (name == "retry_after_ms") {
      retry_after_ms = reader->ReadInt().value_or(0);
    } else {
      reader->ReadValue();
    }
  }
  if (reader->failed()) return BadReply();
  const StatusCode known = StatusCodeFromName(code);
  if (known == StatusCode::kOther || known == StatusCode::kOk) message = code + ": " + message;
  Status status(known == StatusCode::kOk ? StatusCode::kOther : known, std::move(message));
  if (retry_later) status.SetRetryLater(retry_after_ms);
  status.SetMaybeApplied(known == StatusCode::kOutcomeUnknown || known == StatusCode::kInternal);
  return status;
}

Result<std::vector<Response>> ParseReplyBody(std::string_view body) {
  std::vector<Response> responses;
  WireReader reader(body);
  while (!reader.AtEnd()) {
    const std::optional<uint32_t> length = reader.ReadArray();
    const std::optional<uint64_t> type = reader.ReadUint();
    if (length == 3U && type == kNotificationType) {
      reader.ReadValue();
      reader.ReadValue();
      if (reader.failed()) return BadReply();
      continue;
    }
    const std::optional<uint64_t> msgid = reader.ReadUint();
    if (length != 4U || type != kResponseType || !msgid || *msgid > UINT32_MAX) return BadReply();
    if (reader.ReadNil()) {
      const std::optional<std::string_view> result = reader.ReadValue();
      if (!result) return BadReply();
      responses.push_back({static_cast<uint32_t>(*msgid), std::string(*result)});
    } else {
      Status error = ReadError(&reader);
      if (!reader.ReadNil()) return BadReply();
      responses.push_back({static_cast<uint32_t>(*msgid), std::move(error)});
    }
  }
  return responses;
}

}  // namespace entrepot
