#include "raw.h"

#include <cctype>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <vector>
#include <zmq.hpp>

#include "entrepot/msgpack.h"
#include "json_text.h"

namespace entrepot::cli {
namespace {

constexpr size_t kHexLineBytes = 16;
// How long an answer is awaited where the session says nothing.
constexpr int64_t kTimeoutMs = 5000;

std::optional<std::string> FromHex(std::string_view text) {
  std::string bytes;
  std::string digits;
  for (const char character : text) {
    if (character == ' ') continue;
    if (std::isxdigit(static_cast<unsigned char>(character)) == 0) return std::nullopt;
    digits.push_back(character);
  }
  if (digits.size() % 2 != 0) return std::nullopt;
  for (size_t i = 0; i < digits.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

// One request from `["method", [params…]]`.
Result<std::string> EncodeRequest(const std::string& json, uint32_t msgid) {
  const Status wrong(StatusCode::kInvalidArgument,
                     "a request is [\"method\", [params…]], not " + json);
  Result<Value> call = FromJson(json);
  if (!call.ok()) return call.status();
  const msgpack::object_handle handle =
      msgpack::unpack(call->encoded().data(), call->encoded().size());
  const msgpack::object& object = handle.get();
  if (object.type != msgpack::type::ARRAY || object.via.array.size < 1) return wrong;
  if (object.via.array.size > 2 || object.via.array.ptr[0].type != msgpack::type::STR) return wrong;
  msgpack::sbuffer buffer;
  msgpack::packer<msgpack::sbuffer> packer(buffer);
  packer.pack_array(4).pack(0).pack(msgid).pack(object.via.array.ptr[0]);
  if (object.via.array.size == 2) {
    packer.pack(object.via.array.ptr[1]);
  } else {
    packer.pack_array(0);
  }
  return std::string(buffer.data(), buffer.size());
}

void PrintHex(std::string_view bytes, std::FILE* out) {
  for (size_t begin = 0; begin < bytes.size(); begin += kHexLineBytes) {
    std::fprintf(out, "  %08zx ", begin);
    std::string text;
    for (size_t i = begin; i < begin + kHexLineBytes; ++i) {
      if (i % 8 == 0) std::fputc(' ', out);
      if (i >= bytes.size()) {
        std::fputs("   ", out);
        continue;
      }
      const auto byte = static_cast<unsigned char>(bytes[i]);
      std::fprintf(out, "%02x ", byte);
      text.push_back(byte >= 0x20 && byte < 0x7f ? bytes[i] : '.');
    }
    std::fprintf(out, " |%s|\n", text.c_str());
  }
}

// Shows a frame, and as much of it as is msgpack. Sets `error` where a response in it carries one.
void PrintFrame(char direction, size_t number, std::string_view bytes, std::FILE* out,
                bool* error) {
  std::fprintf(out, "%c frame %zu, %zu bytes\n", direction, number, bytes.size());
  PrintHex(bytes, out);
  size_t offset = 0;
  while (offset < bytes.size()) {
    const size_t begin = offset;
    try {
      msgpack::object_handle item;
      msgpack::unpack(item, bytes.data(), bytes.size(), offset);
      const msgpack::object& object = item.get();
      if (object.type == msgpack::type::ARRAY && object.via.array.size == 4 &&
          object.via.array.ptr[0] == msgpack::object(1)) {
        *error = *error || !object.via.array.ptr[2].is_nil();
      }
      const Result<Value> value =
          Value::FromEncoded(std::string(bytes.substr(begin, offset - begin)));
      if (value.ok()) std::fprintf(out, "  %s\n", ToReadableJson(*value).c_str());
    } catch (const msgpack::unpack_error& broken) {
      std::fprintf(out, "  (no msgpack from byte %zu on: %s)\n", begin, broken.what());
      return;
    }
  }
}

}  // namespace

ExitStatus RawCommand::Run(Session& session) const {
  std::string body;
  if (requests.empty() == hex.empty()) return session.Usage("say requests in JSON, or --hex");
  if (!hex.empty()) {
    const std::optional<std::string> bytes = FromHex(hex);
    if (!bytes) return session.Usage("--hex takes pairs of hexadecimal digits");
    body = *bytes;
  }
  uint32_t msgid = 0;
  for (const std::string& json : requests) {
    const Result<std::string> request = EncodeRequest(json, ++msgid);
    if (!request.ok()) return session.Usage(request.status().message());
    body += *request;
  }
  // Whether anybody is there, the client says faster and better than a bare socket.
  if (const Result<Done> answered = session.client.Ping(session.call); !answered.ok()) {
    return session.Fail(answered.status());
  }
  try {
    zmq::context_t context;
    zmq::socket_t socket(context, zmq::socket_type::dealer);
    socket.set(zmq::sockopt::linger, 0);
    socket.set(zmq::sockopt::rcvtimeo,
               static_cast<int>(session.call.timeout_ms.value_or(kTimeoutMs)));
    socket.connect(session.client.server());
    bool error = false;
    PrintFrame('>', 1, body, session.console.out, &error);
    socket.send(zmq::buffer(body));
    zmq::message_t frame;
    size_t number = 0;
    do {
      if (!socket.recv(frame)) {
        return session.Fail(ExitStatus::kUnreachable,
                            "no answer in time; a body without a request "
                            "(notifications, nothing) gets none");
      }
      PrintFrame('<', ++number, frame.to_string_view(), session.console.out, &error);
    } while (frame.more());
    return error ? ExitStatus::kServerError : ExitStatus::kOk;
  } catch (const zmq::error_t& error) {
    return session.Fail(ExitStatus::kUnreachable, std::string("ZeroMQ: ") + error.what());
  }
}

}  // namespace entrepot::cli
