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

bool IndexTree::BeforeInOrder(IndexOrder order, const Element& left, const Element& right) {
  return ComparePlaces(*PlaceOf(order, *left.entry()), *PlaceOf(order, *right.entry())) < 0;
}

bool IndexTree::Before::operator()(const Element& left, const Element& right) const {
  if (left.type() != right.type()) return left.type() < right.type();
  if (left.head != right.head) return left.head < right.head;
  if (left.class_and_entry == right.class_and_entry) return false;
  return BeforeInOrder(order, left, right);
}

bool IndexTree::Before::operator()(const Element& left, const Probe& right) const {
  if (left.type() != right.type) return left.type() < right.type;
  if (right.elements != Probe::kCompare) return right.elements == Probe::kAllBefore;
  if (left.head != right.head) return left.head < right.head;
  return right.position->IsBehind(*PlaceOf(order, *left.entry()));
}

IndexTree::IndexTree(IndexOrder order, std::atomic<size_t>* allocated_bytes)
    : order_(order),
      size_when_shared_(0),
      elements_(Before{order}, CountingAllocator<Element>(allocated_bytes)) {}

IndexTree::Element IndexTree::ElementOf(const IndexPlace& place, Entry* entry) const {
  const uint64_t pointer = reinterpret_cast<uint64_t>(entry);
  DCHECK(pointer >> kPointerBits == 0);
  return {HeadOf(place.value, shared_.size()),
          static_cast<uint64_t>(place.value.type) << kPointerBits | pointer};
}

IndexTree::Probe IndexTree::ProbeOf(const IndexPosition& position) const {
  const OrderedValue value = position.value();
  Probe probe{value.type, Probe::kCompare, 0, &position};
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

IndexTree::Elements::const_iterator IndexTree::FirstText() const {
  return elements_.lower_bound(Probe{OrderedValue::Class::kText, Probe::kAllBehind, 0, nullptr});
}

void IndexTree::Load(std::span<Entry* const> entries) {
  CHECK(elements_.empty());
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

  std::vector<Element> elements;
  elements.reserve(count);
  for_each_place(
      [&](const IndexPlace& place, Entry* entry) { elements.push_back(ElementOf(place, entry)); });
  std::sort(elements.begin(), elements.end(), Before{order_});
  for (const Element& element : elements) elements_.insert(elements_.end(), element);
  CHECK(elements_.size() == count);
  size_when_shared_ = count;
}

void IndexTree::Apply(std::span<const IndexChange> changes) {
  for (const IndexChange& change : changes) {
    if (change.old_entry != nullptr) Prefetch(change.old_entry);
    if (change.new_entry != nullptr) Prefetch(change.new_entry);
  }
  for (const IndexChange& change : changes) {
    if (change.new_entry == nullptr) continue;
    if (const auto place = PlaceOf(order_, *change.new_entry)) Admit(*place);
  }

  // A change that leaves the place as it was needs one search instead of two.
  struct Step {
    enum { kErase, kReplace, kInsert } kind;
    Element element;
    uint64_t replacement;  // class_and_entry
  };
  std::vector<Step> steps;
  steps.reserve(changes.size() * 2);
  for (const auto& [old_entry, new_entry] : changes) {
    std::optional<IndexPlace> from, to;
    if (old_entry != nullptr) from = PlaceOf(order_, *old_entry);
    if (new_entry != nullptr) to = PlaceOf(order_, *new_entry);
    if (from && to && ComparePlaces(*from, *to) == 0) {
      steps.push_back(
          {Step::kReplace, ElementOf(*from, old_entry), ElementOf(*to, new_entry).class_and_entry});
      continue;
    }
    if (from) steps.push_back({Step::kErase, ElementOf(*from, old_entry), 0});
    if (to) steps.push_back({Step::kInsert, ElementOf(*to, new_entry), 0});
  }
  // Erasures come first, see FoldChanges(); within a kind, neighbours in the tree follow one
  // another and find its nodes in the cache.
  std::sort(steps.begin(), steps.end(), [](const Step& left, const Step& right) {
    if (left.kind != right.kind) return left.kind < right.kind;
    if (left.element.type() != right.element.type()) {
      return left.element.type() < right.element.type();
    }
    return left.element.head < right.element.head;
  });

  for (const Step& step : steps) {
    if (step.kind == Step::kInsert) {
      CHECK(elements_.insert(step.element).second);
      continue;
    }
    const auto at = elements_.find(step.element);
    CHECK(at != elements_.end() && at->entry() == step.element.entry());
    if (step.kind == Step::kErase) {
      elements_.erase(at);
    } else {
      at->class_and_entry = step.replacement;
    }
  }
  ShareMoreIfGrown();
}

void IndexTree::Admit(const IndexPlace& place) {
  if (!IsText(place) || place.value.text.starts_with(shared_)) return;
  // At most half of what was shared is kept, so that values which each share a little less than the
  // one before cannot make every insertion pay for the whole tree.
  const size_t common = CommonPrefix(shared_, place.value.text).size();
  Share(shared_.substr(0, std::min(common, shared_.size() / 2)));
}

void IndexTree::ShareMoreIfGrown() {
  if (elements_.size() < kSharingSizeMin || elements_.size() < 2 * size_when_shared_) return;
  size_when_shared_ = elements_.size();
  const auto first = FirstText();
  if (first == elements_.end()) return;
  // Texts are the last class and stand in order: what the first and the last share, all share.
  const IndexPlace lowest = *PlaceOf(order_, *first->entry());
  const IndexPlace highest = *PlaceOf(order_, *elements_.rbegin()->entry());
  const std::string_view common = CommonPrefix(lowest.value.text, highest.value.text);
  if (common.size() > shared_.size()) Share(std::string(common));
}

void IndexTree::Share(std::string shared) {
  shared_ = std::move(shared);
  auto ahead = FirstText();
  for (size_t i = 0; i < kPrefetchDistance && ahead != elements_.end(); ++i, ++ahead) {
    Prefetch(ahead->entry());
  }
  for (auto at = FirstText(); at != elements_.end(); ++at) {
    at->head = HeadOf(PlaceOf(order_, *at->entry())->value, shared_.size());
    if (ahead != elements_.end()) Prefetch(ahead->entry()), ++ahead;
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
    walk.at_ = elements_.lower_bound(ProbeOf(*near));
  } else {
    walk.at_ = ascending ? elements_.begin() : elements_.end();
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
  const bool before = Before{tree_->order_}(*at_, far_end_);
  return before == (direction_ == Direction::kAscending);
}

void IndexTree::Walk::Arrive() {
  valid_ = at_ != tree_->elements_.end() && InRange();
  if (valid_) Prefetch(at_->entry());
}

void IndexTree::Walk::Advance() {
  if (direction_ == Direction::kAscending) {
    ++at_;
  } else if (at_ == tree_->elements_.begin()) {
    valid_ = false;
    return;
  } else {
    --at_;
  }
  Arrive();
}

bool IndexTree::Walk::ComesBefore(const Walk& other) const {
  const bool ascending = direction_ == Direction::kAscending;
  const Element& first = ascending ? *at_ : *other.at_;
  const Element& second = ascending ? *other.at_ : *at_;
  if (first.type() != second.type()) return first.type() < second.type();
  // Heads of texts can be compared when the two trees skip the same bytes.
  if (first.type() != OrderedValue::Class::kText || tree_->shared_ == other.tree_->shared_) {
    if (first.head != second.head) return first.head < second.head;
  }
  return BeforeInOrder(tree_->order_, first, second);
}

}  // namespace entrepot
