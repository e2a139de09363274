// Entrepôt's bodies (docs/PROTOCOL.md): MessagePack-RPC requests one after the other.
//
// Requests are copied from templates in which only the msgid, the key and the value are open. The
// msgid always takes five bytes, so that its place is fixed; it is the id of client.h.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/coding.h"
#include "bench/wire/codec.h"
#include "bench/wire/msgpack_cursor.h"

namespace entrepot::bench {
namespace {

constexpr size_t kHeadBytesMax = 64;  // A request without its key and its value.
constexpr size_t kMsgidOffset = 3;    // 94 00 ce, then the msgid.
constexpr std::string_view kRequestHead("\x94\x00\xce\x00\x00\x00\x00", 7);

char* WriteStrHeader(uint32_t size, char* out) {
  if (size < 32) {
    *out = static_cast<char>(0xa0 | size);
    return out + 1;
  }
  if (size < 256) {
    out[0] = '\xd9';
    out[1] = static_cast<char>(size);
    return out + 2;
  }
  if (size < 65536) {
    out[0] = '\xda';
    StoreBig<uint16_t>(out + 1, static_cast<uint16_t>(size));
    return out + 3;
  }
  out[0] = '\xdb';
  StoreBig<uint32_t>(out + 1, size);
  return out + 5;
}

void AppendStrHeader(size_t size, std::string* out) {
  char header[5];
  out->append(header, WriteStrHeader(static_cast<uint32_t>(size), header));
}

Outcome ParseOutcome(std::string_view status) {
  if (status == "found") return Outcome::kFound;
  if (status == "updated") return Outcome::kUpdated;
  if (status == "created") return Outcome::kCreated;
  if (status == "not_found") return Outcome::kNotFound;
  if (status == "deleted") return Outcome::kDeleted;
  if (status == "conflict") return Outcome::kConflict;
  return Outcome::kOk;
}

class EntrepotCodec : public BodyCodec {
 public:
  explicit EntrepotCodec(const Workload* workload) : workload_(workload) {
    const uint32_t key_bytes = workload->options().key_bytes;
    MakeHead(Kind::kGet, "get", 1, key_bytes);
    MakeHead(Kind::kSet, "set", 2, key_bytes);
    MakeHead(Kind::kInsert, "set", 2, key_bytes);
    MakeHead(Kind::kDelete, "delete", 1, key_bytes);
    MakeHead(Kind::kIncrement, "increment", 2, key_bytes);
    MakeHead(Kind::kFind, "find", 1, kGroupBytes);
    MakeHead(Kind::kScan, "scan", 1, key_bytes - 1);
    heads_[static_cast<size_t>(Kind::kPing)] = std::string(kRequestHead) + "\xa4ping\x90";
  }

  bool Supports(Kind kind) const override { return kind != Kind::kIndexAdd; }

  size_t BodyBytesMax(std::span<const Request> requests) const override {
    size_t bytes = requests.size() * (kHeadBytesMax + workload_->options().key_bytes);
    for (const Request& request : requests) {
      if (HasValue(request.kind)) bytes += request.value_bytes;
    }
    return bytes;
  }

  char* EncodeBody(std::span<const Request> requests, uint32_t first_id, char* out) const override {
    for (const Request& request : requests) {
      const std::string& head = heads_[static_cast<size_t>(request.kind)];
      std::memcpy(out, head.data(), head.size());
      StoreBig<uint32_t>(out + kMsgidOffset, first_id++);
      out += head.size();
      if (request.kind == Kind::kPing) continue;
      if (request.kind == Kind::kFind) {
        out = workload_->WriteGroup(request.key, out);
        continue;
      }
      out = workload_->WriteKey(request.kind, request.key, out);
      if (request.kind == Kind::kScan) {
        --out;  // The last digit is open.
      } else if (HasValue(request.kind)) {
        out = WriteStrHeader(request.value_bytes, out);
        out = workload_->WriteValue(request.key, request.nonce, request.value_bytes, out);
      } else if (request.kind == Kind::kIncrement) {
        *out++ = 1;
      }
    }
    return out;
  }

