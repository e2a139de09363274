// That a request asks the allocator for nothing but its entry. Needs jemalloc's own account, so it
// is skipped where a sanitizer has taken the allocator's place.
#include "support/hot_path.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "store/entry.h"

extern "C" __attribute__((weak)) int mallctl(const char* name, void* old_value, size_t* old_size,
                                             void* new_value, size_t new_size);

namespace entrepot {
namespace {

constexpr size_t kEntries = 10'000;
constexpr size_t kRequests = 64;
constexpr int kTurns = 100;
constexpr int kMeasurements = 40;

class HotPathTest : public testing::TestWithParam<std::pair<size_t, size_t>> {
 protected:
  void SetUp() override {
    if (mallctl == nullptr) GTEST_SKIP() << "jemalloc is not in this program";
  }
  // Bytes that this thread has asked for since it began.
  static uint64_t AllocatedBytes() {
    uint64_t bytes = 0;
    size_t size = sizeof(bytes);
    EXPECT_EQ(mallctl("thread.allocated", &bytes, &size, nullptr, 0), 0);
    return bytes;
  }
  // What a request asks for, when all buffers have grown: the least that some turns ask for. Others
  // ask for more when another thread is held up in its turn, so that lists of what is to be freed
  // grow.
  static double BytesARequest(HotPath::Sender* sender) {
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < kMeasurements; ++i) {
      const uint64_t before = AllocatedBytes();
      for (int turn = 0; turn < kTurns; ++turn) sender->Send();
      least = std::min(least, AllocatedBytes() - before);
    }
    return static_cast<double>(least) / (kTurns * kRequests);
  }

  HotPath path_{kEntries, /*indexed=*/false};
};

TEST_P(HotPathTest, AGetAllocatesNothing) {
  const auto [bodies, requests] = GetParam();
  HotPath::Sender sender(&path_, HotPath::Sender::Kind::kGet, bodies, requests, 1);
  EXPECT_EQ(BytesARequest(&sender), 0);
}

TEST_P(HotPathTest, ASetAllocatesItsEntryOnce) {
  const auto [bodies, requests] = GetParam();
  HotPath::Sender sender(&path_, HotPath::Sender::Kind::kSet, bodies, requests, 1);
  ByteBuffer value;
  PackString(&value, HotPath::Value(1, 1));
  Entry* const entry = Entry::New(HotPath::Key(1), value.view(), 0);
  const double bytes = static_cast<double>(entry->allocated_bytes());
  Entry::Delete(entry);
  EXPECT_EQ(BytesARequest(&sender), bytes);
}

INSTANTIATE_TEST_SUITE_P(BodiesAndRequests, HotPathTest,
                         testing::Values(std::pair<size_t, size_t>(kRequests, 1),
                                         std::pair<size_t, size_t>(1, kRequests)));

}  // namespace
}  // namespace entrepot
