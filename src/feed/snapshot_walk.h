// The entries that were there when a watch began, told stripe by stripe while others write.
//
// Each stripe has an instant: the last revision that had been given when its entries were
// collected, below its lock. What the stripe's keys went through up to then is in the page, what
// came later is not. So a watcher that is told the changes up to the page's first instant, then the
// page, then the changes behind it, each key's from its stripe's instant on, misses nothing and
// hears nothing twice. It takes no index and no copy of the store.
//
// Thread safety: none; a walk belongs to its watch. The store outlives it.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include <absl/functional/function_ref.h>

#include "base/byte_buffer.h"
#include "feed/event.h"
#include "store/store.h"

namespace entrepot {

class SnapshotWalk {
 public:
  explicit SnapshotWalk(Store* store) : store_(*store) {}

  // Whether there is a page that was not told to its end.
  bool HasPage() const { return !instants_.empty(); }
  // Whether every stripe was read, and told.
  bool Done() const { return !HasPage() && next_stripe_ == store_.stripes(); }

  // Reads the next page, inside a turn of `participant`. Entries that are expired at `now_ms` are
  // left out. `last_revision` is that of the moment.
  void ReadPage(Epochs::Participant* participant, const EventFilter& filter, int64_t now_ms,
                absl::FunctionRef<uint64_t()> last_revision);
  // The instants of its first and of its last stripe.
  uint64_t page_begin() const { return instants_.front(); }
  uint64_t page_end() const { return instants_.back(); }

  // Moves up to `count` events of the page, and about `bytes_max`, to `out`; returns how many.
  uint32_t TakeEvents(uint64_t count, size_t bytes_max, ByteBuffer* out);
  bool AllTaken() const { return taken_ == ends_.size(); }
  // The changes up to page_end() were told.
  void EndPage();

  // Whether a change is part of what this walk has told or will tell.
  bool Covers(std::string_view key, uint64_t revision) const;

 private:
  Store& store_;
  uint32_t page_stripe_ = 0;  // The first one of the page.
  uint32_t next_stripe_ = 0;
  std::vector<uint64_t> instants_;  // Of the page's stripes.
  ByteBuffer events_;
  std::vector<size_t> ends_;  // Of each event in it.
  size_t taken_ = 0;
};

}  // namespace entrepot
