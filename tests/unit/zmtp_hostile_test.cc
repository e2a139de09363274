// What peers that are broken or mean no good can do to the ZMTP server: each costs them their own
// connection, is counted under its own name, and leaves the others served.

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "unit/zmtp_server_fixture.h"

namespace entrepot::zmtp {
namespace {

class ZmtpHostileTest : public testing::Test {
 protected:
  // Small bounds, so that they are reached quickly.
  ZmtpHostileTest() {
    limits.body_bytes = size_t{8} << 20;
    limits.subscriptions = 50;
    limits.subscription_bytes = 100;
    limits.linger_ms = 200;
  }

  void StartServer() {
    echo = std::make_unique<EchoServer>(ServerOptions{.io_threads = 1, .limits = limits});
    echo->on_messages = on_messages;
    echo->Start();
  }

  // Says `bytes` after a proper handshake; the connection must end, counted as `reason`, and others
  // must be served.
  void ExpectRefused(std::string_view bytes, Event reason, std::string_view type = "DEALER") {
    if (echo == nullptr) StartServer();
    const uint64_t before = echo->Count(reason);
    const bool is_feed = type == "SUB";
    RawPeer peer(is_feed ? echo->feed_endpoint : echo->requests_endpoint);
    peer.Introduce(type);
    peer.Say(bytes);
    peer.HearOut();
    echo->ExpectCount(reason, before + 1);
    ExpectOthersServed();
  }

  void ExpectOthersServed() {
    RawPeer good(echo->requests_endpoint);
    good.Introduce();
    good.ExpectEcho("hello");
  }

