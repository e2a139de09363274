// The ZMTP server against libzmq's sockets: every socket type, both transports, several threads.

#include "zmtp/server.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <zmq.h>

#include <atomic>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "unit/zmtp_server_fixture.h"

namespace entrepot::zmtp {
namespace {

using Frames = std::vector<std::string>;

// One libzmq socket, connected; calls fail the test after kPatience.
class ZmqSocket {
 public:
  ZmqSocket(void* context, int type) : socket_(zmq_socket(context, type)) {
    CHECK(socket_ != nullptr);
    Set(ZMQ_LINGER, 0);
    Set(ZMQ_RCVTIMEO, static_cast<int>(std::chrono::milliseconds(kPatience).count()));
    Set(ZMQ_SNDTIMEO, static_cast<int>(std::chrono::milliseconds(kPatience).count()));
  }
  ~ZmqSocket() { zmq_close(socket_); }
  ZmqSocket(const ZmqSocket&) = delete;
  ZmqSocket& operator=(const ZmqSocket&) = delete;

  void Set(int option, int value) {
    ASSERT_EQ(zmq_setsockopt(socket_, option, &value, sizeof(value)), 0);
  }
  void Set(int option, std::string_view value) {
    ASSERT_EQ(zmq_setsockopt(socket_, option, value.data(), value.size()), 0);
  }
  void Connect(const std::string& endpoint) {
    ASSERT_EQ(zmq_connect(socket_, endpoint.c_str()), 0) << zmq_strerror(errno);
  }
  void Send(const Frames& frames) {
    for (const std::string& frame : frames) {
      const int flags = &frame == &frames.back() ? 0 : ZMQ_SNDMORE;
      ASSERT_EQ(zmq_send(socket_, frame.data(), frame.size(), flags),
                static_cast<int>(frame.size()));
    }
  }
  // Empty when nothing came.
  Frames Receive() {
    Frames frames;
    int more = 1;
    while (more != 0) {
      zmq_msg_t message;
      zmq_msg_init(&message);
      if (zmq_msg_recv(&message, socket_, 0) < 0) {
        ADD_FAILURE() << zmq_strerror(errno);
        return {};
      }
      frames.emplace_back(static_cast<char*>(zmq_msg_data(&message)), zmq_msg_size(&message));
      more = zmq_msg_more(&message);
      zmq_msg_close(&message);
    }
    return frames;
  }
  void* get() { return socket_; }

 private:
  void* const socket_;
};

class ZmtpServerTest : public testing::Test {
 protected:
  ZmtpServerTest() : context_(zmq_ctx_new()) {}
  ~ZmtpServerTest() override {
    sockets_.clear();
    zmq_ctx_term(context_);
  }

  void StartServer(uint32_t io_threads = 1, const ZmtpLimits& limits = {}) {
    echo = std::make_unique<EchoServer>(ServerOptions{io_threads, limits});
    echo->on_messages = on_messages;
    echo->Start();
  }

  ZmqSocket& Socket(int type) {
    sockets_.push_back(std::make_unique<ZmqSocket>(context_, type));
    return *sockets_.back();
  }
  ZmqSocket& Connected(int type) {
    ZmqSocket& socket = Socket(type);
    socket.Connect(type == ZMQ_SUB || type == ZMQ_XSUB ? echo->feed_endpoint
                                                       : echo->requests_endpoint);
    return socket;
  }

  void Publish(const Frames& frames) {
    const std::vector<std::string_view> views(frames.begin(), frames.end());
    echo->server.Publish(views);
  }

