#include "zmtp/subscriptions.h"

#include <algorithm>

#include "base/status.h"

namespace entrepot::zmtp {

void SubscriptionIndex::Add(Subscriber* subscriber, std::string_view prefix) {
  auto found = subscribers_.find(prefix);
  if (found == subscribers_.end()) {
    found = subscribers_.emplace(prefix, std::vector<Subscriber*>()).first;
  }
  ++subscriber->subscriptions_;
  if (++subscriber->prefixes_[found->first] != 1) return;
  subscriber->held_bytes_ += prefix.size() + Subscriber::kPrefixOverheadBytes;
  found->second.push_back(subscriber);
}

void SubscriptionIndex::Remove(Subscriber* subscriber, std::string_view prefix) {
  const auto own = subscriber->prefixes_.find(prefix);
  if (own == subscriber->prefixes_.end()) return;
  --subscriber->subscriptions_;
  if (--own->second != 0) return;
  subscriber->held_bytes_ -= prefix.size() + Subscriber::kPrefixOverheadBytes;
  subscriber->prefixes_.erase(own);
  RemoveFrom(subscribers_.find(prefix), subscriber);
}

void SubscriptionIndex::RemoveAll(Subscriber* subscriber) {
  while (!subscriber->prefixes_.empty()) {
    const auto own = subscriber->prefixes_.begin();
    const auto shared = subscribers_.find(own->first);
    subscriber->prefixes_.erase(own);
    RemoveFrom(shared, subscriber);
  }
  subscriber->subscriptions_ = 0;
  subscriber->held_bytes_ = 0;
}

void SubscriptionIndex::RemoveFrom(Prefixes::iterator prefix, Subscriber* subscriber) {
  CHECK(prefix != subscribers_.end());
  std::vector<Subscriber*>& all = prefix->second;
  const auto at = std::find(all.begin(), all.end(), subscriber);
  CHECK(at != all.end());
  *at = all.back();
  all.pop_back();
  if (all.empty()) subscribers_.erase(prefix);
}

size_t SubscriptionIndex::CommonPrefix(std::string_view a, std::string_view b) {
  const size_t shorter = std::min(a.size(), b.size());
  return static_cast<size_t>(std::mismatch(a.begin(), a.begin() + shorter, b.begin()).first -
                             a.begin());
}

}  // namespace entrepot::zmtp
