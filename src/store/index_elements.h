// The elements of an index tree, in order: a b-tree of two levels, wide leaves below one directory.
//
// Changes come in sorted runs (IndexTree::Apply), so most of them land in the leaf of the one
// before, and what is moved inside a leaf is a kilobyte or two that is in the cache already. A
// b-tree of small nodes searched and rebalanced several of them for each change: 2.5 times the
// time.
//
// The directory is an array too. With 100 M entries in 8 partitions it is 4 MB long, and growing it
// by one leaf costs 0.1 ms once in 64 insertions; until there it is far from what a write costs.
//
// Thread safety: none; belongs to whoever holds the lock of its partition.
//
// Invariants:
//  1. Leaves are in order, none is empty, and each entry of the directory repeats its leaf's first.
//  2. A leaf holds at most kLeafElements; one that shrinks to a quarter joins a neighbour that has
//     room for it.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "store/counting_allocator.h"
#include "store/entry.h"
#include "store/index_range.h"

namespace entrepot {

// An entry, with its head: 16 bytes that agree with the order inside its class (HeadOf()).
struct IndexElement {
  Head head;
  uint64_t class_and_entry;  // The class above kPointerBits, the pointer below.

  // User space ends below this on all platforms of Debian.
  static constexpr int kPointerBits = 48;

  OrderedValue::Class type() const {
    return static_cast<OrderedValue::Class>(class_and_entry >> kPointerBits);
  }
  Entry* entry() const {
    return reinterpret_cast<Entry*>(class_and_entry & ((uint64_t{1} << kPointerBits) - 1));
  }
};

// Whether `left` stands before `right`, whose heads and classes are the same.
bool IsBeforeByPlace(IndexOrder order, const IndexElement& left, const IndexElement& right);

inline bool IsBefore(IndexOrder order, const IndexElement& left, const IndexElement& right) {
  if (left.type() != right.type()) return left.type() < right.type();
  if (left.head != right.head) return left.head < right.head;
  if (left.class_and_entry == right.class_and_entry) return false;
  return IsBeforeByPlace(order, left, right);
}

// As far as that is known without reading the entries.
inline bool IsBeforeByHead(const IndexElement& left, const IndexElement& right) {
  return left.type() != right.type() ? left.type() < right.type() : left.head < right.head;
}

class IndexElements {
 public:
  // Counts its memory in `allocated_bytes`, which outlives it.
  IndexElements(IndexOrder order, std::atomic<size_t>* allocated_bytes);
  ~IndexElements();
  IndexElements(const IndexElements&) = delete;
  IndexElements& operator=(const IndexElements&) = delete;

  size_t size() const { return size_; }

  // Fills it, which is empty, with what is in order already.
  void Load(std::span<const IndexElement> elements);
  // Cheapest when called for elements whose heads rise. Nothing of its place is there.
  void Insert(const IndexElement& element);
  // The same. Exactly this element is there.
  void Erase(const IndexElement& element);

  // A hint to the processor that Insert() or Erase() will be called for an element of this head.
  void Prefetch(const IndexElement& element) const;

  // --- Positions; a change makes them invalid --------------------------------------------------

  struct Position {
    size_t leaf = 0;
    size_t offset = 0;
    bool operator==(const Position&) const = default;
  };

  Position Begin() const { return {}; }
  Position End() const { return {leaves_.size(), 0}; }
  const IndexElement& At(Position at) const { return leaves_[at.leaf].elements[at.offset]; }
  Position Next(Position at) const {
    return ++at.offset < leaves_[at.leaf].size ? at : Position{at.leaf + 1, 0};
  }
  Position Previous(Position at) const {
    return at.offset > 0 ? Position{at.leaf, at.offset - 1}
                         : Position{at.leaf - 1, leaves_[at.leaf - 1].size - 1};
  }
  // The first element that is not `before`, which holds for a beginning of them.
  template <typename Before>
  Position LowerBound(Before before) const {
    const auto behind = std::partition_point(leaves_.begin(), leaves_.end(),
                                             [&](const Leaf& leaf) { return before(leaf.first); });
    if (behind == leaves_.begin()) return Begin();
    const Leaf& leaf = *(behind - 1);
    const IndexElement* const at =
        std::partition_point(leaf.elements, leaf.elements + leaf.size, before);
    const size_t number = static_cast<size_t>(behind - leaves_.begin());
    const size_t offset = static_cast<size_t>(at - leaf.elements);
    return offset < leaf.size ? Position{number - 1, offset} : Position{number, 0};
  }

  // Gives the element another head, which does not change the order.
  void SetHead(Position at, Head head) {
    leaves_[at.leaf].elements[at.offset].head = head;
    if (at.offset == 0) leaves_[at.leaf].first.head = head;
  }

 private:
  struct Leaf {
    IndexElement first;
    IndexElement* elements;  // Room for kLeafElements.
    size_t size;
  };

  static constexpr size_t kLeafElements = 128;
  static constexpr size_t kLoadedElements = 120;  // By Load(): room for insertions is left.

  // The first leaf from `from` on that begins behind `element`; `begins_behind` says of one whether
  // it does. Those from `from` on that do not are expected to be few.
  template <typename BeginsBehind>
  size_t FindLeafBehind(size_t from, BeginsBehind begins_behind) const;
  // The number of the leaf in which `element` is, or belongs.
  size_t FindLeaf(const IndexElement& element);
  // Where `element` belongs in its leaf.
  size_t PlaceIn(const Leaf& leaf, const IndexElement& element) const;
  // Where it is, in the leaf that has it.
  size_t FindIn(const Leaf& leaf, const IndexElement& element) const;
  void AddLeaf(size_t number);
  void RemoveLeaf(size_t number);
  // Moves what stands behind `kept` elements of a leaf to a new one behind it.
  void Split(size_t number, size_t kept);
  // Appends the elements of the leaf behind `number` to it.
  void JoinNext(size_t number);

  const IndexOrder order_;
  size_t size_ = 0;
  size_t last_ = 0;  // The leaf that FindLeaf() found last, where it begins to look.
  CountingAllocator<IndexElement> allocator_;
  std::vector<Leaf, CountingAllocator<Leaf>> leaves_;
};

}  // namespace entrepot
