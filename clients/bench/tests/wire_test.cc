#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bench/wire/codec.h"
#include "bench/wire/msgpack_cursor.h"
#include "bench/wire/zmtp.h"
#include "bench/workload/random.h"

namespace entrepot::bench {
namespace {

using nlohmann::json;

// A value of a random shape, at most `depth` deep.
json RandomValue(Random* random, int depth) {
  switch (random->Below(depth > 0 ? 8 : 6)) {
    case 0:
      return nullptr;
    case 1:
      return random->Below(2) == 0;
    case 2:
      return random->Next() >> random->Below(64);
    case 3:
      return -static_cast<int64_t>(random->Next() >> (1 + random->Below(63)));
    case 4:
      return random->Fraction();
    case 5:
      return std::string(random->Below(300) * random->Below(300) / 3, 'x');
    case 6: {
      json array = json::array();
      for (uint64_t items = random->Below(40); items > 0; --items) {
        array.push_back(RandomValue(random, depth - 1));
      }
      return array;
    }
    default: {
      json map = json::object();
      for (uint64_t pairs = random->Below(20); pairs > 0; --pairs) {
        map[std::to_string(pairs)] = RandomValue(random, depth - 1);
      }
      return map;
    }
  }
}

TEST(MsgpackCursorTest, SkipTakesExactlyOneValue) {
  Random random(17);
  for (int round = 0; round < 2000; ++round) {
    std::string bytes;
    json::to_msgpack(RandomValue(&random, 3), bytes);
    MsgpackCursor whole(bytes);
    EXPECT_TRUE(whole.Skip());
    EXPECT_TRUE(whole.AtEnd());
    MsgpackCursor cut(std::string_view(bytes).substr(0, bytes.size() - 1));
    EXPECT_FALSE(cut.Skip());
  }
}

TEST(MsgpackCursorTest, IntegersOfAllSizesAreRead) {
  for (const int64_t number :
       {INT64_MIN, int64_t{-70000}, int64_t{-300}, int64_t{-128}, int64_t{-33}, int64_t{-1},
        int64_t{0}, int64_t{127}, int64_t{128}, int64_t{65535}, int64_t{65536}, INT64_MAX}) {
    std::string bytes;
    json::to_msgpack(json(number), bytes);
    int64_t read = 1;
    EXPECT_TRUE(MsgpackCursor(bytes).ReadSigned(&read));
    EXPECT_EQ(read, number);
  }
}

TEST(MsgpackCursorTest, ALengthBeyondTheEndIsRefused) {
  std::string_view text;
  EXPECT_FALSE(MsgpackCursor(std::string("\xdb\xff\xff\xff\xff", 5) + "abc").ReadBytes(&text));
  EXPECT_FALSE(MsgpackCursor(std::string("\xdd\xff\xff\xff\xff", 5)).Skip());
}

TEST(ZmtpTest, FramesAreReadAsTheyWereWritten) {
  for (const size_t size : {size_t{0}, size_t{255}, size_t{256}, size_t{70000}}) {
    char header[kFrameHeaderMax];
    std::string bytes(header, WriteFrameHeader(0, size, header));
    const size_t frame_bytes = bytes.append(size, 'x').size();
    bytes += "next";
    Frame frame;
    ASSERT_EQ(ParseFrame(bytes, &frame), FrameState::kWhole);
    EXPECT_EQ(frame.body, std::string(size, 'x'));
    EXPECT_EQ(frame.bytes, frame_bytes);
    EXPECT_EQ(ParseFrame(std::string_view(bytes).substr(0, frame_bytes - 1), &frame),
              FrameState::kPartial);
  }
}

TEST(ZmtpTest, ReservedFlagsAndGiantFramesAreBroken) {
  Frame frame;
  EXPECT_EQ(ParseFrame(std::string_view("\x08\x00", 2), &frame), FrameState::kBroken);
  EXPECT_EQ(ParseFrame("\x02\x7f\xff\xff\xff\xff\xff\xff\xff", &frame), FrameState::kBroken);
}

TEST(ZmtpTest, AGreetingIsUnderstoodOnceItIsWhole) {
  const std::string greeting = MakeZmtpGreeting("ROUTER");
  for (size_t size = 0; size < greeting.size(); ++size) {
    const auto partial = ParseZmtpGreeting(std::string_view(greeting).substr(0, size));
    ASSERT_TRUE(partial.ok());
    EXPECT_FALSE(partial->has_value());
  }
  const auto whole = ParseZmtpGreeting(greeting + "more");
  ASSERT_TRUE(whole.ok());
  EXPECT_EQ(*whole, greeting.size());
  EXPECT_FALSE(ParseZmtpGreeting("HTTP/1.1 400 Bad Request").ok());
}

TEST(ZmtpTest, APingIsAnsweredWithItsContext) {
  const auto pong =
      AnswerPing(std::string_view("\x04PING\x00\x0a"
                                  "context",
                                  14));
  ASSERT_TRUE(pong.has_value());
  EXPECT_EQ(*pong, std::string("\x04\x0c\x04PONGcontext", 14));
  EXPECT_FALSE(AnswerPing("\x04PONG").has_value());
}

// A client that has sent `batches` of one request each, and what it makes of the replies.
class CodecTest : public testing::Test {
 protected:
  CodecTest() : workload_(WorkloadOptions()) {}

