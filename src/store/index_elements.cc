#include "store/index_elements.h"

#include <cstring>

#include "base/status.h"

namespace entrepot {

namespace {
// Elements of one head that are looked at before their order is asked for.
constexpr ptrdiff_t kPrefetchedTies = 16;
}  // namespace

bool IsBeforeByPlace(IndexOrder order, const IndexElement& left, const IndexElement& right) {
  return ComparePlaces(*PlaceOf(order, *left.entry()), *PlaceOf(order, *right.entry())) < 0;
}

IndexElements::IndexElements(IndexOrder order, std::atomic<size_t>* allocated_bytes)
    : order_(order),
      allocator_(allocated_bytes),
      leaves_(CountingAllocator<Leaf>(allocated_bytes)) {}

IndexElements::~IndexElements() {
  for (const Leaf& leaf : leaves_) allocator_.deallocate(leaf.elements, kLeafElements);
}

void IndexElements::Load(std::span<const IndexElement> elements) {
  CHECK(leaves_.empty());
  leaves_.reserve(elements.size() / kLoadedElements + 1);
  while (!elements.empty()) {
    const size_t count = std::min(elements.size(), kLoadedElements);
    AddLeaf(leaves_.size());
    Leaf& leaf = leaves_.back();
    std::copy_n(elements.begin(), count, leaf.elements);
    leaf.first = leaf.elements[0];
    leaf.size = count;
    size_ += count;
    elements = elements.subspan(count);
  }
}

void IndexElements::Insert(const IndexElement& element) {
  if (leaves_.empty()) {
    AddLeaf(0);
    leaves_[0].first = element;
  }
  size_t number = FindLeaf(element);
  size_t offset = PlaceIn(leaves_[number], element);
  if (leaves_[number].size == kLeafElements) {
    // Elements that come in order, rising or falling, leave full leaves behind.
    const bool at_an_end = offset == 0 || offset == kLeafElements;
    const size_t kept = at_an_end ? offset : kLeafElements / 2;
    Split(number, kept);
    if (offset > kept || kept == kLeafElements) {
      ++number;
      offset -= kept;
    }
  }
  Leaf& leaf = leaves_[number];
  IndexElement* const at = leaf.elements + offset;
  DCHECK(offset == leaf.size || IsBefore(order_, element, *at));
  std::memmove(at + 1, at, (leaf.size - offset) * sizeof(IndexElement));
  *at = element;
  leaf.first = leaf.elements[0];
  ++leaf.size;
  ++size_;
  last_ = number;
}

void IndexElements::Erase(const IndexElement& element) {
  CHECK(!leaves_.empty());
  const size_t number = FindLeaf(element);
  Leaf& leaf = leaves_[number];
  const size_t offset = FindIn(leaf, element);
  IndexElement* const at = leaf.elements + offset;
  CHECK(offset < leaf.size && at->class_and_entry == element.class_and_entry);
  std::memmove(at, at + 1, (leaf.size - offset - 1) * sizeof(IndexElement));
  leaf.first = leaf.elements[0];
  --leaf.size;
  --size_;
  last_ = number;
  if (leaf.size == 0) return RemoveLeaf(number);
  if (leaf.size > kLeafElements / 4) return;
  constexpr size_t kJoinedMax = kLeafElements * 3 / 4;
  if (number + 1 < leaves_.size() && leaf.size + leaves_[number + 1].size <= kJoinedMax) {
    JoinNext(number);
  } else if (number > 0 && leaf.size + leaves_[number - 1].size <= kJoinedMax) {
    JoinNext(number - 1);
  }
}

template <typename BeginsBehind>
size_t IndexElements::FindLeafBehind(size_t from, BeginsBehind begins_behind) const {
  // The distance is doubled until it is too far.
  size_t low = from;
  size_t high = from;
  for (size_t step = 1; high < leaves_.size() && !begins_behind(leaves_[high]); step *= 2) {
    low = high + 1;
    high += step;
  }
  high = std::min(high, leaves_.size());
  const auto at = std::partition_point(leaves_.begin() + static_cast<ptrdiff_t>(low),
                                       leaves_.begin() + static_cast<ptrdiff_t>(high),
                                       [&](const Leaf& leaf) { return !begins_behind(leaf); });
  return static_cast<size_t>(at - leaves_.begin());
}

size_t IndexElements::FindLeaf(const IndexElement& element) {
  const auto begins_behind = [&](const Leaf& leaf) {
    return IsBefore(order_, element, leaf.first);
  };
  const bool go_on = last_ < leaves_.size() && !begins_behind(leaves_[last_]);
  return std::max(FindLeafBehind(go_on ? last_ + 1 : 1, begins_behind), size_t{1}) - 1;
}

void IndexElements::Prefetch(const IndexElement& element) const {
  if (last_ >= leaves_.size()) return;
  const size_t behind = FindLeafBehind(
      last_ + 1, [&](const Leaf& leaf) { return IsBeforeByHead(element, leaf.first); });
  // What a binary search of the leaf reads first.
  const Leaf& leaf = leaves_[behind - 1];
  for (const size_t quarter : {2, 1, 3})
    __builtin_prefetch(leaf.elements + leaf.size * quarter / 4);
}

size_t IndexElements::PlaceIn(const Leaf& leaf, const IndexElement& element) const {
  const IndexElement* const begin = leaf.elements;
  const auto [first, last] = std::equal_range(begin, begin + leaf.size, element, IsBeforeByHead);
  // Entries of the same head are asked of memory together, not one after the other.
  for (const IndexElement* at = first; at != last && at - first < kPrefetchedTies; ++at) {
    __builtin_prefetch(at->entry());
  }
  const IndexElement* const at = std::partition_point(
      first, last, [&](const IndexElement& other) { return IsBefore(order_, other, element); });
  return static_cast<size_t>(at - begin);
}

size_t IndexElements::FindIn(const Leaf& leaf, const IndexElement& element) const {
  const IndexElement* const begin = leaf.elements;
  const IndexElement* const end = begin + leaf.size;
  const IndexElement* at = std::lower_bound(begin, end, element, IsBeforeByHead);
  // It is known by its pointer: as long as few have its head, none of their entries is read.
  for (ptrdiff_t i = 0; i < kPrefetchedTies && at != end; ++i, ++at) {
    if (at->class_and_entry == element.class_and_entry) {
      return static_cast<size_t>(at - begin);
    }
  }
  return PlaceIn(leaf, element);
}

void IndexElements::AddLeaf(size_t number) {
  leaves_.insert(leaves_.begin() + static_cast<ptrdiff_t>(number),
                 Leaf{{}, allocator_.allocate(kLeafElements), 0});
}

void IndexElements::RemoveLeaf(size_t number) {
  allocator_.deallocate(leaves_[number].elements, kLeafElements);
  leaves_.erase(leaves_.begin() + static_cast<ptrdiff_t>(number));
}

void IndexElements::Split(size_t number, size_t kept) {
  AddLeaf(number + 1);
  Leaf& leaf = leaves_[number];
  Leaf& next = leaves_[number + 1];
  next.size = leaf.size - kept;
  std::copy_n(leaf.elements + kept, next.size, next.elements);
  if (next.size > 0) next.first = next.elements[0];
  leaf.size = kept;
}

void IndexElements::JoinNext(size_t number) {
  Leaf& leaf = leaves_[number];
  const Leaf& next = leaves_[number + 1];
  std::copy_n(next.elements, next.size, leaf.elements + leaf.size);
  leaf.size += next.size;
  RemoveLeaf(number + 1);
}

}  // namespace entrepot
