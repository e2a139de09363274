// What the methods take and give back. The names of options and fields are those of the protocol;
// times are milliseconds.
//
// Thread safety: as plain values.

#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "entrepot/value.h"

namespace entrepot {

// ---- Options.

// When a response leaves the server. kDefault is what the server's `--sync` says.
enum class Ack : uint8_t {
  kDefault,
  kApplied,  // At once.
  kDurable,  // When the change, or what is read, is on disk.
};

// How long a call may take, and how often it is sent again; what is left out is the client's.
struct CallOptions {
  std::optional<int64_t> timeout_ms = {};
  std::optional<int> retries = {};
};

struct ReadOptions {
  Ack ack = Ack::kDefault;
  CallOptions call = {};
};

struct WriteOptions {
  Ack ack = Ack::kDefault;
  CallOptions call = {};
};

struct EntryOptions {
  std::optional<uint64_t> unless_version = {};  // Then the value is left out: `unchanged`.
  Ack ack = Ack::kDefault;
  CallOptions call = {};
};

struct SetOptions {
  std::optional<int64_t> ttl_ms = {};
  std::optional<int64_t> expires_at_ms = {};  // Since 1970.
  bool keep_ttl = false;                      // A plain set makes the entry permanent.
  std::optional<uint64_t> if_version = {};    // 0: only where there is no entry.
  bool if_absent = false;
  bool if_present = false;
  bool previous = false;  // Hand back the value before.
  Ack ack = Ack::kDefault;
  CallOptions call = {};
};

struct DeleteOptions {
  std::optional<uint64_t> if_version = {};
  bool previous = false;
  Ack ack = Ack::kDefault;
  CallOptions call = {};
};

struct IncrementOptions {
  std::optional<Value> initial = {};  // Where there is no entry; 0 if left out.
  std::optional<Value> min = {};
  std::optional<Value> max = {};
  std::optional<int64_t> ttl_ms = {};  // Counts only when this creates the entry.
  Ack ack = Ack::kDefault;
  CallOptions call = {};
};

enum class Order : uint8_t { kAscending, kDescending };

// For pages of find and scan.
struct PageOptions {
  std::optional<uint32_t> limit = {};  // Entries of the page: 100, at most 1,000.
  std::string cursor = {};             // Of the page before; empty for the first.
  bool values = true;
  Order order = Order::kAscending;
  Ack ack = Ack::kDefault;
  CallOptions call = {};
};

// For walks of find and scan.
struct WalkOptions {
  std::optional<uint32_t> page_limit = {};  // Of each page, not of the walk.
  bool values = true;                       // False: the entries have only their key.
  Order order = Order::kAscending;
  Ack ack = Ack::kDefault;
  CallOptions call = {};  // Of each page.
};

// For one page of changes.
struct ChangesPageOptions {
  std::optional<uint32_t> limit = {};  // Events: 1,000, at most 10,000; transactions stay whole.
  int64_t wait_ms = 0;                 // For a first event, at most 60,000; beyond `call`'s time.
  bool values = true;
  CallOptions call = {};
};

// For all of them.
struct ChangesOptions {
  std::optional<uint32_t> page_limit = {};  // Of each page.
  int64_t wait_ms = 0;                      // It ends when nothing has come for so long.
  bool values = true;
  CallOptions call = {};  // Of each page.
};

struct DeletePrefixOptions {
  std::optional<uint32_t> limit = {};
  Ack ack = Ack::kDefault;
  CallOptions call = {};
};

struct UpdateOptions {
  std::optional<int64_t> ttl_ms = {};  // Left out: the entry keeps the TTL that it has.
  CallOptions call = {};               // Of all rounds together.
};

// ---- Queries by value.

// Which values `find` and `count` look for. A text is the prefix of str and bin values.
class Query {
 public:
  Query(std::string_view prefix) : encoded_(Value::TextOrBytes(prefix)) {}
  Query(const std::string& prefix) : Query(std::string_view(prefix)) {}
  Query(const char* prefix) : Query(std::string_view(prefix)) {}

  // Values that are equal to `value`, a scalar; integers and floats compare by their exact value.
  static Query Equals(const Value& value);

  // Values in [from, to), in the order nil < bool < numbers < str and bin; either may be left out.
  static Query Range(const std::optional<Value>& from, const std::optional<Value>& to);

  // As it stands in the request.
  const Value& encoded() const { return encoded_; }

 private:
  explicit Query(Value encoded) : encoded_(std::move(encoded)) {}

  Value encoded_;
};

// ---- Results.

enum class OutcomeStatus : uint8_t {
  kCreated,
  kUpdated,
  kFound,
  kNotFound,
  kUnchanged,
  kDeleted,
  kConflict,
  kCommitted,
  kRejected,
  kOk,
};

// The status as the protocol spells it.
std::string_view OutcomeStatusName(OutcomeStatus status);

// What a method did to one key. Fields that the method does not have stay empty.
struct Outcome {
  OutcomeStatus status = OutcomeStatus::kOk;
  uint64_t version = 0;  // 0 where there is no entry.
  // The value before (`previous`), the sum (`increment`), the value in the way (kConflict).
  std::optional<Value> value;
  std::optional<uint64_t> previous_version;
  std::optional<uint64_t> length;  // Content bytes after `append` and `prepend`.
  std::optional<int64_t> ttl_ms;   // Only of a `get` in a transaction.
  bool replayed = false;           // The outcome of an earlier attempt of the same call.

  bool conflict() const { return status == OutcomeStatus::kConflict; }
  bool not_found() const { return status == OutcomeStatus::kNotFound; }
};

struct Entry {
  std::string key;
  Value value;  // nil where values were not asked for, or `unchanged`.
  uint64_t version = 0;
  std::optional<int64_t> ttl_ms;  // What is left; only from Client::Entry().
  bool unchanged = false;         // The version is the one of `unless_version`.
};

struct Items {
  std::vector<std::optional<Entry>> items;  // In the order of the keys asked for.
  uint64_t version = 0;                     // The instant at which they all stood.
};

struct Page {
  OutcomeStatus status = OutcomeStatus::kNotFound;
  std::vector<Entry> items;
  std::string cursor;     // For the next page; empty at the end.
  uint64_t version = 0;   // The instant whose exact answer this is.
  uint64_t examined = 0;  // Index entries looked at.
};

struct Counted {
  uint64_t count = 0;
  uint64_t version = 0;      // When the walk began.
  uint64_t version_end = 0;  // When it ended.
};

struct DeletedPrefix {
  uint64_t deleted = 0;
  bool more = false;  // Entries with the prefix are left: call again.
  uint64_t version = 0;
  bool replayed = false;
};

struct TransactionOutcome {
  OutcomeStatus status = OutcomeStatus::kRejected;  // kCommitted or kRejected.
  uint64_t version = 0;
  // One an operation of the branch that ran; nothing for a write that a conflict behind it undid.
  std::vector<std::optional<Outcome>> results;
  bool replayed = false;  // Then there are no results.

  bool committed() const { return status == OutcomeStatus::kCommitted; }
};

struct ServerInfo {
  std::string server;
  uint64_t protocol = 0;
  std::string history;
  uint64_t version = 0;
  std::vector<std::string> features;  // Test these, never the server's version.
  std::map<std::string, uint64_t> limits;
  std::vector<std::string> listen;  // Of `endpoints`.
  std::string feed;                 // Empty where it is off.
  std::string admin;
  std::string sync;
  int64_t now_ms = 0;

  bool Has(std::string_view feature) const;
};

}  // namespace entrepot
