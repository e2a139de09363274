// Redis' protocol, RESP 2: GET, SET, DEL, INCR, PING, and a sorted set as the index of values.
//
// The index holds value and key as one member of score 0, and ZRANGEBYLEX answers a find: Redis'
// own recipe for a secondary index. It is filled while loading; a SET of a running mix does not
// keep it up, which makes the comparison easier for Redis.
#include <fmt/format.h>

#include <array>
#include <utility>

#include "bench/wire/codec.h"
#include "bench/wire/text_codec.h"

namespace entrepot::bench {
namespace {

constexpr size_t kHeadBytesMax = 160;  // A command without its key and its value.
constexpr int64_t kFindLimit = 100;    // As Entrepôt's default.
constexpr std::string_view kIndexName = "bench:index";

class RedisCodec final : public Codec {
 public:
  explicit RedisCodec(const Workload* workload) : workload_(workload) {
    const uint32_t key_bytes = workload->options().key_bytes;
    Head(Kind::kGet) = fmt::format("*2\r\n$3\r\nGET\r\n${}\r\n", key_bytes);
    Head(Kind::kSet) = fmt::format("*3\r\n$3\r\nSET\r\n${}\r\n", key_bytes);
    Head(Kind::kInsert) = Head(Kind::kSet);
    Head(Kind::kDelete) = fmt::format("*2\r\n$3\r\nDEL\r\n${}\r\n", key_bytes);
    Head(Kind::kIncrement) = fmt::format("*2\r\n$4\r\nINCR\r\n${}\r\n", key_bytes);
    Head(Kind::kPing) = "*1\r\n$4\r\nPING";
    Head(Kind::kIndexAdd) =
        fmt::format("*4\r\n$4\r\nZADD\r\n${}\r\n{}\r\n$1\r\n0\r\n$", kIndexName.size(), kIndexName);
    Head(Kind::kFind) =
        fmt::format("*7\r\n$11\r\nZRANGEBYLEX\r\n${}\r\n{}\r\n", kIndexName.size(), kIndexName);
    const std::string limit = fmt::format("{}", kFindLimit);
    find_tail_ = fmt::format("\r\n$5\r\nLIMIT\r\n$1\r\n0\r\n${}\r\n{}", limit.size(), limit);
  }

  bool Supports(Kind kind) const override { return kind != Kind::kScan; }
  bool ClientKeepsIndex() const override { return true; }

  void Encode(std::span<const Request> requests, uint32_t, Buffer* out) const override {
    const uint32_t key_bytes = workload_->options().key_bytes;
    for (const Request& request : requests) {
      const std::string& head = heads_[static_cast<size_t>(request.kind)];
      char* at = out->Reserve(kHeadBytesMax + 2 * key_bytes + ValueBytes(request));
      at = WriteText(head, at);
      switch (request.kind) {
        case Kind::kPing:
        case Kind::kScan:
          break;
        case Kind::kFind:
          at = WriteRange(request.key, at);
          break;
        case Kind::kIndexAdd:
          at = WriteDecimal(request.value_bytes + key_bytes, at);
          at = WriteText(kCrLf, at);
          at = workload_->WriteValue(request.key, request.nonce, request.value_bytes, at);
          at = workload_->WriteKey(Kind::kSet, request.key, at);
          break;
        case Kind::kSet:
        case Kind::kInsert:
          at = workload_->WriteKey(request.kind, request.key, at);
          *at++ = '\r', *at++ = '\n', *at++ = '$';
          at = WriteDecimal(request.value_bytes, at);
          at = WriteText(kCrLf, at);
          at = workload_->WriteValue(request.key, request.nonce, request.value_bytes, at);
          break;
        case Kind::kGet:
        case Kind::kDelete:
        case Kind::kIncrement:
          at = workload_->WriteKey(request.kind, request.key, at);
          break;
      }
      out->Commit(WriteText(kCrLf, at));
    }
  }

  Result<size_t> Parse(std::string_view in, Client* client) const override {
    size_t taken = 0;
    std::vector<std::string_view> found;
    while (true) {
      Reply reply;
      reply.found = &found;
      size_t bytes = 0;
      Status status = ParseReply(in.substr(taken), &reply, &bytes);
      if (!status.ok()) return status;
      if (bytes == 0) return taken;
      taken += bytes;
      Batch* const batch = client->Oldest();
      if (batch == nullptr) return Status(Code::kMalformed, "a reply that was not asked for");
      if (client->verifying() && reply.outcome == Outcome::kOk &&
          client->NextKind(*batch) == Kind::kDelete) {
        reply.outcome = reply.number == 1 ? Outcome::kDeleted : Outcome::kNotFound;
      }
      client->TakeReply(batch, reply);
    }
  }

