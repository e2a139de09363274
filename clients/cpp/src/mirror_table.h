// MirrorTable: the entries that a mirror shows, and those of a snapshot that is still coming.
//
// Thread safety: none.
//
// Invariant: entries() is the store at one instant, once is_whole().

#pragma once

#include <map>
#include <string>
#include <vector>

#include "entrepot/event.h"
#include "entrepot/mirror.h"
#include "watch_state.h"

namespace entrepot {

class MirrorTable {
 public:
  using Entries = std::map<std::string, Entry>;

  // Whether a first snapshot has come to its end.
  bool is_whole() const { return is_whole_; }
  const Entries& entries() const { return shown_; }

  // Takes in what belongs together; gives what has changed of entries(), in order.
  std::vector<Difference> Apply(const WatchBatch& batch);

 private:
  void Apply(const Event& event, Entries* entries, std::vector<Difference>* differences);
  // The snapshot is whole: it is what is shown.
  void Show(std::vector<Difference>* differences);

  bool is_whole_ = false;
  bool takes_snapshot_ = true;
  Entries shown_;
  Entries coming_;
};

}  // namespace entrepot
