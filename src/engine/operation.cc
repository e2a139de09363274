#include "engine/operation.h"

#include <cmath>

#include "base/msgpack.h"
#include "store/value_order.h"

namespace entrepot {

namespace {

Outcome Written(const Entry* live) {
  return live == nullptr ? Outcome::kCreated : Outcome::kUpdated;
}

void Conflict(const Entry* live, OperationResult* result) {
  result->outcome = Outcome::kConflict;
  result->version = live != nullptr ? live->version() : 0;
  if (live != nullptr) result->value.emplace().CopyFrom(*live);
}

void TellPrevious(const Operation& operation, const Entry* live, OperationResult* result) {
  if (!operation.previous) return;
  result->previous_version = live != nullptr ? live->version() : 0;
  if (live != nullptr) result->value.emplace().CopyFrom(*live);
}

bool ConditionsHold(const Operation& operation, const Entry* live) {
  if (operation.if_absent && live != nullptr) return false;
  if (operation.if_present && live == nullptr) return false;
  return !operation.if_version || *operation.if_version == (live != nullptr ? live->version() : 0);
}

void RunSet(const Operation& operation, const Entry* live, Entry* prepared, OperationResult* result,
            Effect* effect) {
  if (!ConditionsHold(operation, live)) return Conflict(live, result);
  TellPrevious(operation, live, result);
  result->outcome = Written(live);
  result->version = OperationResult::kNewVersion;
  Entry* fresh = prepared;
  if (fresh == nullptr) {  // keep_ttl
    fresh = Entry::New(operation.key, operation.value, live != nullptr ? live->expires_at_ms() : 0);
  }
  *effect = {Effect::kPut, ChangeOp::kSet, fresh};
}

void RunDelete(const Operation& operation, const Entry* live, OperationResult* result,
               Effect* effect) {
  if (!ConditionsHold(operation, live)) return Conflict(live, result);
  TellPrevious(operation, live, result);
  if (live == nullptr) {
    result->outcome = Outcome::kNotFound;
    return;
  }
  result->outcome = Outcome::kDeleted;
  result->version = OperationResult::kNewVersion;
  *effect = {Effect::kRemove, ChangeOp::kDelete, nullptr};
}

std::optional<Number> ReadNumber(std::string_view value) {
  MsgpackReader reader(value);
  Token token;
  if (!reader.Next(&token)) return std::nullopt;
  if (token.type == Token::kFloat) return Number(token.real);
  if (token.type == Token::kUnsigned && token.number > uint64_t{INT64_MAX}) return std::nullopt;
  if (token.IsInteger()) return Number(static_cast<int64_t>(token.number));
  return std::nullopt;
}

double AsFloat(const Number& number) {
  const auto* const integer = std::get_if<int64_t>(&number);
  return integer != nullptr ? static_cast<double>(*integer) : std::get<double>(number);
}

// Nothing where the sum leaves the range of its type.
std::optional<Number> Add(const Number& left, const Number& right) {
  const auto* const left_integer = std::get_if<int64_t>(&left);
  const auto* const right_integer = std::get_if<int64_t>(&right);
  if (left_integer != nullptr && right_integer != nullptr) {
    int64_t sum;
    if (__builtin_add_overflow(*left_integer, *right_integer, &sum)) return std::nullopt;
    return Number(sum);
  }
  const double sum = AsFloat(left) + AsFloat(right);
  if (!std::isfinite(sum)) return std::nullopt;
  return Number(sum);
}

OrderedValue AsOrdered(const Number& number) {
  OrderedValue value{.type = OrderedValue::Class::kNumber};
  if (const auto* const integer = std::get_if<int64_t>(&number)) {
    value.form = *integer < 0 ? OrderedValue::Number::kNegative : OrderedValue::Number::kUnsigned;
    value.number = static_cast<uint64_t>(*integer);
  } else {
    value.form = OrderedValue::Number::kFloat;
    value.real = std::get<double>(number);
  }
  return value;
}

bool Less(const Number& left, const Number& right) {
  return CompareValues(AsOrdered(left), AsOrdered(right)) < 0;
}

Status RunIncrement(const Operation& operation, const Entry* live, int64_t now_ms,
                    OperationResult* result, Effect* effect) {
  std::optional<Number> present = operation.initial;
  if (live != nullptr) present = ReadNumber(live->value());
  if (!present) {
    return Status(Code::kWrongType, "the value is neither a 64-bit signed integer nor a float");
  }
  const std::optional<Number> sum = Add(*present, operation.by);
  if (!sum || (operation.min && Less(*sum, *operation.min)) ||
      (operation.max && Less(*operation.max, *sum))) {
    Conflict(live, result);
    return Status();
  }
  ByteBuffer value;
  if (const auto* const integer = std::get_if<int64_t>(&*sum)) {
    PackSigned(&value, *integer);
  } else {
    PackFloat(&value, std::get<double>(*sum));
  }
  result->outcome = Written(live);
  result->version = OperationResult::kNewVersion;
  result->number = sum;
  const int64_t expiry = live != nullptr ? live->expires_at_ms() : ExpiryOf(operation, now_ms);
  *effect = {Effect::kPut, ChangeOp::kSet, Entry::New(operation.key, value.view(), expiry)};
  return Status();
}

Status RunConcatenate(const Operation& operation, const Entry* live, const Limits& limits,
                      OperationResult* result, Effect* effect) {
  Token added, present;
  CHECK(MsgpackReader(operation.value).Next(&added) && added.IsText());
  Token::Type type = added.type;
  std::string_view first, second = added.bytes;
  if (live != nullptr) {
    if (!MsgpackReader(live->value()).Next(&present) || !present.IsText()) {
      return Status(Code::kWrongType, "the value is neither a str nor a bin");
    }
    type = present.type;
    first = present.bytes;
  }
  if (operation.method == Method::kPrepend) std::swap(first, second);
  const size_t length = first.size() + second.size();
  const size_t head = type == Token::kString ? StringHeadBytes(length) : BinaryHeadBytes(length);
  if (head + length > limits.value_bytes) {
    return Status(Code::kTooLarge, "the value would have " + std::to_string(head + length) +
                                       " bytes, over the limit of " +
                                       std::to_string(limits.value_bytes));
  }
  ByteBuffer value;
  value.Room(head + length);
  type == Token::kString ? PackStringHead(&value, static_cast<uint32_t>(length))
                         : PackBinaryHead(&value, static_cast<uint32_t>(length));
  value.Append(first);
  value.Append(second);
  result->outcome = Written(live);
  result->version = OperationResult::kNewVersion;
  result->length = length;
  const int64_t expiry = live != nullptr ? live->expires_at_ms() : 0;
  *effect = {Effect::kPut, ChangeOp::kSet, Entry::New(operation.key, value.view(), expiry)};
  return Status();
}

void RunTouch(const Operation& operation, const Entry* live, int64_t now_ms,
              OperationResult* result, Effect* effect) {
  if (live == nullptr) {
    result->outcome = Outcome::kNotFound;
    return;
  }
  result->outcome = Outcome::kUpdated;
  result->version = OperationResult::kNewVersion;
  *effect = {Effect::kPut, ChangeOp::kTouch,
             Entry::CopyWithExpiry(*live, ExpiryOf(operation, now_ms))};
}

}  // namespace

void ValueCopy::CopyFrom(const Entry& entry) {
  if (ValueBlock* const block = entry.block(); block != nullptr) {
    block_ = BlockRef(block);
  } else {
    small_ = entry.value();
  }
}

int64_t ExpiryOf(const Operation& operation, int64_t now_ms) {
  return operation.ttl_ms != 0 ? now_ms + operation.ttl_ms : operation.expires_at_ms;
}

Entry* PrepareEntry(const Operation& operation, int64_t now_ms) {
  if (operation.method != Method::kSet || operation.keep_ttl) return nullptr;
  return Entry::New(operation.key, operation.value, ExpiryOf(operation, now_ms));
}

Status RunWrite(const Operation& operation, const Entry* live, Entry* prepared, int64_t now_ms,
                const Limits& limits, OperationResult* result, Effect* effect) {
  switch (operation.method) {
    case Method::kSet:
      RunSet(operation, live, prepared, result, effect);
      return Status();
    case Method::kDelete:
      RunDelete(operation, live, result, effect);
      return Status();
    case Method::kIncrement:
      return RunIncrement(operation, live, now_ms, result, effect);
    case Method::kAppend:
    case Method::kPrepend:
      return RunConcatenate(operation, live, limits, result, effect);
    case Method::kTouch:
      RunTouch(operation, live, now_ms, result, effect);
      return Status();
    default:
      CHECK(!"an operation that writes");
  }
  return Status();
}

void RunGet(const Operation& operation, const Entry* live, int64_t now_ms,
            OperationResult* result) {
  if (live == nullptr) {
    result->outcome = Outcome::kNotFound;
    return;
  }
  result->version = live->version();
  if (operation.unless_version && *operation.unless_version == live->version()) {
    result->outcome = Outcome::kUnchanged;
    return;
  }
  result->outcome = Outcome::kFound;
  result->value.emplace().CopyFrom(*live);
  if (live->expires_at_ms() != 0) result->ttl_ms = live->expires_at_ms() - now_ms;
}

}  // namespace entrepot
