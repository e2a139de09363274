#include "entrepot/wire_request.h"

#include <cstdint>
#include <msgpack.hpp>
#include <string>
#include <string_view>

#include "wire_writer.h"

namespace entrepot {
namespace {

struct AppendingSink {
  std::string* bytes;
  void write(const char* data, size_t size) { bytes->append(data, size); }
};

}  // namespace

void AppendArrayHeader(uint32_t count, std::string* out) {
  AppendingSink sink{out};
  msgpack::packer<AppendingSink>(sink).pack_array(count);
}

void AppendMapHeader(uint32_t count, std::string* out) {
  AppendingSink sink{out};
  msgpack::packer<AppendingSink>(sink).pack_map(count);
}

WireRequest& WireRequest::Add(const Value& param) {
  params_.append(param.encoded());
  ++param_count_;
  return *this;
}

WireRequest& WireRequest::Option(std::string_view name, const Value& value) {
  options_.append(Value(name).encoded()).append(value.encoded());
  ++option_count_;
  return *this;
}

void WireRequest::AppendCall(const Value* once, std::string* out) const {
  const uint32_t option_count = option_count_ + (once != nullptr ? 1 : 0);
  out->append(Value(method_).encoded());
  AppendArrayHeader(param_count_ + (option_count > 0 ? 1 : 0), out);
  out->append(params_);
  if (option_count == 0) return;
  AppendMapHeader(option_count, out);
  out->append(options_);
  if (once != nullptr) out->append(Value("once").encoded()).append(once->encoded());
}

std::string WireRequest::Encode(uint32_t msgid, const Value* once) const {
  std::string body;
  body.reserve(size());
  AppendArrayHeader(4, &body);
  body.append(Value(0).encoded()).append(Value(msgid).encoded());
  AppendCall(once, &body);
  return body;
}

std::string WireRequest::EncodeNotification() const {
  std::string body;
  AppendArrayHeader(3, &body);
  body.append(Value(2).encoded());
  AppendCall(nullptr, &body);
  return body;
}

std::string WireRequest::EncodeOperation() const {
  std::string operation;
  AppendArrayHeader(2, &operation);
  AppendCall(nullptr, &operation);
  return operation;
}

}  // namespace entrepot
