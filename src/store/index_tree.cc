#include "store/index_tree.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "base/status.h"

namespace entrepot {

namespace {

// Below this many entries it does not matter how often comparisons tie.
constexpr size_t kSharingSizeMin = 512;

// Entries are asked of memory this far ahead of their use.
constexpr size_t kPrefetchDistance = 12;
// As are leaves.
constexpr size_t kLeafDistance = 3;

// Entries are read from their header on; a value begins in the first or the second line.
void Prefetch(const Entry* entry) { __builtin_prefetch(entry); }

std::string_view CommonPrefix(std::string_view left, std::string_view right) {
  const size_t bytes = std::min(left.size(), right.size());
  return left.substr(0, static_cast<size_t>(
                            std::mismatch(left.begin(), left.begin() + bytes, right.begin()).first -
                            left.begin()));
}

bool IsText(const IndexPlace& place) { return place.value.type == OrderedValue::Class::kText; }

}  // namespace

bool IndexTree::IsBeforeProbe(const IndexElement& element, const Probe& probe) const {
  if (element.type() != probe.type) return element.type() < probe.type;
  if (probe.elements != Probe::kCompare) return probe.elements == Probe::kAllBefore;
  if (element.head != probe.head) return element.head < probe.head;
  return probe.position->IsBehind(*PlaceOf(order_, *element.entry()));
}

IndexTree::IndexTree(IndexOrder order, std::atomic<size_t>* allocated_bytes)
    : order_(order), size_when_shared_(0), elements_(order, allocated_bytes) {}

IndexElement IndexTree::ElementOf(const IndexPlace& place, Entry* entry) const {
  const uint64_t pointer = reinterpret_cast<uint64_t>(entry);
  DCHECK(pointer >> IndexElement::kPointerBits == 0);
  return {HeadOf(place.value, shared_.size()),
          static_cast<uint64_t>(place.value.type) << IndexElement::kPointerBits | pointer};
}

IndexTree::Probe IndexTree::ProbeOf(const IndexPosition& position) const {
  const OrderedValue value = position.value();
  Probe probe{value.type, Probe::kCompare, {}, &position};
  if (value.type == OrderedValue::Class::kText) {
    const int start = value.text.substr(0, shared_.size()).compare(shared_);
    if (start != 0) {
      probe.elements = start < 0 ? Probe::kAllBehind : Probe::kAllBefore;
      return probe;
    }
  }
  probe.head = HeadOf(value, shared_.size());
  return probe;
}

IndexElements::Position IndexTree::FirstText() const {
  return elements_.LowerBound(
      [](const IndexElement& element) { return element.type() < OrderedValue::Class::kText; });
}

void IndexTree::Load(std::span<Entry* const> entries) {
  CHECK(elements_.size() == 0);
  const auto for_each_place = [&](auto&& visit) {
    for (size_t i = 0; i < entries.size(); ++i) {
      if (i + kPrefetchDistance < entries.size()) Prefetch(entries[i + kPrefetchDistance]);
      if (const auto place = PlaceOf(order_, *entries[i])) visit(*place, entries[i]);
    }
  };
  std::optional<std::string_view> shared;
  size_t count = 0;
  for_each_place([&](const IndexPlace& place, Entry*) {
    ++count;
    if (!IsText(place)) return;
    shared = shared ? CommonPrefix(*shared, place.value.text) : place.value.text;
  });
  shared_ = shared.value_or("");

  std::vector<IndexElement> elements;
  elements.reserve(count);
  for_each_place(
      [&](const IndexPlace& place, Entry* entry) { elements.push_back(ElementOf(place, entry)); });
  std::sort(elements.begin(), elements.end(),
            [this](const IndexElement& left, const IndexElement& right) {
              return IsBefore(order_, left, right);
            });
  elements_.Load(elements);
  size_when_shared_ = count;
}

void IndexTree::Apply(std::span<const IndexChange> changes) {
  const Steps steps = StepsOf(changes);
  // One way through the tree. Of one place, what goes comes before what comes.
  auto erased = steps.erased.begin();
  for (size_t i = 0; i < steps.inserted.size(); ++i) {
    const IndexElement& inserted = steps.inserted[i];
    if (i + kLeafDistance < steps.inserted.size()) {
      elements_.Prefetch(steps.inserted[i + kLeafDistance]);
    }
    for (; erased != steps.erased.end() && !IsBeforeByHead(inserted, *erased); ++erased) {
      elements_.Erase(*erased);
    }
    elements_.Insert(inserted);
  }
  for (; erased != steps.erased.end(); ++erased) elements_.Erase(*erased);
  ShareMoreIfGrown();
}

IndexTree::Steps IndexTree::StepsOf(std::span<const IndexChange> changes) {
  Steps steps;
  steps.erased.reserve(changes.size());
  steps.inserted.reserve(changes.size());
  for (size_t i = 0; i < changes.size(); ++i) {
    if (i + kPrefetchDistance < changes.size()) {
      const IndexChange& ahead = changes[i + kPrefetchDistance];
      if (ahead.old_entry != nullptr) Prefetch(ahead.old_entry);
      if (ahead.new_entry != nullptr) Prefetch(ahead.new_entry);
    }
    const auto& [old_entry, new_entry] = changes[i];
    if (new_entry != nullptr) {
      if (const auto to = PlaceOf(order_, *new_entry)) {
        // Heads are of what follows what is shared, so with less of that all are made anew.
        if (Admit(*to)) return StepsOf(changes);
        steps.inserted.push_back(ElementOf(*to, new_entry));
      }
    }
    if (old_entry != nullptr) {
      if (const auto from = PlaceOf(order_, *old_entry)) {
        steps.erased.push_back(ElementOf(*from, old_entry));
      }
    }
  }
  std::sort(steps.erased.begin(), steps.erased.end(), IsBeforeByHead);
  std::sort(steps.inserted.begin(), steps.inserted.end(), IsBeforeByHead);
  return steps;
}

bool IndexTree::Admit(const IndexPlace& place) {
  if (!IsText(place) || place.value.text.starts_with(shared_)) return false;
  // At most half of what was shared is kept, so that values which each share a little less than the
  // one before cannot make every insertion pay for the whole tree.
  const size_t common = CommonPrefix(shared_, place.value.text).size();
  Share(shared_.substr(0, std::min(common, shared_.size() / 2)));
  return true;
}

void IndexTree::ShareMoreIfGrown() {
  if (elements_.size() < kSharingSizeMin || elements_.size() < 2 * size_when_shared_) return;
  size_when_shared_ = elements_.size();
  const IndexElements::Position first = FirstText();
  if (first == elements_.End()) return;
  // Texts are the last class and stand in order: what the first and the last share, all share.
  const IndexElement& last = elements_.At(elements_.Previous(elements_.End()));
  const IndexPlace lowest = *PlaceOf(order_, *elements_.At(first).entry());
  const IndexPlace highest = *PlaceOf(order_, *last.entry());
  const std::string_view common = CommonPrefix(lowest.value.text, highest.value.text);
  if (common.size() > shared_.size()) Share(std::string(common));
}

void IndexTree::Share(std::string shared) {
  shared_ = std::move(shared);
  IndexElements::Position ahead = FirstText();
  const auto prefetch_next = [&] {
    if (ahead == elements_.End()) return;
    Prefetch(elements_.At(ahead).entry());
    ahead = elements_.Next(ahead);
  };
  for (size_t i = 0; i < kPrefetchDistance; ++i) prefetch_next();
  for (auto at = FirstText(); at != elements_.End(); at = elements_.Next(at)) {
    const Entry& entry = *elements_.At(at).entry();
    elements_.SetHead(at, HeadOf(PlaceOf(order_, entry)->value, shared_.size()));
    prefetch_next();
  }
}

IndexTree::Walk IndexTree::Begin(const IndexRange& range, Direction direction) const {
  Walk walk(this, direction);
  const bool ascending = direction == Direction::kAscending;
  const std::optional<IndexPosition>& near = ascending ? range.begin : range.end;
  const std::optional<IndexPosition>& far = ascending ? range.end : range.begin;
  if (far) {
    walk.bounded_ = true;
    walk.far_end_ = ProbeOf(*far);
  }
  if (near) {
    const Probe probe = ProbeOf(*near);
    walk.at_ = elements_.LowerBound(
        [&](const IndexElement& element) { return IsBeforeProbe(element, probe); });
  } else {
    walk.at_ = ascending ? elements_.Begin() : elements_.End();
  }
  if (ascending) {
    walk.Arrive();
  } else {
    walk.Advance();
  }
  return walk;
}

bool IndexTree::Walk::InRange() const {
  if (!bounded_) return true;
  const bool before = tree_->IsBeforeProbe(element(), far_end_);
  return before == (direction_ == Direction::kAscending);
}

void IndexTree::Walk::Arrive() {
  valid_ = at_ != tree_->elements_.End() && InRange();
  if (valid_) Prefetch(element().entry());
}

void IndexTree::Walk::Advance() {
  if (direction_ == Direction::kAscending) {
    at_ = tree_->elements_.Next(at_);
  } else if (at_ == tree_->elements_.Begin()) {
    valid_ = false;
    return;
  } else {
    at_ = tree_->elements_.Previous(at_);
  }
  Arrive();
}

bool IndexTree::Walk::ComesBefore(const Walk& other) const {
  const bool ascending = direction_ == Direction::kAscending;
  const IndexElement& first = ascending ? element() : other.element();
  const IndexElement& second = ascending ? other.element() : element();
  if (first.type() != second.type()) return first.type() < second.type();
  // Heads of texts can be compared when the two trees skip the same bytes.
  if (first.type() != OrderedValue::Class::kText || tree_->shared_ == other.tree_->shared_) {
    if (first.head != second.head) return first.head < second.head;
  }
  return IsBeforeByPlace(tree_->order_, first, second);
}

}  // namespace entrepot
