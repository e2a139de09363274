#include "entrepot/walk.h"

#include <utility>
#include <vector>

namespace entrepot {

bool Walk::HasEntry() {
  // A page may be short or even empty; only a missing cursor is the end.
  while (position_ >= page_.items.size()) {
    if (!status_.ok() || (started_ && page_.cursor.empty())) return false;
    Result<Page> next = fetch_(page_.cursor);
    started_ = true;
    position_ = 0;
    if (!next.ok()) {
      status_ = next.status();
      page_ = Page();
      return false;
    }
    page_ = *std::move(next);
  }
  return true;
}

Result<std::vector<Entry>> Walk::ToVector() {
  std::vector<Entry> entries;
  for (Entry& entry : *this) entries.push_back(std::move(entry));
  if (!status_.ok()) return status_;
  return entries;
}

}  // namespace entrepot
