// The payload of records and the items of snapshots: what is written is read, and nothing else is.

#include "store/change.h"

#include <gtest/gtest.h>

#include "store/snapshot_item.h"

namespace entrepot {
namespace {

std::string Payload() {
  ByteBuffer payload;
  RetryOutcome outcome{.session_high = 1, .session_low = 2, .number = 3, .done = 2, .version = 9};
  outcome.extra = 5;
  outcome.extra_kind = RetryOutcome::Extra::kLength;
  AppendOutcome(&payload, &outcome);
  AppendChange(&payload, {.op = ChangeOp::kSet,
                          .cause = Cause::kTransaction,
                          .key = "key",
                          .value = "\x05",
                          .previous_version = 7,
                          .expires_at_ms = 1234});
  AppendChange(&payload, {.op = ChangeOp::kDelete, .cause = Cause::kExpired, .key = "gone"});
  return std::string(payload.view());
}

TEST(ChangeTest, PayloadIsReadAsItWasWritten) {
  const std::string bytes = Payload();
  std::string_view rest = bytes;
  RetryOutcome outcome;
  bool present = false;
  ASSERT_TRUE(TakeOutcome(&rest, &outcome, &present));
  EXPECT_TRUE(present);
  EXPECT_EQ(outcome.number, 3u);
  EXPECT_EQ(outcome.extra_kind, RetryOutcome::Extra::kLength);
  Change change;
  ASSERT_TRUE(TakeChange(&rest, &change));
  EXPECT_EQ(change.op, ChangeOp::kSet);
  EXPECT_EQ(change.cause, Cause::kTransaction);
  EXPECT_EQ(change.key, "key");
  EXPECT_EQ(change.value, "\x05");
  EXPECT_EQ(change.previous_version, 7u);
  EXPECT_EQ(change.expires_at_ms, 1234);
  ASSERT_TRUE(TakeChange(&rest, &change));
  EXPECT_EQ(change.op, ChangeOp::kDelete);
  EXPECT_EQ(change.key, "gone");
  EXPECT_TRUE(rest.empty());
}

TEST(ChangeTest, TruncatedPayloadIsRefused) {
  const std::string whole = Payload();
  for (size_t size = 0; size < whole.size(); ++size) {
    std::string_view rest = std::string_view(whole).substr(0, size);
    RetryOutcome outcome;
    Change change;
    bool present;
    int changes = 0;
    if (!TakeOutcome(&rest, &outcome, &present)) continue;
    while (!rest.empty() && TakeChange(&rest, &change)) ++changes;
    EXPECT_TRUE(!rest.empty() || changes < 2) << size;
  }
}

TEST(ChangeTest, SnapshotItemsAreReadAsTheyWereWritten) {
  ByteBuffer bytes;
  Entry* const entry = Entry::New("key", "\xa1v", 99);
  entry->set_version(42);
  AppendEntryItem(&bytes, *entry);
  Entry::Delete(entry);
  SnapshotItem item;
  ASSERT_TRUE(ReadSnapshotItem(bytes.view(), &item));
  EXPECT_EQ(item.kind, SnapshotItemKind::kEntry);
  EXPECT_EQ(item.version, 42u);
  EXPECT_EQ(item.change.value, "\xa1v");
  EXPECT_EQ(item.change.expires_at_ms, 99);

  bytes.Clear();
  AppendSessionItem(&bytes, 1, 2, 3, {RetryOutcome{.number = 4}, RetryOutcome{.number = 5}});
  ASSERT_TRUE(ReadSnapshotItem(bytes.view(), &item));
  EXPECT_EQ(item.done, 3u);
  ASSERT_EQ(item.outcomes.size(), 2u);
  EXPECT_EQ(item.outcomes[1].number, 5u);

  bytes.Clear();
  AppendIndexItem(&bytes, 1);
  ASSERT_TRUE(ReadSnapshotItem(bytes.view(), &item));
  EXPECT_EQ(item.order, 1);
  EXPECT_FALSE(ReadSnapshotItem("", &item));
  EXPECT_FALSE(ReadSnapshotItem("\x09", &item));
}

}  // namespace
}  // namespace entrepot
