#include "store/index_change.h"

#include <bit>
#include <cstdint>

namespace entrepot {

namespace {

// Finds the folded change that a given entry is the new one of. Open addressing, at most half full:
// every change puts at most one entry in. Entries that are replaced stay, since nobody asks again.
class LastEntries {
 public:
  explicit LastEntries(size_t changes)
      : slots_(std::bit_ceil(changes * 2)), shift_(64 - std::countr_zero(slots_.size())) {}

  static constexpr uint32_t kNone = ~uint32_t{0};

  uint32_t Find(const Entry* entry) const {
    for (size_t at = Home(entry); slots_[at].entry != nullptr; at = Next(at)) {
      if (slots_[at].entry == entry) return slots_[at].change;
    }
    return kNone;
  }
  void Insert(const Entry* entry, uint32_t change) {
    size_t at = Home(entry);
    while (slots_[at].entry != nullptr) at = Next(at);
    slots_[at] = {entry, change};
  }

 private:
  struct Slot {
    const Entry* entry = nullptr;
    uint32_t change = 0;
  };

  size_t Home(const Entry* entry) const {
    constexpr uint64_t kGoldenRatio = 0x9e3779b97f4a7c15;
    return static_cast<size_t>(reinterpret_cast<uint64_t>(entry) * kGoldenRatio >> shift_);
  }
  size_t Next(size_t at) const { return (at + 1) & (slots_.size() - 1); }

  std::vector<Slot> slots_;
  const int shift_;
};

}  // namespace

void FoldChanges(IndexChanges* changes, std::vector<Entry*>* forgotten) {
  if (changes->size() < 2) return;
  LastEntries last_entries(changes->size());
  size_t folded = 0;
  for (const IndexChange change : *changes) {
    uint32_t at = LastEntries::kNone;
    if (change.old_entry != nullptr) at = last_entries.Find(change.old_entry);
    if (at != LastEntries::kNone) {
      forgotten->push_back(change.old_entry);
      (*changes)[at].new_entry = change.new_entry;
    } else {
      at = static_cast<uint32_t>(folded++);
      (*changes)[at] = change;
    }
    if (change.new_entry != nullptr) last_entries.Insert(change.new_entry, at);
  }
  changes->resize(folded, IndexChange{});
  std::erase_if(*changes, [](const IndexChange& change) {
    return change.old_entry == nullptr && change.new_entry == nullptr;
  });
}

}  // namespace entrepot
