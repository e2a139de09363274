// How many connections there are, in all and from each address.
//
// Thread safety: all calls may come from any thread.
#pragma once

#include <string>
#include <unordered_map>

#include "base/mutex.h"
#include "base/status.h"
#include "zmtp/events.h"
#include "zmtp/limits.h"

namespace entrepot::zmtp {

class Addresses {
 public:
  explicit Addresses(const ZmtpLimits& limits) : limits_(limits) {}

  // Counts one more; or says which bound forbids it and counts nothing.
  Event Add(const std::string& address) EXCLUDES(mu_) {
    MutexLock lock(mu_);
    if (all_ >= limits_.connections) return Event::kConnectionsInAll;
    size_t& of_address = counts_[address];
    if (of_address >= limits_.connections_of_address) return Event::kConnectionsOfAddress;
    ++of_address;
    ++all_;
    return Event::kNone;
  }

  void Remove(const std::string& address) EXCLUDES(mu_) {
    MutexLock lock(mu_);
    const auto found = counts_.find(address);
    CHECK(found != counts_.end() && all_ > 0);
    --all_;
    if (--found->second == 0) counts_.erase(found);
  }

  size_t all() EXCLUDES(mu_) {
    MutexLock lock(mu_);
    return all_;
  }

 private:
  const ZmtpLimits& limits_;
  Mutex mu_;
  size_t all_ GUARDED_BY(mu_) = 0;
  std::unordered_map<std::string, size_t> counts_ GUARDED_BY(mu_);
};

}  // namespace entrepot::zmtp
