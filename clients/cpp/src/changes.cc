#include "entrepot/changes.h"

#include <utility>

namespace entrepot {

bool Changes::HasEvent() {
  while (position_ >= page_.events.size()) {
    token_ = page_.token;
    const bool may_wait_for_more = waits_ && !page_.events.empty();
    if (!status_.ok() || !(page_.more || may_wait_for_more)) return false;
    Result<ChangesPage> next = fetch_(token_);
    position_ = 0;
    if (!next.ok()) {
      status_ = next.status();
      page_ = {.events = {}, .token = token_, .more = false};
      return false;
    }
    page_ = *std::move(next);
  }
  return true;
}

}  // namespace entrepot
