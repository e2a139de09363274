#include "zmtp/session.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "unit/zmtp_bytes.h"

namespace entrepot::zmtp {
namespace {

constexpr ConnectionHandle kHandle = 0x100000000;

struct Heard {
  std::string envelope;
  std::string body;
  bool operator==(const Heard&) const = default;
};

class RecordingSink final : public SubscriptionSink {
 public:
  Event OnSubscribe(std::string_view prefix) override {
    log.push_back("+" + std::string(prefix));
    return Event::kNone;
  }
  void OnCancel(std::string_view prefix) override { log.push_back("-" + std::string(prefix)); }
  std::vector<std::string> log;
};

// A session that is fed portions, as a connection would.
class Peer {
 public:
  explicit Peer(EndpointKind kind = EndpointKind::kRequests)
      : session_(kind, kHandle, limits_, counters) {}

  // Appends to what was left and takes all that can be taken.
  void Say(std::string_view bytes) {
    pending_.append(bytes);
    for (;;) {
      std::vector<Message> messages;
      const Session::Taken taken = session_.Take(pending_, sink, &messages, &answers);
      for (const Message& message : messages) {
        EXPECT_EQ(message.connection, kHandle);
        heard.push_back({std::string(message.envelope), std::string(message.body)});
      }
      if (taken.refused != Event::kNone) refused = taken.refused;
      pending_.erase(0, taken.bytes);
      needed = taken.needed;
      if (!taken.sliced) return;
    }
  }

  Session::Phase phase() const { return session_.phase(); }
  int64_t ttl_micros() const { return session_.ttl_micros(); }

  std::vector<Heard> heard;
  std::string answers;
  Event refused = Event::kNone;
  size_t needed = 0;
  RecordingSink sink;
  Counters counters;

