#include "entrepot/transaction.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "wire_writer.h"

namespace entrepot {
namespace {

std::string_view Sign(Condition::Comparison comparison) {
  switch (comparison) {
    case Condition::Comparison::kEqual:
      return "=";
    case Condition::Comparison::kNotEqual:
      return "!=";
    case Condition::Comparison::kLess:
      return "<";
    case Condition::Comparison::kGreater:
      return ">";
  }
  return "=";
}

void AppendList(std::string_view name, const std::vector<std::string>& elements, std::string* out) {
  out->append(Value(name).encoded());
  AppendArrayHeader(elements.size(), out);
  for (const std::string& element : elements) out->append(element);
}

}  // namespace

Condition::Condition(std::string_view key, std::string_view what, Comparison comparison,
                     const Value& operand) {
  AppendArrayHeader(4, &encoded_);
  encoded_.append(Value::TextOrBytes(key).encoded()).append(Value(what).encoded());
  encoded_.append(Value(Sign(comparison)).encoded()).append(operand.encoded());
}

Condition Condition::Version(std::string_view key, uint64_t version, Comparison comparison) {
  return Condition(key, "version", comparison, version);
}

Condition Condition::Exists(std::string_view key, bool exists) {
  return Condition(key, "exists", Comparison::kEqual, exists);
}

Condition Condition::OfValue(std::string_view key, const Value& value, Comparison comparison) {
  return Condition(key, "value", comparison, value);
}

Value Transaction::Encode() const {
  std::string encoded;
  AppendMapHeader(3, &encoded);
  AppendList("if", conditions_, &encoded);
  AppendList("then", then_, &encoded);
  AppendList("else", otherwise_, &encoded);
  return *Value::FromEncoded(std::move(encoded));
}

}  // namespace entrepot