 private:
  std::string& Head(Kind kind) { return heads_[static_cast<size_t>(kind)]; }

  static size_t ValueBytes(const Request& request) {
    const bool has_value = request.kind == Kind::kSet || request.kind == Kind::kInsert ||
                           request.kind == Kind::kIndexAdd;
    return has_value ? request.value_bytes : 0;
  }

  // The members that begin with the group's text: from "[text" to below "(text\xff".
  char* WriteRange(uint64_t key, char* at) const {
    at = WriteText("$13\r\n[", at);
    at = workload_->WriteGroup(key, at);
    at = WriteText("\r\n$14\r\n(", at);
    at = workload_->WriteGroup(key, at);
    *at++ = '\xff';
    return WriteText(find_tail_, at);
  }

  // Reads one reply; leaves `bytes` at 0 while it is not whole.
  static Status ParseReply(std::string_view in, Reply* reply, size_t* bytes) {
    std::string_view line;
    if (!ReadLine(in, &line)) return Status();
    if (line.empty()) return Status(Code::kMalformed, "an empty line instead of a reply");
    const std::string_view rest = line.substr(1);
    size_t taken = line.size() + kCrLf.size();
    switch (line[0]) {
      case '+':
        break;
      case '-':
        reply->outcome = Outcome::kError;
        reply->error = rest.substr(0, rest.find(' '));
        break;
      case ':':
        if (!ReadDecimal(rest, &reply->number)) return BadNumber();
        break;
      case '$': {
        reply->outcome = Outcome::kFound;
        bool whole = false;
        Status status = ReadBulk(in, &taken, &reply->value, &whole);
        if (!status.ok() || !whole) return status;
        if (reply->value.data() == nullptr) reply->outcome = Outcome::kNotFound;
        break;
      }
      case '*': {
        bool whole = false;
        Status status = ReadMembers(in, rest, &taken, reply, &whole);
        if (!status.ok() || !whole) return status;
        break;
      }
      default:
        return Status(Code::kMalformed, fmt::format("a reply begins with '{}'", line[0]));
    }
    *bytes = taken;
    return Status();
  }

  static Status BadNumber() { return Status(Code::kMalformed, "a number cannot be read"); }

  // `in` begins with the bulk string's line, which ends at `taken`; nil has no data.
  static Status ReadBulk(std::string_view in, size_t* taken, std::string_view* value, bool* whole) {
    int64_t size;
    if (!ReadDecimal(in.substr(1, *taken - 1 - kCrLf.size()), &size)) return BadNumber();
    *value = {};
    *whole = true;
    if (size < 0) return Status();
    const size_t end = *taken + static_cast<size_t>(size);
    *whole = in.size() >= end + kCrLf.size();
    if (!*whole) return Status();
    *value = in.substr(*taken, static_cast<size_t>(size));
    *taken = end + kCrLf.size();
    return Status();
  }

  static Status ReadMembers(std::string_view in, std::string_view count, size_t* taken,
                            Reply* reply, bool* whole) {
    int64_t members;
    if (!ReadDecimal(count, &members) || members < 0) return BadNumber();
    reply->outcome = members == 0 ? Outcome::kNotFound : Outcome::kFound;
    reply->hits = static_cast<uint32_t>(members);
    reply->found_values = true;
    reply->found->clear();
    for (; members > 0; --members) {
      const std::string_view member_in = in.substr(*taken);
      std::string_view line;
      if (!ReadLine(member_in, &line)) return Status();
      if (!line.starts_with('$')) return Status(Code::kMalformed, "a member is not a string");
      size_t member_taken = line.size() + kCrLf.size();
      std::string_view member;
      bool member_whole = false;
      Status status = ReadBulk(member_in, &member_taken, &member, &member_whole);
      if (!status.ok() || !member_whole) return status;
      reply->found->push_back(member);
      *taken += member_taken;
    }
    *whole = true;
    return Status();
  }

  const Workload* workload_;
  std::array<std::string, kKinds> heads_;
  std::string find_tail_;
};

}  // namespace

std::unique_ptr<Codec> MakeRedisCodec(const Workload* workload) {
  return std::make_unique<RedisCodec>(workload);
}

}  // namespace entrepot::bench
