// The ring: the newest changes that passed the gate, in memory, for everyone who follows them.
//
// The committer puts records in, group by group; readers have a position each and cost it nothing.
// A reader that is slower than the ring finds its position forgotten and goes to the log
// (feed/change_reader.h). Not a queue for each reader: one that does not read would cost memory.
//
// Thread safety: Append() and Publish() belong to one thread, the rest may be called from any.
//
// Invariants:
//  1. Records stand in the order of their revisions, and every revision in (oldest, newest] is
//     there.
//  2. Nothing above newest() is handed out.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string_view>

#include <absl/functional/function_ref.h>

#include "base/limits.h"
#include "base/mutex.h"
#include "log/record.h"

namespace entrepot {

class Ring {
 private:
  struct Chunk;

 public:
  // Where a reader stands: it has been handed every change up to `revision`.
  class Cursor {
   public:
    explicit Cursor(uint64_t revision) : revision_(revision) {}
    uint64_t revision() const { return revision_; }

   private:
    friend class Ring;
    uint64_t revision_;
    // The place behind the last record that was handed out; a hint, which may be forgotten.
    uint64_t chunk_ = 0;
    size_t offset_ = 0;
  };

  enum class Outcome : uint8_t {
    kEnd,   // There is nothing more up to the revision asked for.
    kMore,  // There is, or may be.
    kLost,  // The position was forgotten.
  };
  // Takes one record; false: it was the last one that is wanted now.
  using Visit = absl::FunctionRef<bool(const Record&)>;

  // Changes up to `revision` were before this ring. Keeps about `bytes_max` of records.
  explicit Ring(uint64_t revision, size_t bytes_max = kRingBytes);
  ~Ring();
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  // Copies the changes among `records`, which are whole; other types of records are left out.
  void Append(std::string_view records);
  // Everything that was appended up to `revision` has passed the gate.
  void Publish(uint64_t revision);

  // Every change above this revision is here.
  uint64_t oldest() const;
  // Every change up to here has been published.
  uint64_t newest() const;

  // Hands records behind `cursor` to `visit`, up to `through` and newest(), until it has had enough
  // or they took `bytes_max`; moves the cursor behind the last one, and at kEnd to the lower of
  // `through` and newest().
  Outcome Read(Cursor* cursor, uint64_t through, size_t bytes_max, Visit visit) const;

 private:
  // What a reader looks at without the lock: bytes that do not change any more.
  struct View {
    std::shared_ptr<const Chunk> chunk;
    std::string_view bytes;
    uint64_t number = 0;
    uint64_t newest = 0;
    bool last = false;  // There is no chunk behind it.
  };

  void AppendOne(uint64_t revision, std::string_view record) REQUIRES(mu_);
  // False: the position was forgotten.
  bool Find(const Cursor& cursor, View* view) const;

  const size_t bytes_max_;

  mutable Mutex mu_;
  std::deque<std::shared_ptr<Chunk>> chunks_ GUARDED_BY(mu_);
  uint64_t first_number_ GUARDED_BY(mu_) = 1;  // Of chunks_.front().
  size_t bytes_ GUARDED_BY(mu_) = 0;
  uint64_t oldest_ GUARDED_BY(mu_);
  uint64_t newest_ GUARDED_BY(mu_);
};

}  // namespace entrepot
