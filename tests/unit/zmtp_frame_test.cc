#include "zmtp/frame.h"

#include <gtest/gtest.h>

#include <string>

#include "unit/zmtp_bytes.h"

namespace entrepot::zmtp {
namespace {

constexpr ItemLimits kLimits{
    .frames = 4, .envelope_bytes = 600, .body_bytes = 70'000, .command_bytes = 300};

Item Read(std::string_view bytes) { return ReadItem(bytes, kLimits); }

std::string_view Payload(std::string_view bytes, const Item& item) {
  return bytes.substr(item.payload, item.end - item.payload);
}

// Reads every beginning of `bytes`: each must be incomplete, ask for more than is there and for no
// more than there will be.
void ExpectIncompleteAtEverySplit(std::string_view bytes) {
  for (size_t size = 0; size < bytes.size(); ++size) {
    const Item item = Read(bytes.substr(0, size));
    ASSERT_EQ(item.kind, Item::Kind::kIncomplete) << size;
    ASSERT_GT(item.end, size);
    ASSERT_LE(item.end, bytes.size());
  }
}

TEST(ZmtpFrameTest, ShortAndLongHeadersCarryTheSamePayload) {
  for (const size_t size : {size_t{0}, size_t{1}, size_t{255}, size_t{256}, size_t{70'000}}) {
    const std::string payload(size, 'x');
    for (const std::string& bytes : {Frame(0, payload), LongFrame(0, payload)}) {
      const Item item = Read(bytes);
      ASSERT_EQ(item.kind, Item::Kind::kMessage);
      EXPECT_EQ(Payload(bytes, item), payload);
      EXPECT_EQ(item.end, bytes.size());
      EXPECT_EQ(item.envelope_frames, 0u);
    }
  }
}

TEST(ZmtpFrameTest, HeadersAreAsShortAsThePayloadAllows) {
  EXPECT_EQ(Frame(0, std::string(255, 'x')).size(), 255 + kShortHeaderBytes);
  EXPECT_EQ(Frame(0, std::string(256, 'x')).size(), 256 + kLongHeaderBytes);
  EXPECT_EQ(FrameHeaderBytes(255), kShortHeaderBytes);
  EXPECT_EQ(FrameHeaderBytes(256), kLongHeaderBytes);
}

TEST(ZmtpFrameTest, TheEnvelopeIsEverythingBeforeTheLastFrame) {
  const std::string envelope = Frame(kFlagMore, "id") + LongFrame(kFlagMore, "");
  const std::string bytes = envelope + Frame(0, "body") + "behind";
  const Item item = Read(bytes);
  ASSERT_EQ(item.kind, Item::Kind::kMessage);
  EXPECT_EQ(item.envelope_frames, 2u);
  EXPECT_EQ(bytes.substr(0, item.envelope_end), envelope);
  EXPECT_EQ(Payload(bytes, item), "body");
  EXPECT_EQ(bytes.substr(item.end), "behind");
}

TEST(ZmtpFrameTest, EverySplitOfAMessageIsIncomplete) {
  ExpectIncompleteAtEverySplit(Frame(kFlagMore, "id") + Frame(kFlagMore, "") +
                               Frame(0, std::string(300, 'x')));
  ExpectIncompleteAtEverySplit(CommandFrame("PING", std::string("\0\1", 2)));
}

TEST(ZmtpFrameTest, ACommandBetweenFramesIsFoundBehindThem) {
  const std::string first = Frame(kFlagMore, "id");
  const std::string command = CommandFrame("PING", std::string("\0\0", 2));
  const std::string bytes = first + command + Frame(0, "body");
  const Item item = Read(bytes);
  ASSERT_EQ(item.kind, Item::Kind::kCommand);
  EXPECT_EQ(item.envelope_end, first.size());
  EXPECT_EQ(item.end, first.size() + command.size());
}

TEST(ZmtpFrameTest, BoundsHoldExactly) {
  const auto frames = [](int count) {
    std::string bytes;
    for (int i = 1; i < count; ++i) bytes += Frame(kFlagMore, "");
    return bytes + Frame(0, "");
  };
  EXPECT_EQ(Read(frames(4)).kind, Item::Kind::kMessage);
  EXPECT_EQ(Read(frames(5)).reason, Event::kTooManyFrames);

  const std::string half(300, 'e');
  const std::string envelope = Frame(kFlagMore, half) + Frame(kFlagMore, half);
  EXPECT_EQ(Read(envelope + Frame(0, "")).kind, Item::Kind::kMessage);
  EXPECT_EQ(Read(envelope + Frame(kFlagMore, "1")).reason, Event::kEnvelopeTooLarge);

  EXPECT_EQ(Read(Frame(kFlagCommand, half)).kind, Item::Kind::kCommand);
  EXPECT_EQ(Read(Frame(kFlagCommand, half + "1")).reason, Event::kCommandTooLarge);
}

TEST(ZmtpFrameTest, AnAnnouncedSizeIsRefusedBeforeItsPayloadArrives) {
  EXPECT_EQ(Read(LongHeader(0, 70'000)).kind, Item::Kind::kIncomplete);
  EXPECT_EQ(Read(LongHeader(0, 70'001)).reason, Event::kBodyTooLarge);
  EXPECT_EQ(Read(LongHeader(0, (uint64_t{1} << 63) - 1)).reason, Event::kBodyTooLarge);
  EXPECT_EQ(Read(LongHeader(0, uint64_t{1} << 63)).reason, Event::kFrameMalformed);
  EXPECT_EQ(Read(LongHeader(0, ~uint64_t{0})).reason, Event::kFrameMalformed);
  EXPECT_EQ(Read(LongHeader(kFlagMore, uint64_t{1} << 40)).reason, Event::kEnvelopeTooLarge);
}

TEST(ZmtpFrameTest, ReservedFlagsAndCommandsWithMoreAreMalformed) {
  for (int flags = 0; flags < 256; ++flags) {
    std::string bytes(1, static_cast<char>(flags));
    bytes.append(20, '\0');
    const bool is_malformed = flags > 7 || (flags & 5) == 5;
    EXPECT_EQ(Read(bytes).reason == Event::kFrameMalformed, is_malformed) << flags;
  }
}

}  // namespace
}  // namespace entrepot::zmtp
