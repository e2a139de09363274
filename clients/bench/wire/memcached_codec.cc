// memcached's text protocol (its protocol.txt): the classic commands, or the meta commands.
//
// Counters are left out: the classic `incr` wants a counter that exists.
#include <fmt/format.h>

#include <array>
#include <utility>

#include "bench/wire/codec.h"
#include "bench/wire/text_codec.h"

namespace entrepot::bench {
namespace {

constexpr size_t kCommandBytesMax = 64;  // A command without its key and its value.

class MemcachedCodec final : public Codec {
 public:
  MemcachedCodec(const Workload* workload, bool meta) : workload_(workload), meta_(meta) {}

  bool Supports(Kind kind) const override {
    return kind == Kind::kGet || kind == Kind::kSet || kind == Kind::kInsert ||
           kind == Kind::kDelete;
  }

  void Encode(std::span<const Request> requests, uint32_t, Buffer* out) const override {
    const size_t bytes_max = kCommandBytesMax + workload_->options().key_bytes;
    for (const Request& request : requests) {
      const bool has_value = request.kind == Kind::kSet || request.kind == Kind::kInsert;
      char* at = out->Reserve(bytes_max + (has_value ? request.value_bytes : 0));
      if (has_value) {
        at = WriteText(meta_ ? "ms " : "set ", at);
        at = workload_->WriteKey(request.kind, request.key, at);
        at = WriteText(meta_ ? " " : " 0 0 ", at);
        at = WriteDecimal(request.value_bytes, at);
        at = WriteText(kCrLf, at);
        at = workload_->WriteValue(request.key, request.nonce, request.value_bytes, at);
      } else {
        const bool get = request.kind == Kind::kGet;
        at = WriteText(meta_ ? (get ? "mg " : "md ") : (get ? "get " : "delete "), at);
        at = workload_->WriteKey(request.kind, request.key, at);
        if (meta_ && get) at = WriteText(" v", at);
      }
      out->Commit(WriteText(kCrLf, at));
    }
  }

  Result<size_t> Parse(std::string_view in, Client* client) const override {
    size_t taken = 0;
    while (true) {
      Batch* const batch = client->Oldest();
      if (batch == nullptr) {
        if (taken < in.size()) return Status(Code::kMalformed, "a reply that was not asked for");
        return taken;
      }
      Reply reply;
      size_t bytes = 0;
      Status status = ParseReply(in.substr(taken), &reply, &bytes);
      if (!status.ok()) return status;
      if (bytes == 0) return taken;
      taken += bytes;
      if (meta_ && client->verifying() && reply.outcome == Outcome::kOk &&
          client->NextKind(*batch) == Kind::kDelete) {
        reply.outcome = Outcome::kDeleted;
      }
      client->TakeReply(batch, reply);
    }
  }

 private:
  // Reads one reply; leaves `bytes` at 0 while it is not whole.
  static Status ParseReply(std::string_view in, Reply* reply, size_t* bytes) {
    std::string_view line;
    if (!ReadLine(in, &line)) return Status();
    const size_t line_bytes = line.size() + kCrLf.size();
    const std::string_view word = line.substr(0, line.find(' '));
    if (word == "VALUE" || word == "VA") return ParseValue(in, line, word == "VA", reply, bytes);
    if (word == "END" || word == "EN" || word == "NOT_FOUND" || word == "NF") {
      reply->outcome = Outcome::kNotFound;
    } else if (word == "STORED" || word == "HD") {
      reply->outcome = Outcome::kOk;
    } else if (word == "DELETED") {
      reply->outcome = Outcome::kDeleted;
    } else if (word.ends_with("ERROR")) {
      reply->outcome = Outcome::kError;
      reply->error = word;
    } else {
      return Status(Code::kMalformed, fmt::format("a reply begins with '{}'", word));
    }
    *bytes = line_bytes;
    return Status();
  }

  // "VALUE key flags size", the data, "END"; or "VA size" and the data.
  static Status ParseValue(std::string_view in, std::string_view line, bool meta, Reply* reply,
                           size_t* bytes) {
    int64_t size;
    const std::string_view number = line.substr(line.rfind(' ') + 1);
    if (!ReadDecimal(number, &size) || size < 0) {
      return Status(Code::kMalformed, "a value's size cannot be read");
    }
    constexpr std::string_view kEnd = "\r\nEND\r\n";
    const std::string_view end = meta ? kCrLf : kEnd;
    const size_t value_at = line.size() + kCrLf.size();
    const size_t value_end = value_at + static_cast<size_t>(size);
    if (in.size() < value_end + end.size()) return Status();
    if (in.substr(value_end, end.size()) != end) {
      return Status(Code::kMalformed, "a value is longer than its size");
    }
    reply->outcome = Outcome::kFound;
    reply->value = in.substr(value_at, static_cast<size_t>(size));
    *bytes = value_end + end.size();
    return Status();
  }

  const Workload* workload_;
  bool meta_;
};

}  // namespace

std::unique_ptr<Codec> MakeMemcachedCodec(const Workload* workload, bool meta) {
  return std::make_unique<MemcachedCodec>(workload, meta);
}

}  // namespace entrepot::bench
