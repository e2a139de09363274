#include "bench/workload/request_source.h"

namespace entrepot::bench {

RequestSource::RequestSource(Workload* workload, const Mix* mix, Keys keys, uint64_t client,
                             uint64_t clients)
    : workload_(workload),
      mix_(mix),
      keys_(keys),
      client_(client),
      clients_(clients),
      load_next_(workload->options().keys * client / clients),
      load_end_(workload->options().keys * (client + 1) / clients),
      random_(workload->options().seed ^ Scatter(client)) {}

bool RequestSource::Next(Request* request) {
  if (keys_ == Keys::kLoading || keys_ == Keys::kLoadingWithIndex) return NextToLoad(request);
  request->kind = mix_->Draw(&random_);
  switch (request->kind) {
    case Kind::kPing:
      return true;
    case Kind::kInsert:
      request->key = workload_->InsertKey();
      break;
    default:
      request->key = workload_->DrawKey(&random_);
      if (keys_ == Keys::kPartitioned) request->key = Partition(request->key);
  }
  if (request->kind == Kind::kSet || request->kind == Kind::kInsert) {
    request->nonce = random_.Next();
    request->value_bytes = workload_->ValueBytes(request->nonce);
  }
  return true;
}

bool RequestSource::NextToLoad(Request* request) {
  if (index_next_) {
    request->kind = Kind::kIndexAdd;
    request->key = load_next_ - 1;
    index_next_ = false;
  } else {
    if (load_next_ == load_end_) return false;
    request->kind = Kind::kSet;
    request->key = load_next_++;
    index_next_ = keys_ == Keys::kLoadingWithIndex;
  }
  request->nonce = workload_->LoadNonce(request->key);
  request->value_bytes = workload_->ValueBytes(request->nonce);
  return true;
}

// The key of this client that stands nearest at or below `key`; there is one, because a run has at
// least as many keys as clients.
uint64_t RequestSource::Partition(uint64_t key) const {
  const uint64_t mine = key - key % clients_ + client_;
  return mine < workload_->options().keys ? mine : mine - clients_;
}

}  // namespace entrepot::bench
