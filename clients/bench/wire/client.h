// One client of a run: the batches it waits for, and what came back.
//
// A batch is what goes out in one piece and is measured as one: the requests of one Entrepôt body,
// or as many Redis commands sent together. A client has a fixed number of slots, a batch takes one.
// Protocols that name what they answer look a slot up by the id of the request; those that answer
// in order ask for the oldest.
//
// It knows neither sockets nor clocks: a driver (run/) moves its bytes and tells it the time.
//
// Thread safety: none; it belongs to one driver's thread.
//
// Invariants:
//  1. A slot is open from StartBatch() until its last reply, and is reported in finished() once.
//  2. The id of request i of the batch in slot s is s * requests_per_batch + i.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "bench/wire/buffer.h"
#include "bench/wire/reply.h"
#include "bench/workload/request_source.h"
#include "bench/workload/verifier.h"

namespace entrepot::bench {

class Codec;

struct Batch {
  uint64_t started_ns = 0;  // When it was sent (closed loop) or should have been (open loop).
  uint32_t requests = 0;
  uint32_t replies = 0;
  uint32_t errors = 0;
  uint32_t misses = 0;  // Reads of an entry that is not there.
  uint32_t wrong = 0;   // Answers that contradict the model.
  bool open = false;
  Kind kind = Kind::kGet;  // Of all requests, unless `mixed`.
  bool mixed = false;
  std::array<uint32_t, kKinds> by_kind{};  // Requests of each kind, if `mixed`.
  std::vector<Expectation> expectations;   // One a request, under --verify.
};

// What the clients of one thread tell beyond counts; shared by them.
struct Findings {
  static constexpr size_t kWrongAnswersMax = 10;        // Descriptions kept.
  static constexpr size_t kErrorNamesMax = 64;          // Different errors told apart.
  std::map<std::string, uint64_t, std::less<>> errors;  // By code.
  std::vector<std::string> wrong_answers;

  void CountError(std::string_view name);
  void Merge(const Findings& other);
};

class Client {
 public:
  // `slots` batches may wait at once. `verifier` may be null. `codec` and `findings` must live
  // longer.
  Client(RequestSource source, const Codec* codec, uint32_t slots, uint32_t requests_per_batch,
         std::unique_ptr<Verifier> verifier, Findings* findings);

  // ---- for drivers

  bool has_room() const { return open_ < slots_.size(); }
  bool idle() const { return open_ == 0; }
  uint32_t open_batches() const { return open_; }

  // Appends the next batch to `out`. False when the source has no more requests. Requires
  // has_room().
  bool StartBatch(uint64_t started_ns, std::vector<Request>* scratch, Buffer* out);

  // The same, but its answers are not waited for: for a client that does not parse them.
  void EncodeUntracked(std::vector<Request>* scratch, Buffer* out);

  // The batches that were answered since the last ClearFinished().
  const std::vector<uint32_t>& finished() const { return finished_; }
  const Batch& batch(uint32_t slot) const { return slots_[slot]; }
  void ClearFinished() { finished_.clear(); }

  // What the codec wants to send besides batches (a heartbeat's answer); the driver empties it.
  std::string& control() { return control_; }

  // Calls `visit(batch)` for each batch that waits.
  template <typename Visit>
  void ForEachOpen(Visit visit) const {
    for (const Batch& batch : slots_) {
      if (batch.open) visit(batch);
    }
  }

  // Forgets what it waits for: its connection is gone.
  void Abandon();

  // ---- for codecs

  uint32_t requests_per_batch() const { return requests_per_batch_; }
  bool verifying() const { return verifier_ != nullptr; }
  const Codec* codec() const { return codec_; }

  // The batch that request `id` belongs to, or null when nothing of that id waits.
  Batch* FindById(uint64_t id) {
    const uint64_t slot = id / requests_per_batch_;
    return slot < slots_.size() && slots_[slot].open ? &slots_[slot] : nullptr;
  }

  // The batch that was sent first, or null when nothing waits. Only for protocols that answer in
  // order: then slots come free in the order in which they were taken.
  Batch* Oldest() { return open_ > 0 && slots_[oldest_].open ? &slots_[oldest_] : nullptr; }

  // The kind of the next reply of `batch`; only under --verify or where a batch is not mixed.
  Kind NextKind(const Batch& batch) const {
    return verifying() ? batch.expectations[batch.replies].kind : batch.kind;
  }

  // Takes the next reply of `batch`; the last one finishes it.
  void TakeReply(Batch* batch, const Reply& reply) {
    if (reply.outcome == Outcome::kError) {
      ++batch->errors;
      findings_->CountError(reply.error);
    } else if (reply.outcome == Outcome::kNotFound) {
      ++batch->misses;
    }
    if (verifying()) Verify(batch, reply);
    if (++batch->replies == batch->requests) Finish(batch);
  }

  // Takes all replies of a batch at once, unseen (an echo).
  void TakeAll(Batch* batch) {
    batch->replies = batch->requests;
    Finish(batch);
  }

 private:
  void Verify(Batch* batch, const Reply& reply);
  void Finish(Batch* batch);

  // Constant after construction.
  const Codec* codec_;
  uint32_t requests_per_batch_;
  Findings* findings_;

  RequestSource source_;
  std::unique_ptr<Verifier> verifier_;
  std::vector<Batch> slots_;
  std::vector<uint32_t> free_;  // A ring: slots are taken in the order in which they came free.
  uint32_t free_first_ = 0;
  uint32_t open_ = 0;
  uint32_t oldest_ = 0;
  std::vector<uint32_t> finished_;
  std::string control_;
};

}  // namespace entrepot::bench
