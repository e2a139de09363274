#include "subscription_state.h"

#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace entrepot {

uint64_t VersionOf(const Event& event) {
  return std::visit(
      [](const auto& kind) -> uint64_t {
        if constexpr (requires { kind.version; }) {
          return kind.version;
        } else {
          return 0;
        }
      },
      event);
}

uint64_t PreviousVersionOf(const Event& event) {
  return std::visit(
      [](const auto& kind) -> uint64_t {
        if constexpr (requires { kind.previous_version; }) {
          return kind.previous_version;
        } else {
          return 0;
        }
      },
      event);
}

std::optional<SubscriptionState::Gap> SubscriptionState::Heartbeat(const Token& token,
                                                                   TimePoint now) {
  const bool may_miss = std::exchange(was_interrupted_, false) || now - heard_ >= kFeedSilence;
  if (token_ && token_->history != token.history) Lose("unknown_history");
  const std::optional<Token> before = std::exchange(token_, token);
  heard_ = now;
  if (!before) {
    floor_ = token.revision;
    return std::nullopt;
  }
  if (!may_miss || token.revision <= before->revision) return std::nullopt;
  return Gap{*before, token.revision, key_prefix_, false};
}

void SubscriptionState::Lose(std::string reason) {
  resync_ = event::Resync{std::move(reason)};
  token_.reset();
  told_.clear();
  told_of_.clear();
}

std::optional<event::Resync> SubscriptionState::TakeResync() {
  return has_begun() ? std::exchange(resync_, std::nullopt) : std::nullopt;
}

uint64_t SubscriptionState::ToldOf(const std::string& key) const {
  const auto found = told_of_.find(key);
  return found == told_of_.end() ? floor_ : found->second->second;
}

bool SubscriptionState::IsNew(const Event& change) const {
  const std::string* const key = KeyOf(change);
  return has_begun() && key != nullptr && VersionOf(change) > ToldOf(*key);
}

std::optional<SubscriptionState::Gap> SubscriptionState::GapBefore(const Event& change) const {
  const std::string& key = *KeyOf(change);
  const uint64_t told = ToldOf(key);
  if (PreviousVersionOf(change) <= told) return std::nullopt;
  return Gap{{token_->history, told}, VersionOf(change) - 1, key, true};
}

void SubscriptionState::Tell(const Event& change) {
  const std::string& key = *KeyOf(change);
  if (const auto known = told_of_.find(key); known != told_of_.end()) {
    told_.erase(known->second);
  }
  told_.emplace_back(key, VersionOf(change));
  told_of_[key] = std::prev(told_.end());
  if (told_.size() <= keys_max_) return;
  floor_ = told_.front().second;
  told_of_.erase(told_.front().first);
  told_.pop_front();
}

}  // namespace entrepot