  Client MakeClient(const Codec* codec, uint32_t batches, uint32_t requests, Kind kind) {
    mix_ = Mix(kind);
    Client client(RequestSource(&workload_, &mix_, RequestSource::Keys::kShared, 0, 1), codec,
                  batches, requests, nullptr, &findings_);
    std::vector<Request> scratch;
    while (client.has_room()) client.StartBatch(1, &scratch, &sent_);
    return client;
  }

  // Feeds `replies` cut in two at every place; each time all `batches` must be finished with
  // `misses` misses and `errors` errors, and nothing be left over.
  void ExpectWholeAtEveryCut(const Codec& codec, std::string_view replies, uint32_t batches,
                             Kind kind, uint64_t misses, uint64_t errors) {
    for (size_t cut = 0; cut <= replies.size(); ++cut) {
      Client client = MakeClient(&codec, batches, 1, kind);
      const Result<size_t> first = codec.Parse(replies.substr(0, cut), &client);
      ASSERT_TRUE(first.ok()) << first.status().message();
      const std::string_view rest = replies.substr(*first);
      const Result<size_t> second = codec.Parse(rest, &client);
      ASSERT_TRUE(second.ok()) << second.status().message();
      EXPECT_EQ(*second, rest.size());
      ASSERT_EQ(client.finished().size(), batches) << "cut at " << cut;
      uint64_t missed = 0, failed = 0;
      for (const uint32_t slot : client.finished()) {
        missed += client.batch(slot).misses;
        failed += client.batch(slot).errors;
      }
      EXPECT_EQ(missed, misses);
      EXPECT_EQ(failed, errors);
    }
  }

