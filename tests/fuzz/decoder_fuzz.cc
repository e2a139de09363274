// Fuzzes what stands in a body: the server's Decoder and the reading of params, held against
// msgpack-c. Both have to come to the same verdict on what is well-formed, and to the same items;
// what is read has to come back the same when it is written again.
//
// The body is copied into memory of exactly its size, so that a sanitizer sees a read beyond.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <msgpack.hpp>

#include "base/limits.h"
#include "base/msgpack.h"
#include "base/status.h"
#include "protocol/decoder.h"
#include "server/cursor.h"
#include "server/params.h"
#include "store/query.h"

namespace entrepot {
namespace {

// The oracle's bound; deeper input is not compared, since the two would refuse it at other places.
constexpr size_t kOracleNesting = 200;

// --- The oracle -------------------------------------------------------------------------------

// One item of msgpack-c: what it says, and where it ends; nothing where it is not whole.
struct OracleItem {
  msgpack::object_handle object;
  size_t bytes;
};

// msgpack-c allocates what a header claims; its limits are set to what the input could hold.
std::optional<OracleItem> ReadByOracle(std::string_view bytes) {
  const size_t most = bytes.size();
  const msgpack::unpack_limit limit(most, most, most, most, most, kOracleNesting);
  size_t offset = 0;
  try {
    OracleItem item{msgpack::unpack(bytes.data(), bytes.size(), offset, nullptr, nullptr, limit),
                    0};
    item.bytes = offset;
    return item;
  } catch (const msgpack::unpack_error&) {
    return std::nullopt;
  }
}

size_t NestingOf(const msgpack::object& object) {
  size_t inside = 0;
  if (object.type == msgpack::type::ARRAY) {
    for (const msgpack::object& item : object.via.array) inside = std::max(inside, NestingOf(item));
  } else if (object.type == msgpack::type::MAP) {
    for (const auto& [key, value] : object.via.map) {
      inside = std::max({inside, NestingOf(key), NestingOf(value)});
    }
  } else {
    return 0;
  }
  return inside + 1;
}

// --- One item: reader against oracle ----------------------------------------------------------

// Reads `object` with `reader` token by token, and packs it again to `out`.
void ReadLike(const msgpack::object& object, MsgpackReader* reader, ByteBuffer* out) {
  Token token;
  CHECK(reader->Next(&token));
  switch (object.type) {
    case msgpack::type::NIL:
      CHECK(token.type == Token::kNil);
      return PackNil(out);
    case msgpack::type::BOOLEAN:
      CHECK(token.type == (object.via.boolean ? Token::kTrue : Token::kFalse));
      return PackBool(out, object.via.boolean);
    case msgpack::type::POSITIVE_INTEGER:
      CHECK(token.type == Token::kUnsigned && token.number == object.via.u64);
      return PackUnsigned(out, token.number);
    case msgpack::type::NEGATIVE_INTEGER:
      CHECK(token.type == Token::kNegative && static_cast<int64_t>(token.number) == object.via.i64);
      return PackSigned(out, static_cast<int64_t>(token.number));
    case msgpack::type::FLOAT32:
    case msgpack::type::FLOAT64:
      CHECK(token.type == Token::kFloat);
      CHECK(token.real == object.via.f64 || (std::isnan(token.real) && std::isnan(object.via.f64)));
      return PackFloat(out, token.real);
    case msgpack::type::STR:
      CHECK(token.type == Token::kString);
      CHECK(token.bytes == std::string_view(object.via.str.ptr, object.via.str.size));
      return PackString(out, token.bytes);
    case msgpack::type::BIN:
      CHECK(token.type == Token::kBinary);
      CHECK(token.bytes == std::string_view(object.via.bin.ptr, object.via.bin.size));
      return PackBinary(out, token.bytes);
    case msgpack::type::EXT:
      CHECK(token.type == Token::kExtension);
      CHECK(token.bytes == std::string_view(object.via.ext.data(), object.via.ext.size));
      return PackNil(out);  // The server never makes one.
    case msgpack::type::ARRAY:
      CHECK(token.type == Token::kArray && token.count == object.via.array.size);
      PackArray(out, token.count);
      for (const msgpack::object& item : object.via.array) ReadLike(item, reader, out);
      return;
    case msgpack::type::MAP:
      CHECK(token.type == Token::kMap && token.count == object.via.map.size);
      PackMap(out, token.count);
      for (const auto& [key, value] : object.via.map) {
        ReadLike(key, reader, out);
        ReadLike(value, reader, out);
      }
      return;
  }
}

void CheckItem(std::string_view bytes) {
  const std::optional<OracleItem> oracle = ReadByOracle(bytes);
  MsgpackReader skipping(bytes);
  const MsgpackReader::Skipped skipped = skipping.Skip(kOracleNesting);
  if (!oracle) {
    CHECK(skipped != MsgpackReader::Skipped::kWhole);
    return;
  }
  if (skipped == MsgpackReader::Skipped::kNestedTooDeep) {
    CHECK(NestingOf(*oracle->object) > Limits().nesting);
    return;
  }
  CHECK(skipped == MsgpackReader::Skipped::kWhole);
  CHECK(skipping.at() == bytes.data() + oracle->bytes);

  const size_t nesting = NestingOf(*oracle->object);
  CHECK(MsgpackReader(bytes).Skip(nesting) == MsgpackReader::Skipped::kWhole);
  if (nesting > 0) {
    CHECK(MsgpackReader(bytes).Skip(nesting - 1) == MsgpackReader::Skipped::kNestedTooDeep);
  }

  MsgpackReader reader(bytes);
  ByteBuffer packed;
  ReadLike(*oracle->object, &reader, &packed);
  CHECK(reader.at() == bytes.data() + oracle->bytes);
  // What was written is read the same, and is written the same again.
  const std::optional<OracleItem> again = ReadByOracle(packed.view());
  CHECK(again && again->bytes == packed.size());
  MsgpackReader packed_reader(packed.view());
  ByteBuffer twice;
  ReadLike(*again->object, &packed_reader, &twice);
  CHECK(twice.view() == packed.view());
}

// --- A body: decoder against oracle -----------------------------------------------------------

bool IsUnsigned(const msgpack::object& object, uint64_t most) {
  return object.type == msgpack::type::POSITIVE_INTEGER && object.via.u64 <= most;
}

// Whether an item has the shape of a request or notification (docs/PROTOCOL.md).
bool HasShape(const msgpack::object& item) {
  if (item.type != msgpack::type::ARRAY || item.via.array.size < 3) return false;
  const msgpack::object* const part = item.via.array.ptr;
  const uint32_t parts = item.via.array.size;
  const bool request = parts == 4 && IsUnsigned(part[0], 0) && IsUnsigned(part[1], 0xffffffff);
  const bool notification =
      parts == 3 && part[0].type == msgpack::type::POSITIVE_INTEGER && part[0].via.u64 == 2;
  return (request || notification) && part[parts - 2].type == msgpack::type::STR &&
         part[parts - 1].type == msgpack::type::ARRAY;
}

// Reads the params as the method would, which may refuse them but nothing else.
void ReadParamsOf(const Request& request) {
  const Limits limits;
  ParamOptions options;
  Operation operation;
  switch (request.method) {
    case Method::kSet:
    case Method::kGet:
    case Method::kDelete:
    case Method::kIncrement:
    case Method::kAppend:
    case Method::kPrepend:
    case Method::kTouch:
      if (ReadOperation(request, limits, &operation, &options).ok()) {
        CHECK(!operation.key.empty() && operation.key.size() <= limits.key_bytes);
        CHECK(operation.key.data() >= request.begin);
        CHECK(operation.value.size() <= limits.value_bytes);
      }
      return;
    case Method::kTransact: {
      Transaction transaction;
      const auto hash = [](std::string_view key) { return uint64_t{key.size()}; };
      if (ReadTransaction(request, limits, hash, &transaction, &options).ok()) {
        CHECK(transaction.conditions.size() <= limits.transact_operations);
        for (const auto* branch : {&transaction.then_operations, &transaction.else_operations}) {
          CHECK(branch->size() <= limits.transact_operations);
          for (const Operation& one : *branch) CHECK(!one.IsWrite() || one.key.front() != '$');
        }
      }
      return;
    }
    case Method::kFind:
    case Method::kScan:
    case Method::kDeletePrefix:
    case Method::kGetMany:
      if (ReadParams(request, 1, &options).ok()) {
        CHECK(request.param_count == 1 || request.param_count == 2);
        if (request.method == Method::kFind) {
          if (const Result<Query> query = Query::Read(request.params[0]); query.ok()) {
            query->Range();
            query->Matches(request.params[0]);
          }
        }
        for (const IndexOrder order : {IndexOrder::kByValue, IndexOrder::kByKey}) {
          if (options.cursor) Cursor::Read(*options.cursor, "find+", order);
        }
      }
      return;
    default:
      // Which options the method has is known where it is run; every reader is total.
      if (!ReadOptions(request.method, request.params[0], &options).ok()) return;
  }
}

void CheckRequest(const Request& request, const msgpack::object& item, std::string_view bytes) {
  CHECK(HasShape(item));
  const msgpack::object* const part = item.via.array.ptr;
  const uint32_t parts = item.via.array.size;
  CHECK(request.notification == (parts == 3));
  if (!request.notification) CHECK(request.msgid == part[1].via.u64);
  const msgpack::object& method = part[parts - 2];
  CHECK(request.method_name == std::string_view(method.via.str.ptr, method.via.str.size));
  const msgpack::object_array& params = part[parts - 1].via.array;
  CHECK((params.size > kParamsMax) == (request.error == Code::kInvalidArgument) ||
        request.error == Code::kUnknownMethod);
  CHECK(request.param_count == std::min<size_t>(params.size, kParamsMax));
  for (size_t i = 0; i < request.param_count; ++i) {
    CHECK(request.params[i].data() > bytes.data());
    CHECK(request.params[i].end() <= bytes.end());
    MsgpackReader reader(request.params[i]);
    ByteBuffer packed;
    ReadLike(params.ptr[i], &reader, &packed);
    CHECK(reader.AtEnd());
  }
  if (request.error == Code::kOk) ReadParamsOf(request);
}

void CheckBody(std::string_view body) {
  const size_t nesting = Limits().nesting;
  Decoder decoder(body, nesting);
  Request request;
  std::string_view rest = body;
  while (decoder.Next(&request)) {
    CHECK(request.begin == rest.data());
    const std::optional<OracleItem> oracle = ReadByOracle(rest);
    if (request.error == Code::kMalformed) {
      // Not whole, of another shape, or nested deeper than a value may be.
      CHECK(!oracle || !HasShape(*oracle->object) || NestingOf(*oracle->object) > nesting);
      CHECK(decoder.AtEnd() && !decoder.Next(&request));
      return;
    }
    CHECK(oracle.has_value());
    CheckRequest(request, *oracle->object, rest);
    rest.remove_prefix(oracle->bytes);
    CHECK(decoder.rest() == rest);
  }
  CHECK(rest.empty());
}

}  // namespace
}  // namespace entrepot

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::vector<char> copy(data, data + size);
  const std::string_view bytes(copy.data(), copy.size());
  if (bytes.empty()) return 0;
  entrepot::CheckItem(bytes);
  entrepot::CheckBody(bytes);
  return 0;
}
