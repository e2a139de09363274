// The entries that were there when a watch began, told in the order of their keys' hashes while
// others write. Stripes of the store follow that order too, so the whole position is one hash: it
// takes no index and no copy of the store, and what was not told can be forgotten and read again.
//
// A page holds what some stripes have, and for each the instant at which that was so: the last
// revision that had been given when its entries were collected, below its lock. What the stripe's
// keys went through up to then is in the page, what came later is not. So a watcher that is told
// the changes up to the page's first instant, then the page, then the changes behind it, each key's
// from its stripe's instant on, misses nothing and hears nothing twice.
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
  // Whether all hashes were read, and told.
  bool Done() const { return !HasPage() && at_end_; }

  // Reads the next page, of about kFeedSliceBytes, inside a turn of `participant`. Entries that are
  // expired at `now_ms` are left out. `last_revision` is that of the moment.
  void ReadPage(Epochs::Participant* participant, const EventFilter& filter, int64_t now_ms,
                absl::FunctionRef<uint64_t()> last_revision);
  // The instants of its first and of its last stripe.
  uint64_t page_begin() const { return instants_.front(); }
  uint64_t page_end() const { return instants_.back(); }
  // Memory of its events.
  size_t page_bytes() const { return events_.size(); }

  // Moves up to `count` events of the page, and about `bytes_max`, to `out`; returns how many. Keys
  // of the same hash, if there ever are two, are not parted.
  uint32_t TakeEvents(uint64_t count, size_t bytes_max, ByteBuffer* out);
  bool AllTaken() const { return taken_ == page_.size(); }
  // Ends the page before its first event that was not taken: a later page has that again.
  void Cut();
  // The changes up to page_end() were told.
  void EndPage();

  // Whether a change is part of what this walk has told or will tell.
  bool Covers(std::string_view key, uint64_t revision) const;

 private:
  struct PageEvent {
    uint64_t hash;
    size_t end;  // In events_.
  };

  // Adds what the stripe has from first_hash_ on; false: the page ends within it.
  bool AddStripe(uint32_t stripe, std::vector<const Entry*>* entries, const EventFilter& filter,
                 int64_t now_ms);
  void ForgetEvents();

  Store& store_;
  uint64_t next_hash_ = 0;  // Lower ones were told, or are in the page.
  bool at_end_ = false;     // There are no hashes behind it.
  // Of the page:
  uint64_t first_hash_ = 0;
  std::vector<uint64_t> instants_;  // One for each stripe, from that of first_hash_ on.
  ByteBuffer events_;
  std::vector<PageEvent> page_;
  size_t taken_ = 0;
};

}  // namespace entrepot
