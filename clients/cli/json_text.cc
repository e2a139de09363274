#include "json_text.h"

#include <cmath>
#include <cstdint>
#include <exception>
#include <limits>
#include <msgpack.hpp>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base64.h"

namespace entrepot::cli {
namespace {

using Json = nlohmann::ordered_json;
using Packer = msgpack::packer<msgpack::sbuffer>;

// Deeper text is refused: the server takes 32 levels, and the reading is recursive.
constexpr int kNestingMax = 256;

Json Escape(const char* name, Json content) { return Json{{name, std::move(content)}}; }

Json ToJson(const msgpack::object& object, int nesting);

Json StringToJson(const msgpack::object& object) {
  const std::string text(object.via.str.ptr, object.via.str.size);
  if (IsUtf8(text)) return text;
  return Escape("$bin", EncodeBase64(text));
}

Json FloatToJson(double number) {
  if (std::isfinite(number)) return number;
  if (std::isnan(number)) return Escape("$float", "nan");
  return Escape("$float", number > 0 ? "inf" : "-inf");
}

Json MapToJson(const msgpack::object& object, int nesting) {
  Json map = Json::object();
  for (const msgpack::object_kv& pair : object.via.map) {
    const Json name = ToJson(pair.key, nesting);
    map[name.is_string() ? name.get<std::string>() : name.dump()] = ToJson(pair.val, nesting);
  }
  return map;
}

Json ToJson(const msgpack::object& object, int nesting) {
  if (nesting > kNestingMax) return nullptr;
  switch (object.type) {
    case msgpack::type::NIL:
      return nullptr;
    case msgpack::type::BOOLEAN:
      return object.via.boolean;
    case msgpack::type::POSITIVE_INTEGER:
      return object.via.u64;
    case msgpack::type::NEGATIVE_INTEGER:
      return object.via.i64;
    case msgpack::type::FLOAT32:
    case msgpack::type::FLOAT64:
      return FloatToJson(object.via.f64);
    case msgpack::type::STR:
      return StringToJson(object);
    case msgpack::type::BIN:
      return Escape("$bin", EncodeBase64({object.via.bin.ptr, object.via.bin.size}));
    case msgpack::type::EXT:
      return Escape("$ext",
                    Json::array({object.via.ext.type(),
                                 EncodeBase64({object.via.ext.data(), object.via.ext.size})}));
    case msgpack::type::ARRAY: {
      Json array = Json::array();
      for (const msgpack::object& element : object.via.array) {
        array.push_back(ToJson(element, nesting + 1));
      }
      return array;
    }
    case msgpack::type::MAP:
      return MapToJson(object, nesting + 1);
  }
  return nullptr;
}

// As a float, also without a fraction: the packer would make that an integer.
void PackFloat(double number, msgpack::sbuffer* buffer) {
  const Value encoded(number);
  buffer->write(encoded.encoded().data(), encoded.encoded().size());
}

// Packs `{"$name": content}` as what it stands for; false where it stands for nothing.
bool PackEscape(const std::string& name, const Json& content, Packer* packer,
                msgpack::sbuffer* buffer) {
  if (name == "$float" && content.is_string()) {
    const auto text = content.get<std::string>();
    const double infinity = std::numeric_limits<double>::infinity();
    if (text == "nan") PackFloat(std::numeric_limits<double>::quiet_NaN(), buffer);
    if (text == "inf") PackFloat(infinity, buffer);
    if (text == "-inf") PackFloat(-infinity, buffer);
    return text == "nan" || text == "inf" || text == "-inf";
  }
  if (name == "$ext") {
    if (!content.is_array() || content.size() != 2) return false;
    if (!content[0].is_number_integer() || !content[1].is_string()) return false;
    const int64_t type = content[0].get<int64_t>();
    const std::optional<std::string> bytes = DecodeBase64(content[1].get<std::string>());
    if (!bytes || type < INT8_MIN || type > INT8_MAX) return false;
    packer->pack_ext(bytes->size(), static_cast<int8_t>(type));
    packer->pack_ext_body(bytes->data(), bytes->size());
    return true;
  }
  if (!content.is_string() || (name != "$bin" && name != "$msgpack")) return false;
  const std::optional<std::string> bytes = DecodeBase64(content.get<std::string>());
  if (!bytes) return false;
  if (name == "$bin") {
    packer->pack_bin(bytes->size());
    packer->pack_bin_body(bytes->data(), bytes->size());
    return true;
  }
  if (!Value::FromEncoded(*bytes).ok()) return false;
  buffer->write(bytes->data(), bytes->size());
  return true;
}

// False where the text is nested too deep.
bool Pack(const Json& json, Packer* packer, msgpack::sbuffer* buffer, int nesting) {
  if (nesting > kNestingMax) return false;
  switch (json.type()) {
    case Json::value_t::boolean:
      packer->pack(json.get<bool>());
      return true;
    case Json::value_t::number_integer:
      packer->pack(json.get<int64_t>());
      return true;
    case Json::value_t::number_unsigned:
      packer->pack(json.get<uint64_t>());
      return true;
    case Json::value_t::number_float:
      PackFloat(json.get<double>(), buffer);
      return true;
    case Json::value_t::string:
      packer->pack(json.get_ref<const std::string&>());
      return true;
    case Json::value_t::array:
      packer->pack_array(json.size());
      for (const Json& element : json) {
        if (!Pack(element, packer, buffer, nesting + 1)) return false;
      }
      return true;
    case Json::value_t::object:
      if (json.size() == 1 &&
          PackEscape(json.begin().key(), json.begin().value(), packer, buffer)) {
        return true;
      }
      packer->pack_map(json.size());
      for (const auto& [name, member] : json.items()) {
        packer->pack(name);
        if (!Pack(member, packer, buffer, nesting + 1)) return false;
      }
      return true;
    default:
      packer->pack_nil();
      return true;
  }
}

Result<Json> Parse(std::string_view text) {
  try {
    return Json::parse(text);
  } catch (const nlohmann::json::exception& error) {
    return Status(StatusCode::kInvalidArgument, error.what());
  }
}

Result<Value> Encode(const Json& json) {
  msgpack::sbuffer buffer;
  Packer packer(buffer);
  if (!Pack(json, &packer, &buffer, 0)) {
    return Status(StatusCode::kInvalidArgument, "the JSON is nested too deep");
  }
  return Value::FromEncoded(std::string(buffer.data(), buffer.size()));
}

}  // namespace

std::string ToReadableJson(const Value& value) {
  const msgpack::object_handle handle =
      msgpack::unpack(value.encoded().data(), value.encoded().size());
  return ToJson(handle.get(), 0).dump();
}

std::string ToExactJson(const Value& value) {
  std::string readable = ToReadableJson(value);
  if (const Result<Value> again = FromJson(readable); again.ok() && *again == value) {
    return readable;
  }
  return Escape("$msgpack", EncodeBase64(value.encoded())).dump();
}

std::string KeyToJson(std::string_view key) { return ToReadableJson(Value::TextOrBytes(key)); }

Result<Value> FromJson(std::string_view text) {
  Result<Json> json = Parse(text);
  if (!json.ok()) return json.status();
  return Encode(*json);
}

Result<JsonEntry> EntryFromJson(std::string_view text) {
  Result<Json> json = Parse(text);
  if (!json.ok()) return json.status();
  if (!json->is_object() || !json->contains("key") || !json->contains("value")) {
    return Status(StatusCode::kInvalidArgument, "not an object with a key and a value");
  }
  const Result<Value> key = Encode((*json)["key"]);
  if (!key.ok()) return key.status();
  const Result<std::string_view> key_bytes = key->AsString();
  if (!key_bytes.ok()) return Status(StatusCode::kInvalidArgument, "the key is no string");
  Result<Value> value = Encode((*json)["value"]);
  if (!value.ok()) return value.status();
  JsonEntry entry{.key = std::string(*key_bytes), .value = *std::move(value)};
  if (json->contains("ttl_ms")) {
    const Json& ttl_ms = (*json)["ttl_ms"];
    if (!ttl_ms.is_number_integer() || ttl_ms.get<int64_t>() < 1) {
      return Status(StatusCode::kInvalidArgument, "ttl_ms is no whole number from 1 on");
    }
    entry.ttl_ms = ttl_ms.get<int64_t>();
  }
  return entry;
}

}  // namespace entrepot::cli
