#include "feed/ring.h"

#include <algorithm>
#include <cstring>

namespace entrepot {

namespace {

// Records are gathered in pieces of memory of this size; a larger record has one of its own.
constexpr size_t kChunkBytes = size_t{256} << 10;

}  // namespace

// A run of records. What stands before `size` does not change any more.
struct Ring::Chunk {
  explicit Chunk(size_t capacity_wanted)
      : capacity(capacity_wanted), bytes(new char[capacity_wanted]) {}

  const size_t capacity;
  const std::unique_ptr<char[]> bytes;
  size_t size = 0;             // Guarded by the ring's lock.
  uint64_t last_revision = 0;  // Likewise.
};

Ring::Ring(uint64_t revision, size_t bytes_max)
    : bytes_max_(bytes_max), oldest_(revision), newest_(revision) {}

Ring::~Ring() = default;

void Ring::Append(std::string_view records) {
  MutexLock lock(mu_);
  while (!records.empty()) {
    const Record record = LoadRecord(records);
    const size_t bytes = RecordBytes(record.payload.size());
    if (record.type == RecordType::kChange) AppendOne(record.revision, records.substr(0, bytes));
    records.remove_prefix(bytes);
  }
}

void Ring::AppendOne(uint64_t revision, std::string_view record) {
  if (chunks_.empty() || chunks_.back()->capacity - chunks_.back()->size < record.size()) {
    chunks_.push_back(std::make_shared<Chunk>(std::max(kChunkBytes, record.size())));
    bytes_ += chunks_.back()->capacity;
    while (bytes_ > bytes_max_ && chunks_.size() > 1) {
      oldest_ = chunks_.front()->last_revision;
      bytes_ -= chunks_.front()->capacity;
      chunks_.pop_front();
      ++first_number_;
    }
  }
  Chunk& chunk = *chunks_.back();
  DCHECK(revision > chunk.last_revision);
  std::memcpy(chunk.bytes.get() + chunk.size, record.data(), record.size());
  chunk.size += record.size();
  chunk.last_revision = revision;
}

void Ring::Publish(uint64_t revision) {
  MutexLock lock(mu_);
  newest_ = std::max(newest_, revision);
}

uint64_t Ring::oldest() const {
  MutexLock lock(mu_);
  return oldest_;
}

uint64_t Ring::newest() const {
  MutexLock lock(mu_);
  return newest_;
}

bool Ring::Find(const Cursor& cursor, View* view) const {
  MutexLock lock(mu_);
  view->newest = newest_;
  if (cursor.revision_ < oldest_) return false;
  size_t index, offset = 0;
  if (cursor.chunk_ >= first_number_) {
    index = cursor.chunk_ - first_number_;
    offset = cursor.offset_;
  } else {
    const auto found = std::partition_point(chunks_.begin(), chunks_.end(), [&](const auto& chunk) {
      return chunk->last_revision <= cursor.revision_;
    });
    index = static_cast<size_t>(found - chunks_.begin());
  }
  if (index < chunks_.size() && offset == chunks_[index]->size && index + 1 < chunks_.size()) {
    ++index;
    offset = 0;
  }
  view->last = index + 1 >= chunks_.size();
  if (index >= chunks_.size()) return true;
  const std::shared_ptr<Chunk>& chunk = chunks_[index];
  view->chunk = chunk;
  view->number = first_number_ + index;
  view->bytes = std::string_view(chunk->bytes.get() + offset, chunk->size - offset);
  return true;
}

Ring::Outcome Ring::Read(Cursor* cursor, uint64_t through, size_t bytes_max, Visit visit) const {
  size_t taken = 0;
  for (;;) {
    View view;
    if (!Find(*cursor, &view)) return Outcome::kLost;
    const uint64_t end = std::min(through, view.newest);
    if (view.chunk != nullptr) {
      if (cursor->chunk_ != view.number) {
        cursor->chunk_ = view.number;
        cursor->offset_ = static_cast<size_t>(view.bytes.data() - view.chunk->bytes.get());
      }
      while (!view.bytes.empty()) {
        if (taken >= bytes_max) return Outcome::kMore;
        const Record record = LoadRecord(view.bytes);
        if (record.revision > end) break;
        const size_t bytes = RecordBytes(record.payload.size());
        view.bytes.remove_prefix(bytes);
        cursor->offset_ += bytes;
        taken += bytes;
        if (record.revision <= cursor->revision_) continue;
        cursor->revision_ = record.revision;
        if (!visit(record)) return Outcome::kMore;
      }
    }
    if (!view.bytes.empty() || view.last) {
      cursor->revision_ = std::max(cursor->revision_, end);
      return Outcome::kEnd;
    }
  }
}

}  // namespace entrepot
