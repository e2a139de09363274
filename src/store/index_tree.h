// An ordered set of entries: one partition's share of an ordered index, without its locks.
//
// 24 bytes an entry (store/index_elements.h): 16 that agree with the order (the head), and the
// pointer. Most comparisons are settled by the heads; only on a tie are the entries themselves
// read. Texts that all begin alike would tie always, so their heads begin behind what they share.
//
// Not a b-tree of whole values: that took three times the memory and no fewer cache misses.
//
// Thread safety: none; belongs to whoever holds the lock of its partition.
//
// Invariants:
//  1. Heads agree with the order: an entry before another never has the greater class, nor within
//     its class the greater head.
//  2. Every text in the tree begins with shared_; its head is of what follows.
//  3. At most one entry of a key is in the tree.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "store/entry.h"
#include "store/index_change.h"
#include "store/index_elements.h"
#include "store/index_range.h"

namespace entrepot {

class IndexTree {
 public:
  class Walk;

  // Counts its memory in `allocated_bytes`, which outlives it.
  IndexTree(IndexOrder order, std::atomic<size_t>* allocated_bytes);
  IndexTree(const IndexTree&) = delete;
  IndexTree& operator=(const IndexTree&) = delete;

  // Fills the empty tree with those of `entries` that have a place, in any order, each key once.
  void Load(std::span<Entry* const> entries);

  // `changes` are folded (FoldChanges). An old entry that has a place is in the tree.
  void Apply(std::span<const IndexChange> changes);

  // Begins at the end of `range` that `direction` comes from. The walk is valid until the tree
  // changes, and as long as `range` lives.
  Walk Begin(const IndexRange& range, Direction direction) const;

  size_t size() const { return elements_.size(); }

  // How many bytes all texts share, of which the heads show nothing; for tests.
  size_t shared_bytes() const { return shared_.size(); }

 private:
  // A position, prepared for comparison with the elements of one tree.
  struct Probe {
    OrderedValue::Class type;
    // Where all elements of that class stand to it, if that is known.
    enum { kCompare, kAllBefore, kAllBehind } elements;
    Head head;
    const IndexPosition* position;
  };

  bool IsBeforeProbe(const IndexElement& element, const Probe& probe) const;
  IndexElement ElementOf(const IndexPlace& place, Entry* entry) const;
  Probe ProbeOf(const IndexPosition& position) const;
  // The first text; the end if there is none.
  IndexElements::Position FirstText() const;
  // What `changes` take out and bring, with heads that rise.
  struct Steps {
    std::vector<IndexElement> erased;
    std::vector<IndexElement> inserted;
  };
  Steps StepsOf(std::span<const IndexChange> changes);
  // Gives up some of what is shared when `place` is a text that does not begin with it; whether it
  // was so.
  bool Admit(const IndexPlace& place);
  // Looks for more to share each time the tree has doubled.
  void ShareMoreIfGrown();
  // Sets shared_, and with it the heads of all texts.
  void Share(std::string shared);

  const IndexOrder order_;
  std::string shared_;
  size_t size_when_shared_;  // size() when ShareMoreIfGrown() last looked.
  IndexElements elements_;
};

// A walk through the part of a tree that is in a range, one way.
class IndexTree::Walk {
 public:
  // False when the range has been walked through; then only Done() may be called.
  bool Done() const { return !valid_; }
  const Entry& entry() const { return *element().entry(); }
  void Advance();
  // Whether this walk's entry is to be visited before the other's, of another tree.
  bool ComesBefore(const Walk& other) const;

 private:
  friend class IndexTree;
  Walk(const IndexTree* tree, Direction direction) : tree_(tree), direction_(direction) {}
  const IndexElement& element() const { return tree_->elements_.At(at_); }
  // Whether the element is within the end of the range that the walk goes to.
  bool InRange() const;
  // Called when the walk has come to an element.
  void Arrive();

  const IndexTree* tree_;
  Direction direction_;
  bool valid_ = false;
  bool bounded_ = false;  // Whether far_end_ means anything.
  Probe far_end_;
  IndexElements::Position at_;
};

}  // namespace entrepot
