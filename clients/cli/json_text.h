// Values as JSON text and back.
//
// What JSON cannot say is an object with one member:
//
//    {"$bin": "AAE="}            a bin, in base64
//    {"$ext": [5, "AAE="]}       an ext of type 5
//    {"$float": "nan"}           nan, inf, -inf
//    {"$msgpack": "yj/AAAA="}    any value, by its encoding
//
// Exact text gives back the same bytes when it is read again: where the readable form would not
// (a float of 32 bits, a str that is no UTF-8, an integer in a longer encoding than it needs, a map
// whose names are no strings or look like the above), the whole value is a `$msgpack`.
//
// Thread safety: functions on plain values.

#pragma once

#include <string>
#include <string_view>

#include "entrepot/result.h"
#include "entrepot/value.h"

namespace entrepot::cli {

// For a person: may lose the encoding, never throws anything away that can be shown.
std::string ToReadableJson(const Value& value);

// For a program: FromJson() of it is `value`, byte for byte.
std::string ToExactJson(const Value& value);

// A key, as a JSON string or as a `$bin`.
std::string KeyToJson(std::string_view key);

// `invalid_argument` with the place of the error where the text is no JSON.
Result<Value> FromJson(std::string_view text);

// The value of `object[name]` in a JSON object, and so on: one line of an import.
struct JsonEntry {
  std::string key;
  Value value;
  int64_t ttl_ms = 0;  // 0 where there is none.
};

// Reads `{"key": …, "value": …, "ttl_ms": …}`; other members are passed over.
Result<JsonEntry> EntryFromJson(std::string_view text);

}  // namespace entrepot::cli
