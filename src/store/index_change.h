// Changes on their way into an ordered index, and how a run of them is folded.
//
// Entries name themselves: the next change of a key has as its old entry what the change before had
// as its new one. So a run is folded by pointers, and no key is compared.
//
// Thread safety: values.
#pragma once

#include <vector>

#include "store/counting_allocator.h"
#include "store/entry.h"

namespace entrepot {

// One entry took the place of another. Not both are null.
struct IndexChange {
  Entry* old_entry;  // Null: there was none. Holds a pin of this index.
  Entry* new_entry;  // Null: there is none any more.
};

using IndexChanges = std::vector<IndexChange, CountingAllocator<IndexChange>>;

// Replaces the changes of each key that follow one another by one, from the first old entry to the
// last new one. What came and went in between is appended to `forgotten`; each of those holds a
// pin.
//
// `changes` are in the order in which they happened. Afterwards a key has at most two: one that
// takes its entry away and one that brings a new one, so whoever applies all removals first may
// apply the rest in any order.
void FoldChanges(IndexChanges* changes, std::vector<Entry*>* forgotten);

}  // namespace entrepot
