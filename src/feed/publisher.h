// What subscribers of the PUB endpoint are told: every change that passed the gate, as the frames
//
//    publication := key event                 event as in feed/event.h, without a query
//    heartbeat   := "$heartbeat" {history, version}
//
// It is best effort, as PUB is: a publisher that was overtaken by the ring goes on at its end. It
// knows no socket: whoever owns it calls Advance() as long as the publications can leave.
//
// Thread safety: none; belongs to one thread. The ring outlives it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/byte_buffer.h"
#include "feed/ring.h"

namespace entrepot {

// Messages of two frames, one behind the other.
class Publications {
 public:
  // Appends one; `event` packs its second frame.
  template <typename Pack>
  void Add(std::string_view key, Pack event) {
    bytes_.Append(key);
    const size_t begin = bytes_.size();
    event(&bytes_);
    sizes_.push_back(
        {static_cast<uint32_t>(key.size()), static_cast<uint32_t>(bytes_.size() - begin)});
  }

  bool empty() const { return sizes_.empty(); }
  // Of all frames.
  size_t bytes() const { return bytes_.size(); }
  size_t count() const { return sizes_.size(); }

  // Calls visit(key, event) for each, in order.
  template <typename Visit>
  void ForEach(Visit visit) const {
    std::string_view rest = bytes_.view();
    for (const Sizes& sizes : sizes_) {
      visit(rest.substr(0, sizes.key), rest.substr(sizes.key, sizes.event));
      rest.remove_prefix(size_t{sizes.key} + sizes.event);
    }
  }

 private:
  struct Sizes {
    uint32_t key;
    uint32_t event;
  };
  ByteBuffer bytes_;
  std::vector<Sizes> sizes_;
};

class Publisher {
 public:
  explicit Publisher(const Ring* ring) : ring_(*ring), cursor_(0) {}

  // From now on; changes up to `revision` are not told.
  void Begin(uint64_t revision) { cursor_ = Ring::Cursor(revision); }

  // Appends what comes next, about kFeedSliceBytes of it; true when there may be more.
  bool Advance(Publications* publications);
  // Appends the message that comes every second.
  void AddHeartbeat(std::string_view history, Publications* publications) const;

  // Changes that were never told because the ring had forgotten them.
  uint64_t skipped() const { return skipped_; }

 private:
  const Ring& ring_;
  Ring::Cursor cursor_;
  uint64_t skipped_ = 0;
};

}  // namespace entrepot
