// Values from and to C++ types, by msgpack-cxx: containers, and your own types that have
// MSGPACK_DEFINE or an adaptor.
//
//    entrepot::Value value = entrepot::ToValue(std::map<std::string, int>{{"a", 1}});
//    entrepot::Result<std::map<std::string, int>> back =
//        entrepot::FromValue<std::map<std::string, int>>(value);
//
// msgpack-cxx packs a float without a fraction as an integer; where that matters, say Value(1.0).
//
// The header is apart because msgpack.hpp is large; nothing else of the client includes it.
//
// Thread safety: functions on plain values.

#pragma once

#include <exception>
#include <msgpack.hpp>
#include <string>

#include "entrepot/result.h"
#include "entrepot/value.h"

namespace entrepot {

template <typename T>
Value ToValue(const T& object) {
  msgpack::sbuffer buffer;
  msgpack::pack(buffer, object);
  return *Value::FromEncoded(std::string(buffer.data(), buffer.size()));
}

// `wrong_type` where the value is not what T is made of.
template <typename T>
Result<T> FromValue(const Value& value) {
  try {
    const msgpack::object_handle handle =
        msgpack::unpack(value.encoded().data(), value.encoded().size());
    return handle.get().as<T>();
  } catch (const std::exception& error) {  // msgpack's and the adaptors' own.
    return Status(StatusCode::kWrongType, std::string("the value does not fit: ") + error.what());
  }
}

}  // namespace entrepot
