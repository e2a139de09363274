// A watch: what one watcher is told, message by message, from the ring, the log and the store.
//
// It knows no connection and no thread: whoever owns it calls Advance() as long as the watcher
// takes messages, and sends what comes of it.
//
//    notification = [2, "events", [id, [event…], {version, synced, [error]}]]
//
// Thread safety: AddCredit() from any thread; the rest belongs to one at a time.
//
// Invariants:
//  1. Events come in the order of revisions; those of one record stand in one message.
//  2. `version` of a message: every change up to it that the watcher wants has been told.
//  3. `synced` is told once, when there was nothing more to tell of what was there at the begin.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>

#include <absl/functional/function_ref.h>

#include "base/byte_buffer.h"
#include "base/status.h"
#include "feed/change_reader.h"
#include "feed/event.h"
#include "feed/snapshot_walk.h"
#include "store/store.h"

namespace entrepot {

class Watch {
 public:
  struct Options {
    EventFilter filter;
    uint64_t after = 0;     // Changes above this revision are told,
    uint64_t must_see = 0;  // and `synced` not before those up to here.
    bool snapshot = false;  // Entries first. `after` is then a revision that has passed the gate.
    std::optional<uint64_t> credit;
  };
  // What the thread that serves it brings along.
  struct Server {
    Epochs::Participant* participant;
    int64_t now_ms;
    absl::FunctionRef<uint64_t()> last_revision;  // That was given.
    bool may_read_log;
  };
  enum class Progress : uint8_t {
    kIdle,    // There is nothing to tell now, or no credit for it.
    kMore,    // There may be more at once.
    kBehind,  // What comes next is in the log only.
  };

  Watch(uint64_t id, Options options, const Ring* ring, Log* log, Store* store);

  uint64_t id() const { return id_; }
  // Whether it needs no file now.
  bool InRing() const { return reader_.InRing(); }
  uint64_t position() const { return reader_.position(); }
  uint64_t Oldest() const { return reader_.Oldest(); }
  // Whether its position can be read; see ChangeReader::Open().
  Status Open() { return reader_.Open(); }

  // Events that it may be told besides what it has.
  void AddCredit(uint64_t events) { credit_.fetch_add(static_cast<int64_t>(events)); }

  // Does some work, and appends a notification to `message` when there is something to tell.
  // Errors: kHistoryLost; those of the log. After one the watch is over.
  Result<Progress> Advance(const Server& server, ByteBuffer* message);

  // Memory of what was read ahead.
  size_t page_bytes() const { return walk_ ? walk_->page_bytes() : 0; }
  // Whether the next Advance() reads ahead.
  bool WantsPage() const { return walk_ && !walk_->HasPage(); }
  // It may be long until the next Advance(): forgets what was read ahead.
  void Rest() {
    if (walk_) walk_->Cut();
  }

  // Appends a notification without events.
  void PackProgress(ByteBuffer* message) { Pack(message, nullptr); }
  // Appends the last one, which says why it is over.
  void PackEnd(ByteBuffer* message, const Status& status) { Pack(message, &status); }

 private:
  bool HasCredit() const { return !counts_credit_ || credit_.load() > 0; }
  // Reads changes up to `through`; at the end of it, true.
  Result<bool> ReadThrough(uint64_t through, const Server& server);
  Result<bool> AdvanceWalk(const Server& server);
  // A touch tells no value; the entry has it, unless it has changed since. Then a touch is told
  // whatever its value was: it changes nothing about which keys match.
  bool MatchedNot(std::string_view key, uint64_t version, const Query& query);
  void Pack(ByteBuffer* message, const Status* error);

  // Constant after construction.
  const uint64_t id_;
  const uint64_t must_see_;
  const EventFilter filter_;
  const bool counts_credit_;
  const Ring& ring_;
  Store& store_;

  std::atomic<int64_t> credit_;  // Synchronises itself.

  // Of who owns it.
  ChangeReader reader_;
  std::optional<SnapshotWalk> walk_;
  bool starved_ = false;      // There is something of the walk to tell, and no credit for it.
  bool synced_ = false;       // Has been told.
  bool sync_due_ = false;     // Is to be told with the next message.
  ByteBuffer events_;         // Of the next message,
  uint32_t event_count_ = 0;  // and how many.
};

}  // namespace entrepot