  Status ParseBody(std::string_view body, Client* client) const override {
    MsgpackCursor cursor(body);
    Batch* batch = nullptr;
    uint64_t first_id = 0;
    std::vector<std::string_view> found;
    while (!cursor.AtEnd()) {
      uint64_t items, type, msgid;
      if (!cursor.ReadArray(&items) || items != 4 || !cursor.ReadUnsigned(&type) || type != 1 ||
          !cursor.ReadUnsigned(&msgid)) {
        return Broken("a reply is not a response of MessagePack-RPC");
      }
      if (batch == nullptr) {
        batch = client->FindById(msgid);
        first_id = msgid;
        if (batch == nullptr) return Broken(fmt::format("msgid {} was not asked", msgid));
      }
      if (batch->replies == batch->requests || msgid != first_id + batch->replies) {
        return Broken(fmt::format("msgid {} is out of its order in the body", msgid));
      }
      Reply reply;
      reply.found = &found;
      if (!ParseResult(&cursor, client->verifying(), &reply)) {
        return Broken("a response's error or result cannot be read");
      }
      client->TakeReply(batch, reply);
    }
    if (batch != nullptr && batch->open) return Broken("a reply body lacks responses");
    return Status();
  }

 private:
  static bool HasValue(Kind kind) { return kind == Kind::kSet || kind == Kind::kInsert; }

  static Status Broken(std::string message) { return Status(Code::kMalformed, std::move(message)); }

  // Everything before the text of the first parameter.
  void MakeHead(Kind kind, std::string_view method, int params, size_t text_bytes) {
    std::string head(kRequestHead);
    AppendStrHeader(method.size(), &head);
    head.append(method);
    head.push_back(static_cast<char>(0x90 | params));
    AppendStrHeader(text_bytes, &head);
    heads_[static_cast<size_t>(kind)] = head;
  }

  // Reads error and result; `thorough` fills what only the verifier looks at.
  static bool ParseResult(MsgpackCursor* cursor, bool thorough, Reply* reply) {
    if (!cursor->ReadNil()) {
      return ParseError(cursor, reply) && cursor->ReadNil();
    }
    uint64_t pairs;
    std::string_view name;
    if (!cursor->ReadMap(&pairs)) return false;
    for (; pairs > 0; --pairs) {
      if (!cursor->ReadBytes(&name)) return false;
      if (name == "status") {
        std::string_view status;
        if (!cursor->ReadBytes(&status)) return false;
        reply->outcome = ParseOutcome(status);
      } else if (thorough && name == "value") {
        if (!cursor->ReadBytes(&reply->value) && !cursor->ReadSigned(&reply->number)) return false;
      } else if (thorough && name == "keys") {
        if (!ParseKeys(cursor, reply)) return false;
      } else if (!cursor->Skip()) {
        return false;
      }
    }
    return true;
  }

  static bool ParseKeys(MsgpackCursor* cursor, Reply* reply) {
    uint64_t keys;
    if (!cursor->ReadArray(&keys)) return false;
    reply->hits = static_cast<uint32_t>(keys);
    reply->found->clear();
    for (; keys > 0; --keys) {
      std::string_view key;
      if (!cursor->ReadBytes(&key)) return false;
      reply->found->push_back(key);
    }
    return true;
  }

  static bool ParseError(MsgpackCursor* cursor, Reply* reply) {
    uint64_t pairs;
    if (!cursor->ReadMap(&pairs)) return false;
    reply->outcome = Outcome::kError;
    for (; pairs > 0; --pairs) {
      std::string_view name;
      if (!cursor->ReadBytes(&name)) return false;
      if (name == "code" ? !cursor->ReadBytes(&reply->error) : !cursor->Skip()) return false;
    }
    return true;
  }

  const Workload* workload_;
  std::array<std::string, kKinds> heads_;
};

// Sends what Entrepôt would be sent and takes whatever comes back under the first msgid.
class EchoCodec final : public EntrepotCodec {
 public:
  using EntrepotCodec::EntrepotCodec;

  Status ParseBody(std::string_view body, Client* client) const override {
    if (body.size() < kRequestHead.size() || !body.starts_with(kRequestHead.substr(0, 3))) {
      return Status(Code::kMalformed, "the echo is not what was sent");
    }
    const uint64_t id = LoadBig<uint32_t>(body.data() + kMsgidOffset);
    Batch* const batch = client->FindById(id);
    if (batch == nullptr) {
      return Status(Code::kMalformed, fmt::format("an echo of msgid {} was not asked", id));
    }
    client->TakeAll(batch);
    return Status();
  }
};

}  // namespace

std::unique_ptr<BodyCodec> MakeEntrepotCodec(const Workload* workload) {
  return std::make_unique<EntrepotCodec>(workload);
}

std::unique_ptr<BodyCodec> MakeEchoCodec(const Workload* workload) {
  return std::make_unique<EchoCodec>(workload);
}

}  // namespace entrepot::bench
