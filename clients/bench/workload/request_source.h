// One client's requests, one after the other, from its own seed.
//
// Three ways to choose keys: by the distribution; partitioned (--verify: a client's keys are its
// alone, so that it knows every answer beforehand); loading (each key of its part once, in order,
// then no more).
//
// Thread safety: none; it belongs to one client.
#pragma once

#include <cstdint>

#include "bench/workload/workload.h"

namespace entrepot::bench {

class RequestSource {
 public:
  enum class Keys : uint8_t { kShared, kPartitioned, kLoading, kLoadingWithIndex };

  // `client` of `clients` (counted over the whole run). `mix` is not used while loading. `workload`
  // and `mix` must live longer.
  RequestSource(Workload* workload, const Mix* mix, Keys keys, uint64_t client, uint64_t clients);

  // False when everything is loaded.
  bool Next(Request* request);

 private:
  bool NextToLoad(Request* request);
  uint64_t Partition(uint64_t key) const;

  Workload* workload_;
  const Mix* mix_;
  Keys keys_;
  uint64_t client_;
  uint64_t clients_;
  uint64_t load_next_;
  uint64_t load_end_;
  bool index_next_ = false;  // The entry of the last key loaded is still to be put into the index.
  Random random_;
};

}  // namespace entrepot::bench