  std::function<void(std::span<const Message>)> on_messages;
  std::unique_ptr<EchoServer> echo;
  void* const context_;
  std::vector<std::unique_ptr<ZmqSocket>> sockets_;
};

TEST_F(ZmtpServerTest, DealersOfEverySizeAreEchoed) {
  StartServer();
  ZmqSocket& dealer = Connected(ZMQ_DEALER);
  for (const size_t size : {0, 1, 255, 256, 65'535, 65'536, 300'000, 20'000'000}) {
    std::string body(size, '\0');
    for (size_t i = 0; i < size; ++i) body[i] = static_cast<char>(i * 31 >> 3);
    const Frames message = {"", body};
    dealer.Send(message);
    ASSERT_EQ(dealer.Receive(), message) << size;
  }
}

TEST_F(ZmtpServerTest, RequestersPlainAndCorrelated) {
  StartServer();
  ZmqSocket& plain = Connected(ZMQ_REQ);
  ZmqSocket& correlated = Socket(ZMQ_REQ);
  correlated.Set(ZMQ_REQ_CORRELATE, 1);
  correlated.Set(ZMQ_REQ_RELAXED, 1);
  correlated.Connect(echo->requests_endpoint);
  for (int i = 0; i < 10; ++i) {
    for (ZmqSocket* socket : {&plain, &correlated}) {
      socket->Send({"question"});
      EXPECT_EQ(socket->Receive(), Frames{"question"});
    }
  }
}

TEST_F(ZmtpServerTest, ARouterMayConnect) {
  StartServer();
  ZmqSocket& router = Socket(ZMQ_ROUTER);
  router.Set(ZMQ_CONNECT_ROUTING_ID, std::string_view("server"));
  router.Connect(echo->requests_endpoint);
  const Frames message = {"server", "id", "", "body"};
  ASSERT_TRUE(Eventually([&] { return echo->Count(Event::kConnectionsOpened) == 1; }));
  router.Send(message);
  EXPECT_EQ(router.Receive(), message);
}

TEST_F(ZmtpServerTest, AProxyMayStandBetween) {
  StartServer();
  ZmqSocket& backend = Connected(ZMQ_DEALER);
  ZmqSocket& frontend = Socket(ZMQ_ROUTER);
  ASSERT_EQ(zmq_bind(frontend.get(), "inproc://front"), 0);
  frontend.Set(ZMQ_RCVTIMEO, -1);
  ZmqSocket& control = Socket(ZMQ_PAIR);
  ASSERT_EQ(zmq_bind(control.get(), "inproc://control"), 0);
  control.Set(ZMQ_RCVTIMEO, -1);
  std::thread proxy(
      [&] { zmq_proxy_steerable(frontend.get(), backend.get(), nullptr, control.get()); });
  ZmqSocket& first = Socket(ZMQ_REQ);
  ZmqSocket& second = Socket(ZMQ_REQ);
  first.Connect("inproc://front");
  second.Connect("inproc://front");
  first.Send({"one"});
  second.Send({"two"});
  EXPECT_EQ(second.Receive(), Frames{"two"});
  EXPECT_EQ(first.Receive(), Frames{"one"});
  ZmqSocket& steering = Socket(ZMQ_PAIR);
  steering.Connect("inproc://control");
  steering.Send({"TERMINATE"});
  proxy.join();
}

TEST_F(ZmtpServerTest, ManyClientsKeepTheirOrder) {
  StartServer(2);
  constexpr int kClients = 20, kMessages = 500;
  std::vector<ZmqSocket*> clients;
  for (int i = 0; i < kClients; ++i) clients.push_back(&Connected(ZMQ_DEALER));
  for (int i = 0; i < kMessages; ++i) {
    for (int c = 0; c < kClients; ++c) {
      clients[c]->Send({std::to_string(c) + ":" + std::to_string(i)});
    }
  }
  for (int c = 0; c < kClients; ++c) {
    for (int i = 0; i < kMessages; ++i) {
      ASSERT_EQ(clients[c]->Receive(), Frames{std::to_string(c) + ":" + std::to_string(i)});
    }
  }
  EXPECT_EQ(echo->Count(Event::kMessagesReceived), uint64_t{kClients * kMessages});
}

TEST_F(ZmtpServerTest, IpcWorksAndReplacesAnAbandonedSocketFile) {
  const std::string folder = testing::TempDir() + "zmtp_server_test";
  std::filesystem::create_directories(folder);
  const std::string path = folder + "/socket";
  std::filesystem::remove(path);
  // A socket file as a killed server leaves it behind.
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  const int abandoned = socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(bind(abandoned, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  close(abandoned);

  echo = std::make_unique<EchoServer>();
  const auto endpoint = echo->server.Listen("ipc://" + path, EndpointKind::kRequests);
  ASSERT_TRUE(endpoint.ok()) << endpoint.status().message();
  const auto second = echo->server.Listen("ipc://" + path, EndpointKind::kRequests);
  EXPECT_EQ(second.status().code(), Code::kUnavailable);
  echo->Start();
  ZmqSocket& dealer = Socket(ZMQ_DEALER);
  dealer.Connect(*endpoint);
  dealer.Send({"over ipc"});
  EXPECT_EQ(dealer.Receive(), Frames{"over ipc"});
  echo->server.Stop();
  EXPECT_FALSE(std::filesystem::exists(path));
  std::filesystem::remove_all(folder);
}

TEST_F(ZmtpServerTest, EndpointsThatCannotBeListenedOnSayWhy) {
  echo = std::make_unique<EchoServer>();
  const auto code = [&](const std::string& endpoint) {
    return echo->server.Listen(endpoint, EndpointKind::kRequests).status().code();
  };
  EXPECT_EQ(code(echo->requests_endpoint), Code::kUnavailable);
  for (const char* endpoint :
       {"", "tcp://", "tcp://127.0.0.1", "tcp://:5555", "tcp://127.0.0.1:", "tcp://127.0.0.1:port",
        "udp://127.0.0.1:1", "ipc://", "tcp://no such host:1"}) {
    EXPECT_EQ(code(endpoint), Code::kInvalidArgument) << endpoint;
  }
  EXPECT_EQ(code("ipc://" + std::string(200, 'p')), Code::kInvalidArgument);
  const auto six = echo->server.Listen("tcp://[::1]:0", EndpointKind::kRequests);
  if (six.ok()) {
    EXPECT_TRUE(six.status().ok());
    EXPECT_NE(six->data(), nullptr);
  }
}

TEST_F(ZmtpServerTest, AnswersMayComeFromOtherThreads) {
  struct Request {
    ConnectionHandle connection;
    std::string envelope, body;
  };
  std::mutex mutex;
  std::vector<Request> requests;
  on_messages = [&](std::span<const Message> messages) {
    std::lock_guard lock(mutex);
    for (const Message& message : messages) {
      requests.push_back(
          {message.connection, std::string(message.envelope), std::string(message.body)});
    }
  };
  StartServer(2);
  std::atomic<bool> stop{false};
  std::thread worker([&] {
    while (!stop) {
      std::vector<Request> taken;
      {
        std::lock_guard lock(mutex);
        taken.swap(requests);
      }
      for (const Request& request : taken) {
        const Piece pieces[] = {{"re: "}, {request.body}};
        EXPECT_EQ(echo->server.Send(request.connection, request.envelope, pieces),
                  SendResult::kQueued);
      }
      std::this_thread::yield();
    }
  });
  std::vector<ZmqSocket*> clients;
  for (int i = 0; i < 4; ++i) clients.push_back(&Connected(ZMQ_DEALER));
  for (int i = 0; i < 1000; ++i) {
    for (ZmqSocket* client : clients) client->Send({"", std::to_string(i)});
  }
  for (int i = 0; i < 1000; ++i) {
    for (ZmqSocket* client : clients) {
      ASSERT_EQ(client->Receive(), (Frames{"", "re: " + std::to_string(i)}));
    }
  }
  stop = true;
  worker.join();
  EXPECT_TRUE(Eventually([&] { return echo->server.HeldOutput() == 0; }));
}

// A block of memory that counts how often it was let go.
struct CountedBlock {
  explicit CountedBlock(size_t size) : bytes(size, 'b') {}
  Piece ToPiece() {
    return {bytes, this, [](void* owner) { ++static_cast<CountedBlock*>(owner)->releases; }};
  }
  const std::string bytes;
  std::atomic<int> releases{0};
};

TEST_F(ZmtpServerTest, ABlockIsSentWithoutACopyAndReleasedOnce) {
  std::vector<std::unique_ptr<CountedBlock>> blocks;
  for (size_t size : {1, 20'000, 5'000'000}) blocks.push_back(std::make_unique<CountedBlock>(size));
  std::atomic<bool> from_other_thread{false};
  on_messages = [&](std::span<const Message> messages) {
    for (const Message& message : messages) {
      for (const auto& block : blocks) {
        const Piece pieces[] = {{"<"}, block->ToPiece(), {">"}};
        const auto send = [&] { echo->server.Send(message.connection, message.envelope, pieces); };
        if (from_other_thread) {
          std::thread(send).join();
        } else {
          send();
        }
      }
    }
  };
  StartServer();
  ZmqSocket& dealer = Connected(ZMQ_DEALER);
  for (int round = 1; round <= 2; ++round) {
    dealer.Send({"give"});
    for (const auto& block : blocks) {
      EXPECT_EQ(dealer.Receive(), Frames{"<" + block->bytes + ">"});
    }
    for (const auto& block : blocks) {
      EXPECT_TRUE(Eventually([&] { return block->releases == round; }));
    }
    from_other_thread = true;
  }
}

TEST_F(ZmtpServerTest, ABlockIsReleasedWhenItsConnectionIsGone) {
  CountedBlock waiting(10'000'000), late(10);
  on_messages = [&](std::span<const Message> messages) {
    const Piece piece = waiting.ToPiece();
    echo->server.Send(messages[0].connection, messages[0].envelope, {&piece, 1});
  };
  StartServer();
  ConnectionHandle handle;
  {
    RawPeer peer(echo->requests_endpoint, 4096);
    peer.Introduce();
    handle = echo->Opened().front();
    peer.Say(Frame(0, "give"));
    EXPECT_TRUE(Eventually([&] { return echo->server.HeldOutput() > 0; }));
    EXPECT_EQ(waiting.releases, 0);
    peer.Reset();
  }
  EXPECT_TRUE(Eventually([&] { return waiting.releases == 1; }));
  EXPECT_TRUE(Eventually([&] { return echo->Closed().size() == 1; }));
  const Piece piece = late.ToPiece();
  echo->server.Send(handle, "", {&piece, 1});
  EXPECT_TRUE(Eventually([&] { return late.releases == 1; }));
  echo->server.Send(~ConnectionHandle{0}, "", {&piece, 1});
  EXPECT_EQ(late.releases, 2);
}

TEST_F(ZmtpServerTest, APausedConnectionIsNotReadUntilItIsResumed) {
  std::atomic<int> received{0};
  on_messages = [&](std::span<const Message> messages) {
    for (const Message& message : messages) {
      if (received++ == 0) echo->server.PauseReading(message.connection);
      echo->Echo(message);
    }
  };
  StartServer();
  RawPeer peer(echo->requests_endpoint), other(echo->requests_endpoint);
  peer.Introduce();
  other.Introduce();
  std::string burst;
  constexpr int kBurst = 1000;
  for (int i = 0; i < kBurst; ++i) burst += Frame(0, "x");
  ASSERT_TRUE(peer.Say(burst));
  peer.Hear(Frame(0, "x").size());
  // Turns pass in which it would have been read.
  for (int i = 0; i < 50; ++i) other.ExpectEcho("other");
  EXPECT_LT(received, kBurst);
  echo->server.ResumeReading(echo->Opened().front());
  EXPECT_EQ(peer.Hear(burst.size() - Frame(0, "x").size()).size(),
            burst.size() - Frame(0, "x").size());
}

// A peer that announced to be closed after so much silence cannot be heard while it is paused.
TEST_F(ZmtpServerTest, APausedConnectionDoesNotExpire) {
  on_messages = [&](std::span<const Message> messages) {
    if (messages[0].body == "pause") echo->server.PauseReading(messages[0].connection);
    for (const Message& message : messages) echo->Echo(message);
  };
  StartServer();
  RawPeer paused(echo->requests_endpoint), silent(echo->requests_endpoint);
  paused.Introduce();
  silent.Introduce();
  const std::string pong = CommandFrame("PONG", "");
  paused.Say(CommandFrame("PING", std::string("\0\1", 2)));
  EXPECT_EQ(paused.Hear(pong.size()), pong);
  paused.ExpectEcho("pause");
  silent.Say(CommandFrame("PING", std::string("\0\2", 2)));
  silent.HearOut();
  echo->ExpectCount(Event::kTtlExpired, 1);
  echo->server.ResumeReading(echo->Opened().front());
  paused.ExpectEcho("still here");
}

TEST_F(ZmtpServerTest, OpenedAndClosedAreToldOnceWithTheReason) {
  StartServer();
  RawPeer stranger(echo->requests_endpoint);
  stranger.Say("GET /");
  stranger.HearOut();
  RawPeer leaving(echo->requests_endpoint), closed(echo->requests_endpoint);
  leaving.Introduce();
  closed.Introduce();
  ASSERT_EQ(echo->Opened().size(), 2u);
  const ConnectionHandle first = echo->Opened()[0], second = echo->Opened()[1];
  EXPECT_NE(first, second);
  leaving.Hangup();
  EXPECT_TRUE(Eventually([&] { return echo->Closed().size() == 1; }));
  echo->server.Close(second);
  closed.HearOut();
  EXPECT_TRUE(Eventually([&] { return echo->Closed().size() == 2; }));
  const std::vector<std::pair<ConnectionHandle, Event>> expected = {
      {first, Event::kPeerClosed}, {second, Event::kClosedByServer}};
  EXPECT_EQ(echo->Closed(), expected);
  // A place is used again, under another handle.
  RawPeer next(echo->requests_endpoint);
  next.Introduce();
  EXPECT_NE(echo->Opened().back(), first);
  EXPECT_NE(echo->Opened().back(), second);
}

TEST_F(ZmtpServerTest, HeartbeatsOfLibzmqKeepItsConnection) {
  StartServer();
  ZmqSocket& dealer = Socket(ZMQ_DEALER);
  dealer.Set(ZMQ_HEARTBEAT_IVL, 10);
  dealer.Set(ZMQ_HEARTBEAT_TIMEOUT, 1000);
  dealer.Set(ZMQ_HEARTBEAT_TTL, 1000);
  dealer.Connect(echo->requests_endpoint);
  EXPECT_TRUE(Eventually([&] { return echo->Count(Event::kPings) >= 20; }));
  EXPECT_EQ(echo->Count(Event::kConnectionsAccepted), 1u);
  EXPECT_TRUE(echo->Closed().empty());
}

TEST_F(ZmtpServerTest, SubscribersGetTheirPrefixes) {
  StartServer(2);
  ZmqSocket& apples = Connected(ZMQ_SUB);
  apples.Set(ZMQ_SUBSCRIBE, std::string_view("apple"));
  ZmqSocket& all = Connected(ZMQ_SUB);
  all.Set(ZMQ_SUBSCRIBE, std::string_view(""));
  ZmqSocket& raw = Connected(ZMQ_XSUB);
  raw.Send({std::string("\1pear")});
  // Subscribed is who gets the first message of a kind: it is repeated until everyone has.
  const auto begin = [&](ZmqSocket& socket, const std::string& topic) {
    zmq_pollitem_t item{socket.get(), 0, ZMQ_POLLIN, 0};
    EXPECT_TRUE(Eventually([&] {
      Publish({topic, "begin"});
      return zmq_poll(&item, 1, 1) > 0;
    }));
  };
  begin(apples, "apple");
  begin(all, "any");
  begin(raw, "pear");
  const Frames first = {"apple.1", "red"}, second = {"pear.1", std::string(10'000, 'y')};
  Publish(first);
  Publish(second);
  const auto next = [](ZmqSocket& socket) {
    for (;;) {
      const Frames frames = socket.Receive();
      if (frames.empty() || frames.back() != "begin") return frames;
    }
  };
  EXPECT_EQ(next(apples), first);
  EXPECT_EQ(next(raw), second);
  EXPECT_EQ(next(all), first);
  EXPECT_EQ(next(all), second);
}

TEST_F(ZmtpServerTest, ACancelledSubscriptionEndsInBothForms) {
  StartServer();
  RawPeer peer(echo->feed_endpoint);
  peer.Introduce("SUB");
  peer.Say(CommandFrame("SUBSCRIBE", "a") + Frame(0, "\1b") + Frame(0, "\1end"));
  // Requests and subscriptions of one peer are in order, so PONG says they are in force.
  const auto settle = [&] {
    peer.Say(CommandFrame("PING", std::string("\0\0", 2)));
    EXPECT_EQ(peer.Hear(CommandFrame("PONG", "").size()), CommandFrame("PONG", ""));
  };
  settle();
  Publish({"a1"});
  Publish({"b1"});
  EXPECT_EQ(peer.Hear(8), Frame(0, "a1") + Frame(0, "b1"));
  peer.Say(Frame(0, std::string("\0a", 2)) + CommandFrame("CANCEL", "b"));
  settle();
  for (const char* topic : {"a2", "b2", "end"}) Publish({topic});
  EXPECT_EQ(peer.Hear(5), Frame(0, "end"));
}

TEST_F(ZmtpServerTest, ASlowSubscriberLosesMessagesAndOthersDoNot) {
  ZmtpLimits limits;
  limits.subscriber_bytes = 200'000;
  StartServer(1, limits);
  RawPeer slow(echo->feed_endpoint, 4096), fast(echo->feed_endpoint);
  for (RawPeer* peer : {&slow, &fast}) {
    peer->Introduce("SUB");
    peer->Say(CommandFrame("SUBSCRIBE", "") + CommandFrame("PING", std::string("\0\0", 2)));
    peer->Hear(CommandFrame("PONG", "").size());
  }
  const std::string message(3000, 'm');
  int published = 0;
  while (echo->Count(Event::kPublicationsDroppedOfSubscriber) < 100 && published < 100'000) {
    Publish({message});
    ++published;
    ASSERT_EQ(fast.Hear(Frame(0, message).size()), Frame(0, message));
  }
  EXPECT_GE(echo->Count(Event::kPublicationsDroppedOfSubscriber), 100u);
  EXPECT_LE(echo->server.HeldOutput(), limits.subscriber_bytes + message.size() + 512);
}

TEST_F(ZmtpServerTest, WhoReadsLosesNothingWhereOthersHoldTheRoomForOutput) {
  ZmtpLimits limits;
  limits.output_bytes_in_all = 400'000;
  std::atomic<bool> is_blocked{false}, may_go_on{false};
  on_messages = [&](std::span<const Message>) {
    is_blocked = true;
    EXPECT_TRUE(Eventually([&] { return may_go_on.load(); }));
  };
  StartServer(1, limits);
  RawPeer slow(echo->feed_endpoint, 4096), fast(echo->feed_endpoint);
  RawPeer peer(echo->requests_endpoint);
  slow.Introduce("SUB");
  slow.Say(CommandFrame("SUBSCRIBE", "s"));
  fast.Introduce("SUB");
  fast.Say(CommandFrame("SUBSCRIBE", "f"));
  for (RawPeer* subscriber : {&slow, &fast}) {
    subscriber->Say(CommandFrame("PING", std::string("\0\0", 2)));
    subscriber->Hear(CommandFrame("PONG", "").size());
  }
  peer.Introduce();
  ASSERT_TRUE(Eventually([&] {
    Publish({std::string(3000, 's')});
    return echo->Count(Event::kPublicationsDroppedOfSubscriber) > 0;
  }));
  EXPECT_GE(echo->server.HeldOutput(), limits.output_bytes_in_all / 2);
  // All of these are dealt out in one turn, so that they wait for each other.
  peer.Say(Frame(0, "block"));
  ASSERT_TRUE(Eventually([&] { return is_blocked.load(); }));
  std::string published;
  for (int i = 0; i < 10; ++i) {
    const std::string message = "f" + std::to_string(i);
    Publish({message});
    published += Frame(0, message);
  }
  may_go_on = true;
  EXPECT_EQ(fast.Hear(published.size()), published);
  EXPECT_EQ(echo->Count(Event::kOutputInAll), 0u);
  echo->server.Stop();  // Before the variables of this test go.
}

TEST_F(ZmtpServerTest, APublisherThatIsTooFastDropsAndNeverWaits) {
  ZmtpLimits limits;
  limits.publish_bytes = 1000;
  std::atomic<bool> is_blocked{false}, may_go_on{false};
  on_messages = [&](std::span<const Message>) {
    is_blocked = true;
    EXPECT_TRUE(Eventually([&] { return may_go_on.load(); }));
  };
  StartServer(1, limits);
  RawPeer subscriber(echo->feed_endpoint), peer(echo->requests_endpoint);
  subscriber.Introduce("SUB");
  peer.Introduce();
  peer.Say(Frame(0, "block"));
  ASSERT_TRUE(Eventually([&] { return is_blocked.load(); }));
  for (int i = 0; i < 100; ++i) Publish({std::string(100, 'p')});
  EXPECT_GE(echo->Count(Event::kPublicationsDropped), 80u);
  EXPECT_LT(echo->Count(Event::kPublicationsDropped), 100u);
  may_go_on = true;
  echo->server.Stop();  // Before the variables of this test go.
}

TEST_F(ZmtpServerTest, StopLetsWaitingOutputGoOut) {
  const std::string large(3'000'000, 'l');
  on_messages = [&](std::span<const Message> messages) {
    const Piece body{large};
    echo->server.Send(messages[0].connection, messages[0].envelope, {&body, 1});
  };
  StartServer();
  RawPeer peer(echo->requests_endpoint, 4096);
  peer.Introduce();
  peer.Say(Frame(0, "give"));
  ASSERT_TRUE(Eventually([&] { return echo->server.HeldOutput() > 0; }));
  std::thread stopping([&] { echo->server.Stop(); });
  EXPECT_EQ(peer.HearOut(), Frame(0, large));
  peer.Hangup();
  stopping.join();
  EXPECT_EQ(echo->server.Connections(), 0u);
}

TEST_F(ZmtpServerTest, StopDoesNotWaitLongForPeersThatDoNotGo) {
  ZmtpLimits limits;
  limits.linger_ms = 100;
  StartServer(2, limits);
  RawPeer first(echo->requests_endpoint), second(echo->requests_endpoint);
  first.Introduce();
  const auto begin = std::chrono::steady_clock::now();
  echo->server.Stop();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
  EXPECT_EQ(echo->Closed().size(), 1u);
}

}  // namespace
}  // namespace entrepot::zmtp