  Workload workload_;
  Mix mix_;
  Findings findings_;
  Buffer sent_;
};

TEST_F(CodecTest, RedisRepliesMayComeInPieces) {
  ExpectWholeAtEveryCut(
      *MakeRedisCodec(&workload_),
      "$5\r\nhello\r\n$-1\r\n-ERR no\r\n*2\r\n$1\r\na\r\n$2\r\nbc\r\n:12\r\n+OK\r\n", 6, Kind::kGet,
      1, 1);
}

TEST_F(CodecTest, MemcachedRepliesMayComeInPieces) {
  ExpectWholeAtEveryCut(
      *MakeMemcachedCodec(&workload_, /*meta=*/false),
      "VALUE k 0 5\r\nhello\r\nEND\r\nEND\r\nSTORED\r\nSERVER_ERROR out of memory\r\n", 4,
      Kind::kGet, 1, 1);
  ExpectWholeAtEveryCut(*MakeMemcachedCodec(&workload_, /*meta=*/true),
                        "VA 5\r\nhello\r\nEN\r\nHD\r\nCLIENT_ERROR bad\r\n", 4, Kind::kGet, 1, 1);
}

std::string Framed(std::string_view body) {
  char header[kFrameHeaderMax];
  return std::string(header, WriteFrameHeader(0, body.size(), header)).append(body);
}

std::string Packed(const json& value) {
  std::string bytes;
  json::to_msgpack(value, bytes);
  return bytes;
}

TEST_F(CodecTest, EntrepotRepliesMayComeInPiecesAndOvertakeEachOther) {
  const std::string found = Packed(
      json::array({1, 1, nullptr, {{"value", "x"}, {"status", "found"}, {"version", 70000}}}));
  const std::string missing =
      Packed(json::array({1, 2, nullptr, {{"version", 0}, {"status", "not_found"}}}));
  const std::string error = Packed(json::array(
      {1, 0, {{"message", "no"}, {"code", "overloaded"}, {"retry", "later"}}, nullptr}));
  ExpectWholeAtEveryCut(*MakeZmtpCodec(MakeEntrepotCodec(&workload_)),
                        Framed(missing) + Framed(error) + Framed(found), 3, Kind::kGet, 1, 1);
  EXPECT_GT(findings_.errors["overloaded"], 0u);
}

TEST_F(CodecTest, AReplyThatWasNotAskedForEndsTheConnection) {
  const auto codec = MakeZmtpCodec(MakeEntrepotCodec(&workload_));
  const json result = {{"status", "found"}};
  for (const json& reply : {json::array({1, 9, nullptr, result}), json::array({0, 0, "get", 3}),
                            json::array({1, 0, nullptr, 5}), json(7)}) {
    Client client = MakeClient(codec.get(), 2, 1, Kind::kGet);
    EXPECT_FALSE(codec->Parse(Framed(Packed(reply)), &client).ok()) << reply.dump();
  }
}

TEST_F(CodecTest, ABodyThatLacksResponsesEndsTheConnection) {
  const auto codec = MakeZmtpCodec(MakeEntrepotCodec(&workload_));
  Client client = MakeClient(codec.get(), 1, 2, Kind::kGet);
  const std::string one = Packed(json::array({1, 0, nullptr, {{"status", "found"}}}));
  EXPECT_FALSE(codec->Parse(Framed(one), &client).ok());
}

// What is sent decodes, by an independent library, to the requests that PROTOCOL.md asks for.
TEST_F(CodecTest, EntrepotRequestsAreMessagePackRpc) {
  const auto codec = MakeZmtpCodec(MakeEntrepotCodec(&workload_));
  const std::vector<std::pair<Kind, std::string>> kinds = {
      {Kind::kGet, "get"},   {Kind::kSet, "set"},   {Kind::kDelete, "delete"},
      {Kind::kFind, "find"}, {Kind::kPing, "ping"}, {Kind::kIncrement, "increment"}};
  for (const auto& [kind, method] : kinds) {
    sent_.Clear();
    Client client = MakeClient(codec.get(), 1, 1, kind);
    Frame frame;
    ASSERT_EQ(ParseFrame(sent_.view(), &frame), FrameState::kWhole);
    EXPECT_EQ(frame.bytes, sent_.size());
    const json request = json::from_msgpack(frame.body);
    EXPECT_EQ(request[0], 0);
    EXPECT_EQ(request[1], 0);
    EXPECT_EQ(request[2], method);
    const size_t params = kind == Kind::kPing                              ? 0
                          : kind == Kind::kSet || kind == Kind::kIncrement ? 2
                                                                           : 1;
    EXPECT_EQ(request[3].size(), params);
    if (kind == Kind::kSet) {
      EXPECT_EQ(request[3][0].get<std::string>().size(), 16u);
      EXPECT_EQ(request[3][1].get<std::string>().size(), 32u);
    }
  }
}

}  // namespace
}  // namespace entrepot::bench
