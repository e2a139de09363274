// Transaction: several operations that all happen at one instant, or not at all.
//
//    entrepot::Transaction move;
//    move.If(entrepot::Condition::Version("job:7", 41))
//        .Then(entrepot::request::Delete("job:7"))
//        .Then(entrepot::request::Set("done:7", "ok"));
//    entrepot::Result<entrepot::TransactionOutcome> outcome = client.Transact(move);
//
// Operations are requests of get, set, delete, increment, append, prepend and touch. Their own
// `call` options do not count; `ack` belongs to the transaction. Each key stands at most once
// among a branch's writes.
//
// Thread safety: as a plain value.

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "entrepot/request.h"
#include "entrepot/types.h"
#include "entrepot/value.h"

namespace entrepot {

// Something that must hold at the instant of the transaction.
class Condition {
 public:
  enum class Comparison : uint8_t { kEqual, kNotEqual, kLess, kGreater };

  // The version of what does not exist is 0.
  static Condition Version(std::string_view key, uint64_t version,
                           Comparison comparison = Comparison::kEqual);
  static Condition Exists(std::string_view key, bool exists = true);
  // What does not exist is equal to nothing, and neither less nor greater.
  static Condition OfValue(std::string_view key, const Value& value,
                           Comparison comparison = Comparison::kEqual);

  const std::string& encoded() const { return encoded_; }

 private:
  Condition(std::string_view key, std::string_view what, Comparison comparison,
            const Value& operand);

  std::string encoded_;
};

class Transaction {
 public:
  Transaction& If(const Condition& condition) {
    conditions_.push_back(condition.encoded());
    return *this;
  }
  // Runs when all conditions hold.
  template <typename T>
  Transaction& Then(const Request<T>& operation) {
    then_.push_back(operation.wire.EncodeOperation());
    return *this;
  }
  // Runs when one of them does not.
  template <typename T>
  Transaction& Else(const Request<T>& operation) {
    otherwise_.push_back(operation.wire.EncodeOperation());
    return *this;
  }

  // `{if: […], then: […], else: […]}`.
  Value Encode() const;

 private:
  std::vector<std::string> conditions_;
  std::vector<std::string> then_;
  std::vector<std::string> otherwise_;
};

namespace request {

Request<TransactionOutcome> Transact(const Transaction& transaction,
                                     const WriteOptions& options = {});

}  // namespace request
}  // namespace entrepot
