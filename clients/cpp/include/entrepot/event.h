// Events: what watching a store gives, one type for each kind of event of docs/CLIENTS.md,
// section 9.
//
//    for (const entrepot::Event& event : *watch) {
//      if (const auto* set = std::get_if<entrepot::event::Set>(&event)) Use(set->key, set->value);
//      if (const auto* gone = std::get_if<entrepot::event::Delete>(&event)) Forget(gone->key);
//    }
//
// The events of one key come in the order of their versions, and `previous_version` names the
// version before, 0 where there was none. Values are nil where the caller asked for none.
//
// Thread safety: as plain values.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "entrepot/result.h"
#include "entrepot/value.h"

namespace entrepot {

// A point in the sequence of changes. It means the same for ever, and can be stored.
struct Token {
  std::string history;
  uint64_t revision = 0;

  // "HISTORY:REVISION", and back; `invalid_argument` for any other text.
  std::string ToString() const;
  static Result<Token> FromString(std::string_view text);

  friend bool operator==(const Token&, const Token&) = default;
};

// Why a key changed. kOther is a cause that only a newer server knows.
enum class Cause : uint8_t { kClient, kTransaction, kExpired, kEvicted, kOther };

// The cause as the protocol spells it.
std::string_view CauseName(Cause cause);

namespace event {

// This entry was there when the watch began.
struct Snapshot {
  std::string key;
  Value value;
  uint64_t version = 0;
  std::optional<int64_t> expires_at_ms;  // Since 1970.
};

// Everything up to the token has been told.
struct Synced {
  Token token;
  // Where the watch went on after it had been cut off; nothing where it was not.
  std::optional<uint64_t> resumed_after;
};

// A value was written.
struct Set {
  std::string key;
  Value value;
  uint64_t version = 0;
  uint64_t previous_version = 0;
  std::optional<int64_t> expires_at_ms;
  Cause cause = Cause::kClient;
};

// The entry was deleted or, as `cause` then says, evicted.
struct Delete {
  std::string key;
  uint64_t version = 0;
  uint64_t previous_version = 0;
  Cause cause = Cause::kClient;
};

// The entry's time was over.
struct Expired {
  std::string key;
  uint64_t version = 0;
  uint64_t previous_version = 0;
};

// The entry has another time to live, or none any more.
struct Touch {
  std::string key;
  uint64_t version = 0;
  uint64_t previous_version = 0;
  std::optional<int64_t> expires_at_ms;
  Cause cause = Cause::kClient;
};

// In a watch with a query: the entry does not match it now.
struct Left {
  std::string key;
  uint64_t version = 0;
  uint64_t previous_version = 0;
  Cause cause = Cause::kClient;
};

// What was told may be wrong; what follows is told from the beginning. The reason is "interrupted"
// (before the snapshot was whole), "history_lost" or "unknown_history".
struct Resync {
  std::string reason;
};

}  // namespace event

using Event = std::variant<event::Snapshot, event::Synced, event::Set, event::Delete,
                           event::Expired, event::Touch, event::Left, event::Resync>;

// "snapshot", "synced", "set", "delete", "expired", "touch", "left", "resync".
std::string_view KindName(const Event& event);

// The key that an event is about; null for Synced and Resync. It lives as long as the event.
const std::string* KeyOf(const Event& event);

// A page of Client::ChangesPage().
struct ChangesPage {
  std::vector<Event> events;
  Token token;        // Everything up to it is in this page or was before it.
  bool more = false;  // There is more already.
};

}  // namespace entrepot
