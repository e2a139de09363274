#include "store/query.h"

#include "base/msgpack.h"

namespace entrepot {

namespace {

Status BadQuery(std::string_view what) {
  return Status(Code::kInvalidArgument, "the query " + std::string(what));
}

}  // namespace

Result<Query> Query::Read(std::string_view encoded) {
  MsgpackReader reader(encoded);
  Token token;
  if (!reader.Next(&token)) return BadQuery("is not msgpack");
  Query query;
  if (token.IsText()) {
    query.prefix_ = token.bytes;
    return query;
  }
  if (token.type != Token::kMap) return BadQuery("is neither a str, a bin nor a map");
  const uint32_t fields = token.count;
  bool prefix = false, equals = false;
  for (uint32_t i = 0; i < fields; ++i) {
    Token name;
    if (!reader.Next(&name) || name.type != Token::kString) {
      return BadQuery("has a name that is no str");
    }
    const char* const begin = reader.at();
    if (reader.Skip(0) != MsgpackReader::Skipped::kWhole) {
      return BadQuery("has an operand that is no scalar");
    }
    const std::string_view operand(begin, static_cast<size_t>(reader.at() - begin));
    Token text;
    if (name.bytes == "prefix") {
      if (!MsgpackReader(operand).Next(&text) || !text.IsText()) {
        return BadQuery("has a prefix that is neither a str nor a bin");
      }
      if (prefix) return BadQuery("gives its prefix twice");
      prefix = true;
      query.prefix_ = text.bytes;
    } else if (name.bytes == "equals" || name.bytes == "from" || name.bytes == "to") {
      if (!ReadOrderedValue(operand)) return BadQuery("has an operand that is no scalar");
      std::optional<std::string>& place = name.bytes == "to" ? query.to_ : query.from_;
      if (place) return BadQuery("gives an operand twice");
      place = operand;
      query.kind_ = Kind::kRange;
      equals |= name.bytes == "equals";
    } else {
      return BadQuery("has an operand that is none of prefix, equals, from, to");
    }
  }
  if (equals) query.kind_ = Kind::kEquals;
  if (fields == 0) return BadQuery("is an empty map");
  if (fields > 1 && (prefix || equals)) return BadQuery("mixes its forms");
  return query;
}

bool Query::Matches(std::string_view encoded) const {
  const std::optional<OrderedValue> value = ReadOrderedValue(encoded);
  if (!value) return false;
  switch (kind_) {
    case Kind::kPrefix:
      return value->type == OrderedValue::Class::kText && value->text.starts_with(prefix_);
    case Kind::kEquals:
      return CompareValues(*value, *ReadOrderedValue(*from_)) == 0;
    case Kind::kRange:
      return (!from_ || CompareValues(*value, *ReadOrderedValue(*from_)) >= 0) &&
             (!to_ || CompareValues(*value, *ReadOrderedValue(*to_)) < 0);
  }
  return false;
}

IndexRange Query::Range() const {
  switch (kind_) {
    case Kind::kPrefix:
      return IndexRange::WithPrefix(prefix_);
    case Kind::kEquals:
      return IndexRange::EqualTo(*ReadOrderedValue(*from_));
    case Kind::kRange:
      break;
  }
  std::optional<OrderedValue> from, to;
  if (from_) from = ReadOrderedValue(*from_);
  if (to_) to = ReadOrderedValue(*to_);
  return IndexRange::Between(from, to);
}

}  // namespace entrepot
