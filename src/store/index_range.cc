#include "store/index_range.h"

#include "base/limits.h"

namespace entrepot {

namespace {

OrderedValue CutToIndexed(OrderedValue value) {
  if (value.type == OrderedValue::Class::kText) value.text = value.text.substr(0, kIndexedBytes);
  return value;
}

}  // namespace

std::optional<IndexPlace> PlaceOf(IndexOrder order, const Entry& entry) {
  if (order == IndexOrder::kByKey) return IndexPlace{OrderedValue::OfText(entry.key()), {}};
  const std::optional<OrderedValue> value = ReadOrderedValue(entry.value());
  if (!value) return std::nullopt;
  return IndexPlace{CutToIndexed(*value), entry.key()};
}

int ComparePlaces(const IndexPlace& left, const IndexPlace& right) {
  const int values = CompareValues(left.value, right.value);
  return values != 0 ? values : left.key.compare(right.key);
}

std::optional<std::string> PrefixSuccessor(std::string_view prefix) {
  while (!prefix.empty() && prefix.back() == '\xff') prefix.remove_suffix(1);
  if (prefix.empty()) return std::nullopt;
  std::string successor(prefix);
  ++successor.back();
  return successor;
}

IndexPosition::IndexPosition(const OrderedValue& value, std::string_view key, Side side)
    : value_(value), key_(key), side_(side) {
  text_ = CutToIndexed(value).text;
  value_.text = {};
}

OrderedValue IndexPosition::value() const {
  OrderedValue value = value_;
  value.text = text_;
  return value;
}

bool IndexPosition::IsBehind(const IndexPlace& place) const {
  if (const int values = CompareValues(place.value, value()); values != 0) return values < 0;
  if (!key_.empty()) {
    if (const int keys = place.key.compare(key_); keys != 0) return keys < 0;
  }
  return side_ == kBehind;
}

IndexRange IndexRange::WithPrefix(std::string_view prefix) {
  prefix = prefix.substr(0, kIndexedBytes);
  IndexRange range;
  range.begin = IndexPosition::BeforeValue(OrderedValue::OfText(prefix));
  // Texts come last of all values, so without a successor the range is open.
  if (const std::optional<std::string> successor = PrefixSuccessor(prefix)) {
    range.end = IndexPosition::BeforeValue(OrderedValue::OfText(*successor));
  }
  return range;
}

IndexRange IndexRange::EqualTo(const OrderedValue& value) {
  return {IndexPosition::BeforeValue(value), IndexPosition::BehindValue(value)};
}

IndexRange IndexRange::Between(const std::optional<OrderedValue>& from,
                               const std::optional<OrderedValue>& to) {
  IndexRange range;
  if (from) range.begin = IndexPosition::BeforeValue(*from);
  if (to) {
    // Of values that share the first kIndexedBytes with a longer `to`, some may be below it.
    const bool cut = to->type == OrderedValue::Class::kText && to->text.size() > kIndexedBytes;
    range.end = cut ? IndexPosition::BehindValue(*to) : IndexPosition::BeforeValue(*to);
  }
  return range;
}

void IndexRange::ContinueBehind(Direction direction, const IndexPlace& place) {
  if (direction == Direction::kAscending) {
    begin = IndexPosition::Behind(place);
  } else {
    end = IndexPosition::Before(place);
  }
}

}  // namespace entrepot