  ZmtpLimits limits;
  std::function<void(std::span<const Message>)> on_messages;
  std::unique_ptr<EchoServer> echo;
};

TEST_F(ZmtpHostileTest, AMultipartMessageThatNeverEnds) {
  std::string frames;
  for (int i = 0; i < 1000; ++i) frames += Frame(kFlagMore, "");
  ExpectRefused(frames, Event::kTooManyFrames);
}

TEST_F(ZmtpHostileTest, AFrameOfTwoToThe63) {
  ExpectRefused(LongHeader(0, uint64_t{1} << 63), Event::kFrameMalformed);
}

TEST_F(ZmtpHostileTest, ABodyOverItsBoundIsRefusedByItsHeader) {
  ExpectRefused(LongHeader(0, limits.body_bytes + 1), Event::kBodyTooLarge);
  EXPECT_EQ(echo->server.HeldInput(), 0u);
}

TEST_F(ZmtpHostileTest, AnEnvelopeOverItsBound) {
  ExpectRefused(LongHeader(kFlagMore, limits.envelope_bytes + 1), Event::kEnvelopeTooLarge);
}

TEST_F(ZmtpHostileTest, AnAnnouncedBodyTakesNoMemory) {
  StartServer();
  std::vector<std::unique_ptr<RawPeer>> peers;
  for (int i = 0; i < 100; ++i) {
    peers.push_back(std::make_unique<RawPeer>(echo->requests_endpoint));
    peers.back()->Introduce();
    peers.back()->Say(LongHeader(0, limits.body_bytes) + "x");
  }
  EXPECT_TRUE(Eventually([&] { return echo->server.HeldInput() >= 100 * 10; }));
  EXPECT_LE(echo->server.HeldInput(), 100 * 2 * kLargeReadBytes);
  ExpectOthersServed();
}

TEST_F(ZmtpHostileTest, AnIdentityOfOneMegabyte) {
  StartServer();
  RawPeer peer(echo->requests_endpoint);
  const std::string property =
      Property("Socket-Type", "DEALER") + Property("Identity", std::string(1 << 20, 'i'));
  peer.Say(std::string(Greeting()) + CommandFrame("READY", property));
  EXPECT_NE(peer.HearOut().find("ERROR"), std::string::npos);
  echo->ExpectCount(Event::kHandshakeTooLarge, 1);
  ExpectOthersServed();
}

// libzmq reserves identities that begin with a zero byte, and ignores a second peer under an
// identity in use. Here an identity means nothing: both are served.
TEST_F(ZmtpHostileTest, ReservedAndEqualIdentitiesAreIgnored) {
  StartServer();
  const std::string hello =
      std::string(Greeting()) + ReadyFrame("DEALER", std::string("\0\0\0\0\1", 5));
  RawPeer first(echo->requests_endpoint), second(echo->requests_endpoint);
  for (RawPeer* peer : {&first, &second}) {
    ASSERT_TRUE(peer->Say(hello));
    peer->Hear(kGreetingBytes + ReadyFrame("ROUTER").size() + Property("Identity", "").size());
    peer->ExpectEcho("served");
  }
  echo->ExpectCount(Event::kIdentitiesIgnored, 2);
}

TEST_F(ZmtpHostileTest, HalfAGreetingAndSilence) {
  limits.handshake_ms = 50;
  StartServer();
  RawPeer peer(echo->requests_endpoint);
  peer.Say(Greeting().substr(0, 20));
  peer.HearOut();
  echo->ExpectCount(Event::kHandshakeTimeout, 1);
  ExpectOthersServed();
}

TEST_F(ZmtpHostileTest, AGreetingAndNoReady) {
  limits.handshake_ms = 50;
  StartServer();
  RawPeer silent(echo->requests_endpoint), stalling(echo->requests_endpoint);
  silent.Say(Greeting());
  stalling.Say(std::string(Greeting()) + ReadyFrame("DEALER").substr(0, 12));
  silent.HearOut();
  stalling.HearOut();
  echo->ExpectCount(Event::kHandshakeTimeout, 2);
  ExpectOthersServed();
}

TEST_F(ZmtpHostileTest, PeersThatSpeakSomethingElse) {
  StartServer();
  RawPeer browser(echo->requests_endpoint), old(echo->requests_endpoint);
  browser.Say("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  browser.HearOut();
  echo->ExpectCount(Event::kNotZmtp, 1);
  old.Say(std::string("\xff\0\0\0\0\0\0\0\1\x7f\1\5", 12));
  old.HearOut();
  echo->ExpectCount(Event::kOlderPeer, 1);
  EXPECT_TRUE(Eventually([&] { return echo->refusals_told >= 2; }));
  ExpectOthersServed();
}

TEST_F(ZmtpHostileTest, AWrongSocketTypeIsToldSo) {
  StartServer();
  RawPeer peer(echo->requests_endpoint);
  peer.Say(Introduction("PUSH"));
  EXPECT_NE(peer.HearOut().find("socket type"), std::string::npos);
  echo->ExpectCount(Event::kSocketType, 1);
}

TEST_F(ZmtpHostileTest, JunkAfterReady) {
  ExpectRefused(std::string(100'000, '\xee'), Event::kFrameMalformed);
}

TEST_F(ZmtpHostileTest, OddCommandFrames) {
  ExpectRefused(Frame(kFlagCommand | kFlagMore, "x"), Event::kFrameMalformed);
  ExpectRefused(Frame(kFlagCommand, ""), Event::kCommandMalformed);
  ExpectRefused(Frame(kFlagCommand, "\x20too short"), Event::kCommandMalformed);
  ExpectRefused(LongHeader(kFlagCommand, 1 << 20), Event::kCommandTooLarge);
  ExpectRefused(ReadyFrame("DEALER"), Event::kCommandUnexpected);
}

TEST_F(ZmtpHostileTest, APingFloodWhoseAnswersNobodyReads) {
  limits.output_bytes_pause = 64 << 10;
  StartServer();
  RawPeer peer(echo->requests_endpoint, 4096);
  peer.Introduce();
  const std::string ping = CommandFrame("PING", std::string("\0\0", 2) + "0123456789abcdef");
  std::string pings;
  for (int i = 0; i < 1000; ++i) pings += ping;
  std::thread flood([&] {
    while (peer.Say(pings)) {
    }
  });
  // Its reading stops, so what waits for it stays near the bound.
  EXPECT_TRUE(Eventually([&] { return echo->Count(Event::kReadingPaused) == 1; }));
  EXPECT_LE(echo->server.HeldOutput(), limits.output_bytes_pause + limits.slice_bytes);
  ExpectOthersServed();
  echo->server.Close(echo->Opened().front());
  flood.join();
}

TEST_F(ZmtpHostileTest, SilenceBeyondTheTimeThatAPingAnnounced) {
  StartServer();
  RawPeer peer(echo->requests_endpoint);
  peer.Introduce();
  peer.Say(CommandFrame("PING", std::string("\0\1", 2)));
  EXPECT_EQ(peer.HearOut(), CommandFrame("PONG", ""));
  echo->ExpectCount(Event::kTtlExpired, 1);
}

TEST_F(ZmtpHostileTest, SubscriptionsWithoutEnd) {
  std::string bytes;
  for (int i = 0; i < 1000; ++i) bytes += CommandFrame("SUBSCRIBE", std::to_string(i));
  ExpectRefused(bytes, Event::kTooManySubscriptions, "SUB");
  EXPECT_TRUE(Eventually([&] { return echo->server.HeldInput() == 0; }));
}

TEST_F(ZmtpHostileTest, ASubscriptionOverItsBound) {
  ExpectRefused(CommandFrame("SUBSCRIBE", std::string(101, 's')), Event::kSubscriptionTooLarge,
                "SUB");
}

TEST_F(ZmtpHostileTest, AReaderThatNeverReadsIsNotReadEither) {
  limits.output_bytes_pause = 256 << 10;
  StartServer();
  RawPeer peer(echo->requests_endpoint, 4096);
  peer.Introduce();
  const std::string request = Frame(0, std::string(10'000, 'r'));
  std::thread sender([&] {
    while (peer.Say(request)) {
    }
  });
  EXPECT_TRUE(Eventually([&] { return echo->Count(Event::kReadingPaused) == 1; }));
  EXPECT_LE(echo->server.HeldOutput(), 3 * limits.output_bytes_pause);
  ExpectOthersServed();
  echo->server.Close(echo->Opened().front());
  sender.join();
}

TEST_F(ZmtpHostileTest, AReaderThatNeverReadsAndAsksForMuchIsClosed) {
  limits.output_bytes_close = 4 << 20;
  const std::string large(1 << 20, 'v');
  on_messages = [&](std::span<const Message> messages) {
    for (const Message& message : messages) {
      const Piece body{message.body == "hello" ? message.body : large};
      echo->server.Send(message.connection, message.envelope, {&body, 1});
    }
  };
  StartServer();
  RawPeer peer(echo->requests_endpoint, 4096);
  peer.Introduce();
  std::string requests;
  for (int i = 0; i < 60; ++i) requests += Frame(0, "large");
  peer.Say(requests);
  echo->ExpectCount(Event::kOutputOfPeer, 1);
  EXPECT_TRUE(Eventually([&] { return echo->server.HeldOutput() == 0; }));
  ExpectOthersServed();
}

TEST_F(ZmtpHostileTest, AWriterOfOneByteAtATimeHoldsBytesOnly) {
  StartServer();
  RawPeer peer(echo->requests_endpoint);
  peer.Introduce();
  const std::string frame = Frame(0, std::string(60, 's'));
  for (const char byte : frame) {
    const uint64_t before = echo->Count(Event::kBytesReceived);
    ASSERT_TRUE(peer.Say(std::string_view(&byte, 1)));
    ASSERT_TRUE(Eventually([&] { return echo->Count(Event::kBytesReceived) == before + 1; }));
    ASSERT_LE(echo->server.HeldInput(), frame.size());
  }
  EXPECT_EQ(peer.Hear(frame.size()), frame);
}

TEST_F(ZmtpHostileTest, DeathInTheMiddleOfAMessage) {
  StartServer();
  for (const bool resets : {false, true}) {
    RawPeer peer(echo->requests_endpoint);
    peer.Introduce();
    const size_t half = limits.body_bytes / 2;
    ASSERT_TRUE(peer.Say(LongHeader(0, limits.body_bytes) + std::string(half, 'x')));
    EXPECT_TRUE(Eventually([&] { return echo->server.HeldInput() >= half; }));
    resets ? peer.Reset() : peer.Hangup();
    EXPECT_TRUE(Eventually([&] { return echo->server.HeldInput() == 0; }));
  }
  echo->ExpectCount(Event::kDiedInMessage, 1);
  echo->ExpectCount(Event::kSocketFailed, 1);
}

TEST_F(ZmtpHostileTest, DeathWhileItsAnswerIsWritten) {
  limits.output_bytes_pause = 64 << 10;
  StartServer();
  for (int i = 0; i < 20; ++i) {
    RawPeer peer(echo->requests_endpoint, 4096);
    peer.Introduce();
    for (int j = 0; j < 10; ++j) peer.Say(Frame(0, std::string(200'000, 'x')));
    peer.Reset();
  }
  EXPECT_TRUE(Eventually([&] { return echo->server.Connections() == 0; }));
  EXPECT_EQ(echo->server.HeldOutput(), 0u);
  EXPECT_EQ(echo->server.HeldInput(), 0u);
  ExpectOthersServed();
}

TEST_F(ZmtpHostileTest, AHalfClosedPeerStillGetsItsAnswers) {
  StartServer();
  RawPeer peer(echo->requests_endpoint);
  peer.Introduce();
  const std::string large = Frame(0, std::string(4 << 20, 'x'));
  std::thread sender([&] {
    peer.Say(large);
    peer.FinishSending();
  });
  EXPECT_EQ(peer.HearOut(), large);
  sender.join();
  echo->ExpectCount(Event::kPeerClosed, 1);
}

TEST_F(ZmtpHostileTest, AMillionTinyFrames) {
  StartServer();
  RawPeer peer(echo->requests_endpoint);
  peer.Introduce();
  constexpr size_t kCount = 1'000'000;
  std::string frames;
  for (size_t i = 0; i < kCount; ++i) frames += Frame(0, "");
  std::thread sender([&] { peer.Say(frames); });
  ExpectOthersServed();
  EXPECT_EQ(peer.Hear(frames.size()).size(), frames.size());
  sender.join();
}

TEST_F(ZmtpHostileTest, AFloodOfConnections) {
  limits.connections = 20;
  limits.connections_of_address = 20;
  StartServer();
  std::vector<std::unique_ptr<RawPeer>> peers;
  for (int i = 0; i < 19; ++i) peers.push_back(std::make_unique<RawPeer>(echo->requests_endpoint));
  RawPeer good(echo->requests_endpoint);
  good.Introduce();
  for (int i = 0; i < 100; ++i) RawPeer(echo->requests_endpoint).HearOut();
  echo->ExpectCount(Event::kConnectionsInAll, 100);
  good.ExpectEcho("served");
  // Only so many a second are told of.
  EXPECT_LE(echo->refusals_told, 2 * kRefusedInputLines);
  peers.clear();
  EXPECT_TRUE(Eventually([&] { return echo->server.Connections() == 1; }));
  ExpectOthersServed();
}

TEST_F(ZmtpHostileTest, TooManyConnectionsOfOneAddress) {
  limits.connections_of_address = 3;
  StartServer();
  std::vector<std::unique_ptr<RawPeer>> peers;
  for (int i = 0; i < 3; ++i) {
    peers.push_back(std::make_unique<RawPeer>(echo->requests_endpoint));
    peers.back()->Introduce();
  }
  RawPeer(echo->requests_endpoint).HearOut();
  echo->ExpectCount(Event::kConnectionsOfAddress, 1);
  peers.front()->ExpectEcho("served");
}

TEST_F(ZmtpHostileTest, IdleConnectionsHoldNothing) {
  StartServer();
  std::vector<std::unique_ptr<RawPeer>> peers;
  for (int i = 0; i < 400; ++i) {
    peers.push_back(std::make_unique<RawPeer>(echo->requests_endpoint));
    peers.back()->Introduce();
  }
  EXPECT_EQ(echo->server.HeldInput(), 0u);
  EXPECT_EQ(echo->server.HeldOutput(), 0u);
  ExpectOthersServed();
}

TEST_F(ZmtpHostileTest, NoFileDescriptorLeft) {
  StartServer();
  ExpectOthersServed();
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  RawPeer peer(echo->requests_endpoint);
  peer.Introduce();
  // The next descriptor would be at the limit; the client's own is made before.
  const int client = socket(AF_INET, SOCK_STREAM, 0);
  const rlimit none_left{static_cast<rlim_t>(client) + 1, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none_left), 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const std::string& endpoint = echo->requests_endpoint;
  address.sin_port =
      htons(static_cast<uint16_t>(std::stoi(endpoint.substr(endpoint.rfind(':') + 1))));
  EXPECT_EQ(connect(client, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  echo->ExpectCount(Event::kDescriptors, 1);
  peer.ExpectEcho("served");
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  close(client);
  ExpectOthersServed();
}

// Two peers fill the memory for unfinished input. The one that holds most of it is closed; the
// other can finish.
TEST_F(ZmtpHostileTest, UnfinishedInputInAll) {
  limits.input_bytes_in_all = 8 << 20;
  StartServer();
  RawPeer hog(echo->requests_endpoint), modest(echo->requests_endpoint);
  hog.Introduce();
  modest.Introduce();
  std::thread hogging(
      [&] { hog.Say(LongHeader(0, limits.body_bytes) + std::string(limits.body_bytes - 1, 'h')); });
  EXPECT_TRUE(Eventually([&] { return echo->Count(Event::kReadingStalled) > 0; }));
  const std::string frame = Frame(0, std::string(3 << 20, 'm'));
  std::thread sender([&] { modest.Say(frame); });
  EXPECT_EQ(modest.Hear(frame.size()), frame);
  sender.join();
  hogging.join();
  echo->ExpectCount(Event::kInputInAll, 1);
  EXPECT_TRUE(Eventually([&] { return echo->server.HeldInput() == 0; }));
  ExpectOthersServed();
}

// Between two tries of those that wait for memory there are turns in which nobody does: with short
// turns and somebody who is always ready, nearly all of them.
TEST_F(ZmtpHostileTest, UnfinishedInputInAllBesideABusyPeer) {
  limits.input_bytes_in_all = 8 << 20;
  limits.turn_micros = 0;
  limits.slice_messages = 1;
  on_messages = [](std::span<const Message>) {};
  StartServer();
  RawPeer busy(echo->requests_endpoint), hog(echo->requests_endpoint);
  busy.Introduce();
  hog.Introduce();
  std::thread hogging(
      [&] { hog.Say(LongHeader(0, limits.body_bytes) + std::string(limits.body_bytes - 1, 'h')); });
  std::atomic<bool> is_over{false};
  std::thread working([&] {
    std::string frames;
    for (int i = 0; i < 1000; ++i) frames += Frame(0, "");
    while (!is_over && busy.Say(frames)) {
    }
  });
  echo->ExpectCount(Event::kInputInAll, 1);
  is_over = true;
  working.join();
  hogging.join();
}

// Twenty peers never read. When all that waits for them is too much, those with most go, also when
// they belong to another thread than the one that noticed.
TEST_F(ZmtpHostileTest, WaitingOutputInAll) {
  limits.output_bytes_in_all = 16 << 20;
  limits.output_bytes_pause = 64 << 20;
  limits.output_bytes_close = 64 << 20;
  const std::string large(2 << 20, 'v');
  on_messages = [&](std::span<const Message> messages) {
    for (const Message& message : messages) {
      const Piece body{message.body == "hello" ? message.body : large};
      echo->server.Send(message.connection, message.envelope, {&body, 1});
    }
  };
  echo = std::make_unique<EchoServer>(ServerOptions{.io_threads = 2, .limits = limits});
  echo->on_messages = on_messages;
  echo->Start();
  std::vector<std::unique_ptr<RawPeer>> peers;
  for (int i = 0; i < 20; ++i) {
    peers.push_back(std::make_unique<RawPeer>(echo->requests_endpoint, 4096));
    peers.back()->Introduce();
    peers.back()->Say(Frame(0, "large") + Frame(0, "large"));
  }
  EXPECT_TRUE(Eventually([&] { return echo->Count(Event::kMessagesReceived) == 40; }));
  EXPECT_TRUE(Eventually([&] { return echo->Count(Event::kOutputInAll) > 0; }));
  EXPECT_TRUE(Eventually([&] { return echo->server.HeldOutput() <= limits.output_bytes_in_all; }));
  EXPECT_LT(echo->Count(Event::kOutputInAll), 20u);
  ExpectOthersServed();
}

}  // namespace
}  // namespace entrepot::zmtp