 private:
  ZmtpLimits limits_;
  Session session_;
  std::string pending_;
};

// What a session does with these first bytes, said at once and byte by byte, which is the same.
Event RefusalOf(const std::string& bytes, EndpointKind kind = EndpointKind::kRequests) {
  Peer whole(kind), bytewise(kind);
  whole.Say(bytes);
  for (const char byte : bytes) bytewise.Say(std::string_view(&byte, 1));
  EXPECT_EQ(whole.refused, bytewise.refused);
  EXPECT_EQ(whole.answers, bytewise.answers);
  return whole.refused;
}

std::string GreetingWith(size_t at, char byte) {
  std::string greeting(Greeting());
  greeting[at] = byte;
  return greeting;
}

TEST(ZmtpSessionTest, AHandshakeIsAnsweredWithReady) {
  Peer peer;
  peer.Say(Introduction("DEALER"));
  EXPECT_EQ(peer.phase(), Session::Phase::kTraffic);
  EXPECT_EQ(peer.answers,
            CommandFrame("READY", Property("Socket-Type", "ROUTER") + Property("Identity", "")));
  Peer subscriber(EndpointKind::kFeed);
  subscriber.Say(Introduction("SUB"));
  EXPECT_EQ(subscriber.answers, CommandFrame("READY", Property("Socket-Type", "PUB")));
}

TEST(ZmtpSessionTest, EverySplitGivesTheSameMessages) {
  const std::string ping = CommandFrame("PING", std::string("\0\0ctx", 5));
  const std::string envelope = Frame(kFlagMore, "id") + Frame(kFlagMore, "");
  const std::string bytes = Introduction("REQ") + Frame(0, "plain") + ping + envelope +
                            Frame(0, std::string(300, 'x')) + Frame(kFlagMore, "a") + ping +
                            Frame(kFlagMore, "b") + ping + Frame(0, "between");
  const std::vector<Heard> expected = {{"", "plain"},
                                       {envelope, std::string(300, 'x')},
                                       {Frame(kFlagMore, "a") + Frame(kFlagMore, "b"), "between"}};
  std::string expected_answers;
  for (size_t split = 0; split <= bytes.size(); ++split) {
    Peer peer;
    peer.Say(bytes.substr(0, split));
    peer.Say(bytes.substr(split));
    ASSERT_EQ(peer.refused, Event::kNone);
    ASSERT_EQ(peer.heard, expected) << split;
    if (split == 0) expected_answers = peer.answers;
    ASSERT_EQ(peer.answers, expected_answers) << split;
  }
  Peer bytewise;
  for (const char byte : bytes) bytewise.Say(std::string_view(&byte, 1));
  EXPECT_EQ(bytewise.heard, expected);
  EXPECT_EQ(bytewise.answers, expected_answers);
}

TEST(ZmtpSessionTest, PeersThatAreNoZmtp3AreNamed) {
  EXPECT_EQ(RefusalOf("GET / HTTP/1.1\r\n\r\n"), Event::kNotZmtp);
  EXPECT_EQ(RefusalOf(std::string("\1\0", 2)), Event::kOlderPeer);
  EXPECT_EQ(RefusalOf(std::string("\xff\0\0\0\0\0\0\0\1\0", 10)), Event::kOlderPeer);
  EXPECT_EQ(RefusalOf(std::string("\xff\0\0\0\0\0\0\0\1\x7f\1", 11)), Event::kOlderPeer);
  EXPECT_EQ(RefusalOf(GreetingWith(9, 'x')), Event::kNotZmtp);
}

TEST(ZmtpSessionTest, ZmtpThreeZeroAndLaterMajorsAreSpokenTo) {
  EXPECT_EQ(RefusalOf(GreetingWith(11, 0) + ReadyFrame("DEALER")), Event::kNone);
  EXPECT_EQ(RefusalOf(GreetingWith(10, 4) + ReadyFrame("DEALER")), Event::kNone);
}

TEST(ZmtpSessionTest, AnotherMechanismIsToldSo) {
  std::string greeting(Greeting());
  greeting.replace(12, 5, "PLAIN");
  EXPECT_EQ(RefusalOf(greeting), Event::kMechanism);
  EXPECT_EQ(RefusalOf(GreetingWith(16, 'X')), Event::kMechanism);
  Peer peer;
  peer.Say(greeting);
  EXPECT_NE(peer.answers.find("ERROR"), std::string::npos);
}

TEST(ZmtpSessionTest, SocketTypesThatFitAreAcceptedAndOthersAreNot) {
  const std::string greeting(Greeting());
  for (const char* type : {"DEALER", "REQ", "ROUTER"}) {
    EXPECT_EQ(RefusalOf(Introduction(type)), Event::kNone) << type;
    EXPECT_EQ(RefusalOf(Introduction(type), EndpointKind::kFeed), Event::kSocketType) << type;
  }
  for (const char* type : {"SUB", "XSUB"}) {
    EXPECT_EQ(RefusalOf(Introduction(type)), Event::kSocketType) << type;
    EXPECT_EQ(RefusalOf(Introduction(type), EndpointKind::kFeed), Event::kNone) << type;
  }
  for (const char* type : {"", "PUSH", "dealer", "DEALERS"}) {
    EXPECT_EQ(RefusalOf(Introduction(type)), Event::kSocketType) << type;
  }
}

TEST(ZmtpSessionTest, PropertiesAreReadByNameWhateverItsCase) {
  const std::string properties = Property("X-Own", std::string(100, 'x')) +
                                 Property("sOcKeT-tYpE", "DEALER") + Property("Identity", "me");
  Peer peer;
  peer.Say(std::string(Greeting()) + CommandFrame("READY", properties));
  EXPECT_EQ(peer.phase(), Session::Phase::kTraffic);
  EXPECT_EQ(peer.counters.Get(Event::kIdentitiesIgnored), 1u);
}

TEST(ZmtpSessionTest, AMalformedReadyIsAnsweredWithError) {
  const std::string greeting(Greeting());
  const std::string property = Property("Socket-Type", "DEALER");
  for (size_t cut = 1; cut < property.size(); ++cut) {
    const std::string ready = CommandFrame("READY", property.substr(0, cut));
    EXPECT_EQ(RefusalOf(greeting + ready), Event::kHandshakeMalformed) << cut;
  }
  EXPECT_EQ(RefusalOf(greeting + CommandFrame("READY", Property("", "x"))),
            Event::kHandshakeMalformed);
  EXPECT_EQ(RefusalOf(greeting + CommandFrame("HELLO", "")), Event::kHandshakeMalformed);
  EXPECT_EQ(RefusalOf(greeting + Frame(kFlagCommand, "")), Event::kHandshakeMalformed);
  EXPECT_EQ(RefusalOf(greeting + Frame(0, "message")), Event::kHandshakeMalformed);
  Peer peer;
  peer.Say(greeting + Frame(0, "message"));
  EXPECT_NE(peer.answers.find("ERROR"), std::string::npos);
  EXPECT_TRUE(peer.heard.empty());
}

TEST(ZmtpSessionTest, AHugeIdentityIsRefusedByTheHeaderOfItsReady) {
  EXPECT_EQ(RefusalOf(std::string(Greeting()) + LongHeader(kFlagCommand, 1 << 20)),
            Event::kHandshakeTooLarge);
}

TEST(ZmtpSessionTest, APingIsAnsweredWithItsContext) {
  Peer peer;
  peer.Say(Introduction("DEALER"));
  peer.answers.clear();
  peer.Say(CommandFrame("PING", std::string("\0\x14", 2) + "sixteen bytes ok"));
  EXPECT_EQ(peer.answers, CommandFrame("PONG", "sixteen bytes ok"));
  EXPECT_EQ(peer.ttl_micros(), 2'000'000);
  peer.Say(CommandFrame("PING", std::string("\0\0", 2) + "seventeen bytes!!"));
  EXPECT_EQ(peer.refused, Event::kCommandMalformed);
}

TEST(ZmtpSessionTest, CommandsThatDoNotBelongHere) {
  const std::string hello = Introduction("DEALER");
  EXPECT_EQ(RefusalOf(hello + ReadyFrame("DEALER")), Event::kCommandUnexpected);
  EXPECT_EQ(RefusalOf(hello + CommandFrame("ERROR", std::string(1, '\0'))),
            Event::kCommandUnexpected);
  EXPECT_EQ(RefusalOf(hello + CommandFrame("PING", "1")), Event::kCommandMalformed);
  EXPECT_EQ(RefusalOf(hello + CommandFrame("PONG", std::string(17, 'x'))),
            Event::kCommandMalformed);
  EXPECT_EQ(RefusalOf(hello + Frame(kFlagCommand, "")), Event::kCommandMalformed);
  EXPECT_EQ(RefusalOf(hello + Frame(kFlagCommand, "\x09short")), Event::kCommandMalformed);

  Peer peer;
  peer.Say(hello + CommandFrame("JOIN", "x") + CommandFrame("SUBSCRIBE", "x") + Frame(0, "on"));
  EXPECT_EQ(peer.counters.Get(Event::kUnknownCommands), 2u);
  EXPECT_EQ(peer.heard, (std::vector<Heard>{{"", "on"}}));
  EXPECT_TRUE(peer.sink.log.empty());
}

TEST(ZmtpSessionTest, SubscriptionsComeAsCommandsAndAsMessages) {
  Peer peer(EndpointKind::kFeed);
  peer.Say(Introduction("SUB") + CommandFrame("SUBSCRIBE", "new") + Frame(0, "\1old") +
           Frame(0, std::string("\0old", 4)) + CommandFrame("CANCEL", "new") + Frame(0, "other") +
           Frame(0, ""));
  EXPECT_EQ(peer.sink.log, (std::vector<std::string>{"+new", "+old", "-old", "-new"}));
  EXPECT_EQ(peer.counters.Get(Event::kFeedMessagesIgnored), 2u);
  EXPECT_TRUE(peer.heard.empty());
}

TEST(ZmtpSessionTest, NothingIsTakenAfterARefusal) {
  Peer peer;
  peer.Say(Introduction("DEALER") + Frame(0, "before") + std::string("\xff", 1));
  EXPECT_EQ(peer.refused, Event::kFrameMalformed);
  peer.Say(Frame(0, "after"));
  EXPECT_EQ(peer.heard, (std::vector<Heard>{{"", "before"}}));
}

TEST(ZmtpSessionTest, ASliceEndsByMessagesAndByBytes) {
  const ZmtpLimits limits;
  Counters counters;
  RecordingSink sink;
  std::string answers;
  const auto take = [&](std::string bytes, size_t* count) {
    Session session(EndpointKind::kRequests, kHandle, limits, counters);
    bytes = Introduction("DEALER") + bytes;
    std::vector<Message> messages;
    const Session::Taken taken = session.Take(bytes, sink, &messages, &answers);
    *count = messages.size();
    return taken.sliced;
  };
  size_t count = 0;
  std::string tiny;
  for (size_t i = 0; i <= limits.slice_messages; ++i) tiny += Frame(0, "x");
  EXPECT_TRUE(take(tiny, &count));
  EXPECT_EQ(count, limits.slice_messages);
  const std::string half = Frame(0, std::string(limits.slice_bytes / 2 + 1, 'x'));
  EXPECT_TRUE(take(half + half + half, &count));
  EXPECT_EQ(count, 2u);
}

}  // namespace
}  // namespace entrepot::zmtp
