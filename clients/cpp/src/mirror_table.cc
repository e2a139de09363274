#include "mirror_table.h"

#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace entrepot {
namespace {

std::optional<Entry> Find(const MirrorTable::Entries& entries, const std::string& key) {
  const auto found = entries.find(key);
  return found == entries.end() ? std::nullopt : std::optional(found->second);
}

// The entry behind the event; nothing where it is gone.
std::optional<Entry> After(const Event& event, const std::optional<Entry>& before) {
  return std::visit(
      [&](const auto& kind) -> std::optional<Entry> {
        if constexpr (requires { kind.value; }) {
          return Entry{.key = kind.key, .value = kind.value, .version = kind.version};
        } else if constexpr (requires { kind.expires_at_ms; }) {
          // A touch leaves the value as it is.
          std::optional<Entry> touched = before;
          if (touched) touched->version = kind.version;
          return touched;
        } else {
          return std::nullopt;
        }
      },
      event);
}

}  // namespace

std::vector<Difference> MirrorTable::Apply(const WatchBatch& batch) {
  std::vector<Difference> differences;
  for (const Event& event : batch.events) {
    if (std::holds_alternative<event::Resync>(event)) {
      takes_snapshot_ = true;
      coming_.clear();
    } else if (std::holds_alternative<event::Synced>(event)) {
      if (takes_snapshot_) Show(&differences);
    } else if (takes_snapshot_) {
      Apply(event, &coming_, nullptr);
    } else {
      Apply(event, &shown_, &differences);
    }
  }
  return differences;
}

void MirrorTable::Apply(const Event& event, Entries* entries,
                        std::vector<Difference>* differences) {
  const std::string& key = *KeyOf(event);
  std::optional<Entry> before = Find(*entries, key);
  std::optional<Entry> after = After(event, before);
  if (after) {
    (*entries)[key] = *after;
  } else {
    entries->erase(key);
  }
  if (differences != nullptr && (before || after)) {
    differences->push_back({key, std::move(before), std::move(after)});
  }
}

void MirrorTable::Show(std::vector<Difference>* differences) {
  for (const auto& [key, entry] : shown_) {
    if (!coming_.contains(key)) differences->push_back({key, entry, std::nullopt});
  }
  for (const auto& [key, entry] : coming_) {
    std::optional<Entry> before = Find(shown_, key);
    const bool same = before && before->version == entry.version && before->value == entry.value;
    if (!same) differences->push_back({key, std::move(before), entry});
  }
  shown_ = std::exchange(coming_, {});
  takes_snapshot_ = false;
  is_whole_ = true;
}

}  // namespace entrepot
