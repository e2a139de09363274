#include "store/snapshot_item.h"

namespace entrepot {

namespace {

void AppendByte(ByteBuffer* out, uint8_t byte) {
  *out->Room(1) = static_cast<char>(byte);
  out->Advance(1);
}

void AppendNumber(ByteBuffer* out, uint64_t number) {
  StoreLittle(out->Room(sizeof(number)), number);
  out->Advance(sizeof(number));
}

bool TakeNumber(std::string_view* bytes, uint64_t* number) {
  if (bytes->size() < sizeof(*number)) return false;
  *number = LoadLittle<uint64_t>(bytes->data());
  bytes->remove_prefix(sizeof(*number));
  return true;
}

}  // namespace

void AppendEntryItem(ByteBuffer* out, const Entry& entry) {
  AppendByte(out, static_cast<uint8_t>(SnapshotItemKind::kEntry));
  AppendNumber(out, entry.version());
  AppendChange(out, {.op = ChangeOp::kSet,
                     .cause = Cause::kClient,
                     .key = entry.key(),
                     .value = entry.value(),
                     .expires_at_ms = entry.expires_at_ms()});
}

void AppendSessionItem(ByteBuffer* out, uint64_t high, uint64_t low, uint64_t done,
                       const std::vector<RetryOutcome>& outcomes) {
  AppendByte(out, static_cast<uint8_t>(SnapshotItemKind::kSession));
  AppendNumber(out, high);
  AppendNumber(out, low);
  AppendNumber(out, done);
  for (const RetryOutcome& outcome : outcomes) AppendOutcome(out, &outcome);
}

void AppendIndexItem(ByteBuffer* out, uint8_t order) {
  AppendByte(out, static_cast<uint8_t>(SnapshotItemKind::kIndex));
  AppendByte(out, order);
}

bool ReadSnapshotItem(std::string_view bytes, SnapshotItem* item) {
  if (bytes.empty()) return false;
  item->kind = static_cast<SnapshotItemKind>(bytes.front());
  bytes.remove_prefix(1);
  switch (item->kind) {
    case SnapshotItemKind::kEntry:
      return TakeNumber(&bytes, &item->version) && TakeChange(&bytes, &item->change) &&
             bytes.empty();
    case SnapshotItemKind::kSession:
      if (!TakeNumber(&bytes, &item->session_high) || !TakeNumber(&bytes, &item->session_low) ||
          !TakeNumber(&bytes, &item->done)) {
        return false;
      }
      item->outcomes.clear();
      while (!bytes.empty()) {
        bool present;
        if (!TakeOutcome(&bytes, &item->outcomes.emplace_back(), &present) || !present)
          return false;
      }
      return true;
    case SnapshotItemKind::kIndex:
      if (bytes.size() != 1) return false;
      item->order = static_cast<uint8_t>(bytes.front());
      return item->order <= 1;
  }
  return false;
}

}  // namespace entrepot
