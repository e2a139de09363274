// Where entries stand in an ordered index, the positions between them, and the ranges that queries
// ask for.
//
// By value, an entry's place is (its value, its key); of a text only the first kIndexedBytes count.
// By key, it is its key, taken as a text. A position stands between two places, never on one, so
// every range is half-open without a further rule. Where a bound is longer than kIndexedBytes, the
// range holds all entries that may match: who reads it checks their whole values.
//
// Thread safety: values and pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "store/entry.h"
#include "store/value_order.h"

namespace entrepot {

enum class IndexOrder : uint8_t { kByValue, kByKey };
enum class Direction : uint8_t { kAscending, kDescending };

// An entry's place. Views the entry.
struct IndexPlace {
  OrderedValue value;    // A text is cut to kIndexedBytes. By key: the key, as a text.
  std::string_view key;  // By key: empty.
};

// Nothing when the entry's value has no place in the order of values.
std::optional<IndexPlace> PlaceOf(IndexOrder order, const Entry& entry);

// Negative, zero or positive, as memcmp() answers. Zero only for entries of one key.
int ComparePlaces(const IndexPlace& left, const IndexPlace& right);

// The smallest text above every text that begins with `prefix`; nothing when there is none, that is
// for a prefix of bytes 0xff only, and for the empty one.
std::optional<std::string> PrefixSuccessor(std::string_view prefix);

class IndexPosition {
 public:
  // Before (or behind) all places of this value.
  static IndexPosition BeforeValue(const OrderedValue& value) { return {value, "", kBefore}; }
  static IndexPosition BehindValue(const OrderedValue& value) { return {value, "", kBehind}; }
  // Before (or behind) the place (value, key). With the empty key, as for the value alone.
  static IndexPosition Before(const IndexPlace& place) { return {place.value, place.key, kBefore}; }
  static IndexPosition Behind(const IndexPlace& place) { return {place.value, place.key, kBehind}; }

  // Views the position.
  OrderedValue value() const;

  // Whether `place` is before this position.
  bool IsBehind(const IndexPlace& place) const;

 private:
  enum Side : uint8_t { kBefore, kBehind };
  IndexPosition(const OrderedValue& value, std::string_view key, Side side);

  OrderedValue value_;  // Without its text, which is text_.
  std::string text_;
  std::string key_;
  Side side_;
};

// What lies between two positions; without one, all to that end.
struct IndexRange {
  std::optional<IndexPosition> begin;
  std::optional<IndexPosition> end;

  // Texts that begin with `prefix`; by key, keys that do.
  static IndexRange WithPrefix(std::string_view prefix);
  static IndexRange EqualTo(const OrderedValue& value);
  // from <= value < to, either of which may be left out.
  static IndexRange Between(const std::optional<OrderedValue>& from,
                            const std::optional<OrderedValue>& to);

  // What is left of this range for who goes in `direction` and has come to `place`.
  void ContinueBehind(Direction direction, const IndexPlace& place);
};

}  // namespace entrepot
