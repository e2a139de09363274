#include "engine/transaction.h"

#include "base/msgpack.h"
#include "store/value_order.h"

namespace entrepot {

namespace {

bool Compare(int order, Condition::Comparison comparison) {
  switch (comparison) {
    case Condition::Comparison::kEqual:
      return order == 0;
    case Condition::Comparison::kNotEqual:
      return order != 0;
    case Condition::Comparison::kLess:
      return order < 0;
    case Condition::Comparison::kGreater:
      return order > 0;
  }
  return false;
}

}  // namespace

bool Condition::Holds(const Entry* live) const {
  switch (field) {
    case Field::kVersion: {
      const uint64_t present = live != nullptr ? live->version() : 0;
      return Compare(present < version ? -1 : present > version ? 1 : 0, comparison);
    }
    case Field::kExists:
      return Compare((live != nullptr) == exists ? 0 : 1, comparison);
    case Field::kValue: {
      if (live == nullptr) return comparison == Comparison::kNotEqual;
      const std::optional<OrderedValue> present = ReadOrderedValue(live->value());
      const std::optional<OrderedValue> operand = ReadOrderedValue(value);
      if (present && operand) return Compare(CompareValues(*present, *operand), comparison);
      // Arrays, maps and extensions have no order; they are equal when their bytes are.
      const bool equal = live->value() == value;
      return comparison == Comparison::kEqual      ? equal
             : comparison == Comparison::kNotEqual ? !equal
                                                   : false;
    }
  }
  return false;
}

}  // namespace entrepot
