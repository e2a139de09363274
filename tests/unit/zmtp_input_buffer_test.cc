#include "zmtp/input_buffer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "zmtp/limits.h"

namespace entrepot::zmtp {
namespace {

using Source = InputBuffer::Source;

std::string Sample(size_t size) {
  std::string bytes(size, '\0');
  uint32_t state = 1;
  for (char& byte : bytes) byte = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
  return bytes;
}

std::string_view BytesOf(InputBuffer& buffer) {
  return {buffer.bytes().data(), buffer.bytes().size()};
}

// Receives what is behind bytes() of `message`, `portion` bytes at a time, until `size` are there.
void Receive(InputBuffer& buffer, std::string_view message, size_t size, size_t portion,
             Source source) {
  while (buffer.bytes().size() < size) {
    const size_t present = buffer.bytes().size();
    const size_t held = buffer.HeldAfterRoom(message.size());
    const std::span<char> room = buffer.Room(message.size(), source);
    ASSERT_EQ(buffer.held_bytes(), held);
    ASSERT_LE(held, std::max(2 * present, kLargeReadBytes));
    ASSERT_FALSE(room.empty());
    ASSERT_LE(present + room.size(), message.size());
    const size_t count = std::min({portion, room.size(), size - present});
    std::copy_n(message.data() + present, count, room.data());
    buffer.Filled(count);
  }
}

class InputBufferTest : public testing::TestWithParam<Source> {};

INSTANTIATE_TEST_SUITE_P(Sources, InputBufferTest, testing::Values(Source::kHeap, Source::kPages));

TEST_P(InputBufferTest, GrowsWithWhatArrives) {
  const std::string message = Sample(3 * kHeapBytesMax + 5);
  InputBuffer buffer;
  buffer.Keep({message.data(), 1000});
  Receive(buffer, message, message.size(), kLargeReadBytes, GetParam());
  EXPECT_EQ(BytesOf(buffer), message);
  EXPECT_EQ(buffer.held_bytes(), message.size());
  buffer.Drop(message.size());
  EXPECT_TRUE(buffer.empty());
  buffer.Free();
  EXPECT_EQ(buffer.held_bytes(), 0u);
}

TEST_P(InputBufferTest, KeepsWhatStandsBehindWhatIsDropped) {
  const std::string message = Sample(3 << 20);
  InputBuffer buffer;
  Receive(buffer, message, 1 << 20, 100'000, GetParam());
  constexpr size_t kDone = 12'345;
  buffer.Drop(kDone);
  const std::string_view rest = std::string_view(message).substr(kDone);
  Receive(buffer, rest, rest.size(), 100'000, GetParam());
  EXPECT_EQ(BytesOf(buffer), rest);
}

TEST_F(InputBufferTest, GoesFromTheHeapToPagesWhenMemoryBecomesShort) {
  const std::string message = Sample(kHeapBytesMax - 1);
  InputBuffer buffer;
  Receive(buffer, message, 1 << 20, kLargeReadBytes, Source::kHeap);
  Receive(buffer, message, 3 << 20, kLargeReadBytes, Source::kPages);
  Receive(buffer, message, message.size(), kLargeReadBytes, Source::kHeap);
  EXPECT_EQ(BytesOf(buffer), message);
}

TEST_P(InputBufferTest, IsReadyForTheNextMessageWhenFreed) {
  const std::string message = Sample(2 << 20);
  InputBuffer buffer;
  for (int round = 0; round < 3; ++round) {
    Receive(buffer, message, message.size() / 2, kLargeReadBytes, GetParam());
    EXPECT_EQ(BytesOf(buffer), std::string_view(message).substr(0, message.size() / 2));
    buffer.Free();
    buffer.Keep({message.data(), 10});
    EXPECT_EQ(buffer.held_bytes(), 10u);
    buffer.Drop(10);
    buffer.Free();
  }
}

}  // namespace
}  // namespace entrepot::zmtp
