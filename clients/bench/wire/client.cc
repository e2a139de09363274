#include "bench/wire/client.h"

#include <algorithm>
#include <utility>

#include "bench/wire/codec.h"

namespace entrepot::bench {

void Findings::CountError(std::string_view name) {
  const auto found = errors.find(name);
  if (found != errors.end()) {
    ++found->second;
  } else if (errors.size() < kErrorNamesMax) {
    errors.emplace(name, 1);
  } else {
    ++errors["other"];
  }
}

void Findings::Merge(const Findings& other) {
  for (const auto& [name, count] : other.errors) errors[name] += count;
  for (const std::string& text : other.wrong_answers) {
    if (wrong_answers.size() < kWrongAnswersMax) wrong_answers.push_back(text);
  }
}

Client::Client(RequestSource source, const Codec* codec, uint32_t slots,
               uint32_t requests_per_batch, std::unique_ptr<Verifier> verifier, Findings* findings)
    : codec_(codec),
      requests_per_batch_(requests_per_batch),
      findings_(findings),
      source_(source),
      verifier_(std::move(verifier)),
      slots_(slots),
      free_(slots) {
  for (uint32_t slot = 0; slot < slots; ++slot) free_[slot] = slot;
}

bool Client::StartBatch(uint64_t started_ns, std::vector<Request>* scratch, Buffer* out) {
  DCHECK(has_room());
  scratch->resize(requests_per_batch_);
  uint32_t count = 0;
  while (count < requests_per_batch_ && source_.Next(&(*scratch)[count])) ++count;
  if (count == 0) return false;
  const std::span<const Request> requests(scratch->data(), count);

  const uint32_t slot = free_[free_first_];
  free_first_ = free_first_ + 1 == free_.size() ? 0 : free_first_ + 1;
  if (open_++ == 0) oldest_ = slot;

  Batch& batch = slots_[slot];
  batch.started_ns = started_ns;
  batch.requests = count;
  batch.replies = batch.errors = batch.misses = batch.wrong = 0;
  batch.open = true;
  batch.kind = requests[0].kind;
  batch.mixed = false;
  for (const Request& request : requests) batch.mixed = batch.mixed || request.kind != batch.kind;
  if (batch.mixed) {
    batch.by_kind = {};
    for (const Request& request : requests) ++batch.by_kind[static_cast<size_t>(request.kind)];
  }
  if (verifying()) {
    batch.expectations.clear();
    for (const Request& request : requests) {
      batch.expectations.push_back(verifier_->Expect(request));
    }
  }
  codec_->Encode(requests, slot * requests_per_batch_, out);
  return true;
}

void Client::EncodeUntracked(std::vector<Request>* scratch, Buffer* out) {
  scratch->resize(requests_per_batch_);
  for (Request& request : *scratch) source_.Next(&request);
  codec_->Encode(*scratch, 0, out);
}

void Client::Verify(Batch* batch, const Reply& reply) {
  std::optional<std::string> problem = verifier_->Check(batch->expectations[batch->replies], reply);
  if (!problem) return;
  ++batch->wrong;
  if (findings_->wrong_answers.size() < Findings::kWrongAnswersMax) {
    findings_->wrong_answers.push_back(std::move(*problem));
  }
}

void Client::Finish(Batch* batch) {
  const uint32_t slot = static_cast<uint32_t>(batch - slots_.data());
  batch->open = false;
  uint32_t last = free_first_ + static_cast<uint32_t>(free_.size()) - open_;
  if (last >= free_.size()) last -= static_cast<uint32_t>(free_.size());
  free_[last] = slot;
  --open_;
  oldest_ = oldest_ + 1 == slots_.size() ? 0 : oldest_ + 1;
  finished_.push_back(slot);
}

void Client::Abandon() {
  for (Batch& batch : slots_) batch.open = false;
  for (uint32_t slot = 0; slot < free_.size(); ++slot) free_[slot] = slot;
  free_first_ = open_ = oldest_ = 0;
  finished_.clear();
  control_.clear();
}

}  // namespace entrepot::bench
