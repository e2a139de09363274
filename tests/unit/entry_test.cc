#include "store/entry.h"

#include <memory>
#include <string>

#include <gtest/gtest.h>

namespace entrepot {
namespace {

struct DeleteEntry {
  void operator()(Entry* entry) const { Entry::Delete(entry); }
};
using OwnedEntry = std::unique_ptr<Entry, DeleteEntry>;

OwnedEntry Make(std::string_view key, std::string_view value, int64_t expires_at_ms = 0) {
  return OwnedEntry(Entry::New(key, value, expires_at_ms));
}

TEST(EntryTest, HandsBackWhatItWasMadeOf) {
  const OwnedEntry entry = Make("key", "\xa5value", 1'700'000'000'000);
  EXPECT_EQ(entry->key(), "key");
  EXPECT_EQ(entry->value(), "\xa5value");
  EXPECT_EQ(entry->value_size(), 6u);
  EXPECT_EQ(entry->expires_at_ms(), 1'700'000'000'000);
  EXPECT_EQ(entry->version(), 0u);
  EXPECT_EQ(entry->block(), nullptr);
  EXPECT_FALSE(entry->pinned());
}

TEST(EntryTest, HoldsTheShortestAndTheLongestKey) {
  const std::string longest(kKeyBytesMax, 'k');
  EXPECT_EQ(Make("k", "\xc0")->key(), "k");
  EXPECT_EQ(Make(longest, "\xc0")->key(), longest);
  EXPECT_EQ(Make(longest, "\xc0")->value(), "\xc0");
}

TEST(EntryTest, VersionLeavesTheKeyAlone) {
  const OwnedEntry entry = Make(std::string(kKeyBytesMax, 'k'), "\xc0");
  constexpr uint64_t kLargest = (uint64_t{1} << 53) - 1;
  entry->set_version(kLargest);
  EXPECT_EQ(entry->version(), kLargest);
  EXPECT_EQ(entry->key_size(), kKeyBytesMax);
  EXPECT_TRUE(entry->key_is_utf8());
  entry->set_version(1);
  EXPECT_EQ(entry->version(), 1u);
}

TEST(EntryTest, KnowsWhetherItsKeyIsUtf8) {
  EXPECT_TRUE(Make("entrep\xc3\xb4t", "\xc0")->key_is_utf8());
  EXPECT_FALSE(Make("entrep\xf4t", "\xc0")->key_is_utf8());
}

TEST(EntryTest, IsExpiredFromItsTimeOn) {
  const OwnedEntry entry = Make("k", "\xc0", 100);
  EXPECT_FALSE(entry->ExpiredAt(99));
  EXPECT_TRUE(entry->ExpiredAt(100));
  EXPECT_FALSE(Make("k", "\xc0")->ExpiredAt(INT64_MAX));
}

TEST(EntryTest, LargeValueStandsInABlockThatOutlivesTheEntry) {
  const std::string value(kBlockBytesMin, 'v');
  BlockRef kept;
  {
    const OwnedEntry entry = Make("k", value, 5);
    ASSERT_NE(entry->block(), nullptr);
    EXPECT_EQ(entry->value(), value);
    EXPECT_EQ(entry->value_size(), value.size());
    kept = BlockRef(entry->block());
  }
  EXPECT_EQ(kept.get()->bytes(), value);
  EXPECT_EQ(Make("k", value.substr(1))->block(), nullptr);
}

TEST(EntryTest, CopyHasTheSameValueAndAnotherExpiry) {
  const OwnedEntry entry = Make("key", "\xa5value", 5);
  const OwnedEntry permanent(Entry::CopyWithExpiry(*entry, 0));
  EXPECT_EQ(permanent->key(), "key");
  EXPECT_EQ(permanent->value(), "\xa5value");
  EXPECT_EQ(permanent->expires_at_ms(), 0);
  const OwnedEntry expiring(Entry::CopyWithExpiry(*permanent, 9));
  EXPECT_EQ(expiring->value(), "\xa5value");
  EXPECT_EQ(expiring->expires_at_ms(), 9);
}

TEST(EntryTest, CopySharesTheBlock) {
  const std::string value(kBlockBytesMin, 'v');
  OwnedEntry entry = Make("k", value);
  const OwnedEntry copy(Entry::CopyWithExpiry(*entry, 7));
  EXPECT_EQ(copy->block(), entry->block());
  entry.reset();
  EXPECT_EQ(copy->value(), value);
}

TEST(EntryTest, WhoTakesTheLastPinAwayIsTold) {
  const OwnedEntry entry = Make("key", std::string(1000, 'v'), 5);
  entry->Pin();
  entry->Pin();
  entry->Pin();
  EXPECT_TRUE(entry->pinned());
  EXPECT_EQ(entry->value_size(), 1000u);
  EXPECT_FALSE(entry->Unpin());
  EXPECT_FALSE(entry->Unpin());
  EXPECT_TRUE(entry->Unpin());
  EXPECT_FALSE(entry->pinned());
  EXPECT_EQ(entry->expires_at_ms(), 5);
}

TEST(EntryTest, AccountsForTheSizeClassesOfTheAllocator) {
  EXPECT_EQ(AllocatedBytes(8), 8u);
  EXPECT_EQ(AllocatedBytes(9), 16u);
  EXPECT_EQ(AllocatedBytes(128), 128u);
  EXPECT_EQ(AllocatedBytes(129), 160u);
  EXPECT_EQ(AllocatedBytes(256), 256u);
  EXPECT_EQ(AllocatedBytes(257), 320u);
  EXPECT_EQ(AllocatedBytes(16'385), 20'480u);
  // Header 12, key 16, value 34 are 62.
  EXPECT_EQ(Make(std::string(16, 'k'), std::string(34, 'v'))->allocated_bytes(), 64u);
  // With the time of expiry they are 70.
  EXPECT_EQ(Make(std::string(16, 'k'), std::string(34, 'v'), 1)->allocated_bytes(), 80u);
  EXPECT_GT(Make("k", std::string(kBlockBytesMin, 'v'))->allocated_bytes(), kBlockBytesMin);
}

}  // namespace
}  // namespace entrepot
