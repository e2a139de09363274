// Methods of several keys: get_many and transact.
#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "server/call.h"
#include "server/response.h"

namespace entrepot {

Status Commands::Call::GetMany() {
  if (Status status = ReadParams(request_, 1, &options_); !status.ok()) return status;
  MsgpackReader reader(request_.params[0]);
  Token token;
  if (!reader.Next(&token) || token.type != Token::kArray) {
    return Status(Code::kInvalidArgument, "get_many takes an array of keys");
  }
  const uint32_t count = token.count;
  if (count > engine_.limits().get_many_keys) {
    return Status(Code::kTooLarge, fmt::format("get_many of {} keys, over the limit of {}", count,
                                               engine_.limits().get_many_keys));
  }
  if (count > kInlineOperations && TooLong()) return Status();
  std::vector<Operation> gets(count);
  for (Operation& get : gets) {
    const char* const begin = reader.at();
    const bool whole = reader.Skip(SIZE_MAX) == MsgpackReader::Skipped::kWhole;
    CHECK(whole);
    const std::string_view key(begin, static_cast<size_t>(reader.at() - begin));
    if (Status status = ReadKey(key, engine_.limits(), /*to_write=*/false, &get.key);
        !status.ok()) {
      return status;
    }
    get.hash = engine_.store().Hash(get.key);
  }
  const Reply::Mark mark = reply_->Here();
  const size_t before = reply_->size();
  bool over = false;
  uint64_t version = 0;
  Head();
  PackMap(out_, 2);
  PackName(out_, "items");
  PackArray(out_, count);
  engine_.GetMany(&thread_->engine, gets, &gate_, [&](size_t, const Entry* entry) {
    if (entry == nullptr) return PackNil(out_);
    over = over || reply_->size() - before + entry->value_size() > ReplyRoom();
    if (over) return;
    PackArray(out_, 2);
    AppendValue(reply_, *entry);
    PackUnsigned(out_, entry->version());
    version = std::max(version, entry->version());
  });
  if (over) {
    reply_->GoBack(mark);
    return Status(Code::kTooLarge, "the values are over the limit of a reply together");
  }
  PackVersion(out_, version);
  Acknowledged();
  return Status();
}

Status Commands::Call::Transact() {
  Transaction transaction;
  Status status = ReadTransaction(
      request_, engine_.limits(),
      [this](std::string_view key) { return engine_.store().Hash(key); }, &transaction, &options_);
  if (!status.ok()) return status;
  if (transaction.conditions.size() + transaction.then_operations.size() +
              transaction.else_operations.size() >
          kInlineOperations &&
      TooLong()) {
    return Status();
  }
  if (Replayed(&status)) return status;
  TransactionResult result;
  const size_t operations =
      std::max(transaction.then_operations.size(), transaction.else_operations.size());
  if (operations * kResponseOverhead / 2 >= ReplyRoom()) {
    return Status(Code::kTooLarge, "the results would be over the limit of a reply");
  }
  status = engine_.Transact(&thread_->engine, transaction, attempt_.get(),
                            ReplyRoom() - operations * kResponseOverhead / 2, &result, &gate_);
  Acknowledged();
  if (!status.ok()) return Engines(status);
  Head();
  PackMap(out_, 3);
  PackOutcome(out_, result.outcome);
  PackVersion(out_, result.version);
  PackName(out_, "results");
  PackArray(out_, static_cast<uint32_t>(result.results.size()));
  for (size_t i = 0; i < result.results.size(); ++i) {
    OperationResult& answer = result.results[i];
    // What a conflict has undone has nothing to tell; the last one is that conflict.
    const bool undone = result.undone && i + 1 < result.results.size() &&
                        answer.outcome != Outcome::kFound && answer.outcome != Outcome::kNotFound &&
                        answer.outcome != Outcome::kUnchanged;
    undone ? PackMap(out_, 0) : AppendResult(reply_, &answer);
  }
  return Status();
}

}  // namespace entrepot
