#include "bench/workload/verifier.h"

#include <fmt/format.h>

#include <algorithm>

namespace entrepot::bench {
namespace {

constexpr size_t kShownBytesMax = 48;

std::string Shown(std::string_view value) {
  if (value.size() <= kShownBytesMax) return fmt::format("'{}'", value);
  return fmt::format("'{}…' ({} bytes)", value.substr(0, kShownBytesMax), value.size());
}

// Whether the outcome of a write says truly if the entry existed; kOk does not say.
bool WriteOutcomeFits(bool present, Outcome outcome) {
  return outcome == Outcome::kOk || outcome == (present ? Outcome::kUpdated : Outcome::kCreated);
}

}  // namespace

Verifier::Entry Verifier::Now(uint64_t key) const {
  const auto found = changed_.find(key);
  if (found != changed_.end()) return found->second;
  return {key < workload_->options().keys, workload_->LoadNonce(key)};
}

Expectation Verifier::Expect(const Request& request) {
  const Entry before = Now(request.key);
  Expectation expectation{request.kind, before.present, request.key, before.nonce, 0};
  switch (request.kind) {
    case Kind::kSet:
    case Kind::kInsert:
      changed_[request.key] = {true, request.nonce};
      break;
    case Kind::kDelete:
      changed_[request.key] = {false, 0};
      break;
    case Kind::kIncrement:
      expectation.number = ++increments_[request.key];
      break;
    case Kind::kGet:
    case Kind::kFind:
    case Kind::kScan:
    case Kind::kPing:
    case Kind::kIndexAdd:
      break;
  }
  return expectation;
}

std::optional<std::string> Verifier::Check(const Expectation& expectation, const Reply& reply) {
  if (reply.outcome == Outcome::kError) return std::nullopt;
  const auto key = [&] { return workload_->KeyText(expectation.kind, expectation.key); };
  switch (expectation.kind) {
    case Kind::kGet:
      return CheckGet(expectation, reply);
    case Kind::kFind:
      return CheckFind(expectation, reply);
    case Kind::kScan:
      return CheckScan(expectation, reply);
    case Kind::kIncrement:
      return CheckIncrement(expectation, reply);
    case Kind::kSet:
    case Kind::kInsert:
      if (WriteOutcomeFits(expectation.present, reply.outcome)) return std::nullopt;
      return fmt::format("{} {}: the entry was {}, the answer says otherwise",
                         KindName(expectation.kind), key(),
                         expectation.present ? "there" : "not there");
    case Kind::kDelete:
      if (reply.outcome == (expectation.present ? Outcome::kDeleted : Outcome::kNotFound)) {
        return std::nullopt;
      }
      return fmt::format("delete {}: the entry was {}, the answer says otherwise", key(),
                         expectation.present ? "there" : "not there");
    case Kind::kPing:
    case Kind::kIndexAdd:
      return std::nullopt;
  }
  return std::nullopt;
}

std::optional<std::string> Verifier::CheckGet(const Expectation& expectation,
                                              const Reply& reply) const {
  const std::string key = workload_->KeyText(Kind::kGet, expectation.key);
  if (!expectation.present) {
    if (reply.outcome == Outcome::kNotFound) return std::nullopt;
    return fmt::format("get {}: found {} after it was deleted", key, Shown(reply.value));
  }
  if (reply.outcome != Outcome::kFound) return fmt::format("get {}: not found", key);
  const std::string value = workload_->ValueText(expectation.key, expectation.nonce);
  if (reply.value == value) return std::nullopt;
  return fmt::format("get {}: {} instead of {}", key, Shown(reply.value), Shown(value));
}

std::optional<std::string> Verifier::CheckFind(const Expectation& expectation,
                                               const Reply& reply) const {
  const std::string prefix = workload_->GroupText(expectation.key);
  const WorkloadOptions& options = workload_->options();
  const uint64_t first = expectation.key - expectation.key % options.hits;
  if (exact_finds_) {
    const uint64_t hits = std::min<uint64_t>(options.hits, options.keys - first);
    if (reply.hits != hits) {
      return fmt::format("find {}: {} hits instead of {}", prefix, reply.hits, hits);
    }
  }
  for (const std::string_view text : *reply.found) {
    bool belongs = reply.found_values && text.starts_with(prefix);
    for (uint64_t key = first; key < first + options.hits && !reply.found_values; ++key) {
      belongs = belongs || text == workload_->KeyText(Kind::kSet, key);
    }
    if (!belongs) return fmt::format("find {}: {} does not match", prefix, Shown(text));
  }
  return std::nullopt;
}

std::optional<std::string> Verifier::CheckScan(const Expectation& expectation,
                                               const Reply& reply) const {
  std::string prefix = workload_->KeyText(Kind::kScan, expectation.key);
  prefix.pop_back();
  const uint64_t first = expectation.key - expectation.key % kScanHits;
  const uint64_t hits = std::min<uint64_t>(kScanHits, workload_->options().keys - first);
  if (exact_finds_ && reply.hits != hits) {
    return fmt::format("scan {}: {} keys instead of {}", prefix, reply.hits, hits);
  }
  for (const std::string_view key : *reply.found) {
    if (!key.starts_with(prefix)) {
      return fmt::format("scan {}: {} does not match", prefix, Shown(key));
    }
  }
  return std::nullopt;
}

// The store may hold counters of an earlier run: the first answer tells where this one began.
std::optional<std::string> Verifier::CheckIncrement(const Expectation& expectation,
                                                    const Reply& reply) {
  const auto [base, first] = bases_.try_emplace(expectation.key, reply.number - expectation.number);
  if (first || reply.number == base->second + expectation.number) return std::nullopt;
  return fmt::format("increment {}: {} instead of {}",
                     workload_->KeyText(Kind::kIncrement, expectation.key), reply.number,
                     base->second + expectation.number);
}

}  // namespace entrepot::bench
