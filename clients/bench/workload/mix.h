// Which kinds of requests a client sends, and in which proportion.
//
// Thread safety: a Mix is constant once it is parsed.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"
#include "bench/workload/random.h"

namespace entrepot::bench {

enum class Kind : uint8_t {
  kGet,
  kSet,
  kFind,
  kDelete,
  kIncrement,
  kInsert,  // A set of a key that does not exist yet.
  kPing,
  kScan,      // The keys that share all but the last digit.
  kIndexAdd,  // While loading only: the entry of an index that the client itself must keep (Redis).
};
inline constexpr size_t kKinds = 9;

// "get", "set" …
std::string_view KindName(Kind kind);

class Mix {
 public:
  // Everything of one kind.
  explicit Mix(Kind kind = Kind::kGet);

  // "get=80,set=20", or one of "ycsb-a" (50 % get, 50 % set), "ycsb-b" (95/5), "ycsb-c" (get only).
  // The shares are relative to their sum. kInvalidArgument names what is wrong.
  static Result<Mix> Parse(std::string_view text);

  Kind Draw(Random* random) const {
    if (only_one_) return only_;
    const uint32_t point = static_cast<uint32_t>(random->Next() >> 32);
    size_t kind = 0;
    while (point > limits_[kind]) ++kind;
    return static_cast<Kind>(kind);
  }

  bool Has(Kind kind) const { return shares_[static_cast<size_t>(kind)] > 0; }

  // Whether a request of this mix needs entries that have been loaded before.
  bool NeedsEntries() const;

  // In the form that Parse() reads.
  std::string ToString() const;

 private:
  void Prepare();

  std::array<double, kKinds> shares_{};
  std::array<uint32_t, kKinds> limits_{};  // Upper end of each kind's part of [0, 2^32).
  bool only_one_ = true;
  Kind only_ = Kind::kGet;
};

}  // namespace entrepot::bench
