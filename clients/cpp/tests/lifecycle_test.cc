// Threads, forks, closing in the middle, many clients: what a client holds, and that it lets go.

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>
#include <zmq.hpp>

#include "entrepot/client.h"
#include "scripted_server.h"
#include "server_process.h"

// A forked child starts threads of its own here; the thread sanitizer allows it when asked.
extern "C" const char* __tsan_default_options() { return "die_after_fork=0"; }

namespace entrepot {
namespace {

using testing::ScriptedServer;
using testing::SharedServer;

size_t EntriesOf(const char* folder) {
  return std::distance(std::filesystem::directory_iterator(folder),
                       std::filesystem::directory_iterator());
}

// What a process keeps from its first threads on, a sanitizer's own thread for instance, is there
// after this.
void WarmUp() { ASSERT_TRUE(Client(SharedServer().endpoint()).Ping().ok()); }

size_t OpenDescriptors() { return EntriesOf("/proc/self/fd"); }
size_t Threads() { return EntriesOf("/proc/self/task"); }

// A server that never answers.
std::unique_ptr<ScriptedServer> SilentServer() {
  return std::make_unique<ScriptedServer>(
      [](const ScriptedServer::Call&) { return std::optional<ScriptedServer::Answer>(); });
}

TEST(LifecycleTest, MakingAClientStartsNothing) {
  const size_t threads = Threads();
  const size_t descriptors = OpenDescriptors();
  Client client("tcp://127.0.0.1:1");
  EXPECT_EQ(Threads(), threads);
  EXPECT_EQ(OpenDescriptors(), descriptors);
}

TEST(LifecycleTest, AClosedClientLeavesNoSocketAndNoThread) {
  WarmUp();
  const size_t threads = Threads();
  const size_t descriptors = OpenDescriptors();
  for (int i = 0; i < 20; ++i) {
    Client client(SharedServer().endpoint());
    ASSERT_TRUE(client.Set("lifecycle:a", i).ok());
    EXPECT_GT(Threads(), threads);
    client.Close();
    EXPECT_EQ(Threads(), threads);
    EXPECT_EQ(OpenDescriptors(), descriptors);
    client.Close();
    EXPECT_EQ(client.Ping().status().code(), StatusCode::kClosed);
  }
}

TEST(LifecycleTest, ADroppedClientLeavesNothingEither) {
  WarmUp();
  const size_t threads = Threads();
  const size_t descriptors = OpenDescriptors();
  { ASSERT_TRUE(Client(SharedServer().endpoint()).Ping().ok()); }
  { ASSERT_FALSE(Client("tcp://127.0.0.1:1", {.connect_wait_ms = 1}).Ping().ok()); }
  EXPECT_EQ(Threads(), threads);
  EXPECT_EQ(OpenDescriptors(), descriptors);
}

TEST(LifecycleTest, AMovedClientGoesOn) {
  Client first(SharedServer().endpoint());
  ASSERT_TRUE(first.Ping().ok());
  Client second = std::move(first);
  EXPECT_TRUE(second.Ping().ok());
  second = Client(SharedServer().endpoint());
  EXPECT_TRUE(second.Ping().ok());
}

TEST(LifecycleTest, ClosingEndsCallsInFlight) {
  const std::unique_ptr<ScriptedServer> server = SilentServer();
  Client client(server->endpoint(), {.timeout_ms = 60'000});
  std::vector<std::future<Result<std::optional<Value>>>> calls;
  for (int i = 0; i < 1000; ++i) calls.push_back(client.Start(request::Get("a")));
  std::thread closing([&] { client.Close(); });
  for (std::future<Result<std::optional<Value>>>& call : calls) {
    EXPECT_EQ(call.get().status().code(), StatusCode::kClosed);
  }
  closing.join();
}

TEST(LifecycleTest, AWalkOutlivesItsClientAndIsClosed) {
  auto client = std::make_unique<Client>(SharedServer().endpoint());
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(client->Set("walk:" + std::to_string(i), i).ok());
  Walk walk = client->Scan("walk:", {.page_limit = 2});
  int entries = 0;
  for (const Entry& entry : walk) {
    entries += entry.key.starts_with("walk:");
    client.reset();
  }
  EXPECT_EQ(entries, 2);
  EXPECT_EQ(walk.status().code(), StatusCode::kClosed);
}

TEST(LifecycleTest, ManyThreadsShareOneClient) {
  Client client(SharedServer().endpoint());
  std::vector<std::thread> threads;
  for (int t = 0; t < 16; ++t) {
    threads.emplace_back([&client, t] {
      const std::string own = "threads:" + std::to_string(t);
      for (int i = 0; i < 100; ++i) {
        ASSERT_TRUE(client.Set(own, i).ok());
        ASSERT_EQ(**client.Get(own), Value(i)) << "a thread reads what it has written";
        ASSERT_TRUE(client.Increment("threads:sum").ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(**client.Get("threads:sum"), Value(1600));
}

TEST(LifecycleTest, ManyClientsLiveInOneProcess) {
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 50; ++i) {
    clients.push_back(std::make_unique<Client>(SharedServer().endpoint()));
    ASSERT_TRUE(clients.back()->Increment("clients:n").ok());
  }
  EXPECT_EQ(**clients.front()->Get("clients:n"), Value(50));
}

TEST(LifecycleTest, ClosingWhileThreadsCallIsSafe) {
  for (int round = 0; round < 10; ++round) {
    Client client(SharedServer().endpoint());
    std::atomic<bool> closed{false};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        Status status;
        while (status.ok()) status = client.Increment("closing:n").status();
        EXPECT_EQ(status.code(), StatusCode::kClosed);
        EXPECT_TRUE(closed.load());
      });
    }
    while (!client.Get("closing:n")->has_value()) {
    }
    closed.store(true);
    client.Close();
    for (std::thread& thread : threads) thread.join();
  }
}

// Runs `body` in a forked child and returns its exit status.
template <typename Body>
int RunInChild(Body body) {
  const pid_t child = fork();
  if (child == 0) _exit(body());
  int status = -1;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(ForkTest, BothSidesOfAForkGoOn) {
  Client client(SharedServer().endpoint());
  ASSERT_TRUE(client.Increment("fork:n").ok());
  const int status = RunInChild([&] {
    const Result<Outcome> sum = client.Increment("fork:n", 10);
    return sum.ok() && sum->value == Value(11) ? 0 : 1;
  });
  EXPECT_EQ(status, 0);
  EXPECT_EQ(client.Increment("fork:n", 100)->value, Value(111));
}

TEST(ForkTest, AForkInTheMiddleOfCallsLeavesThemToTheParent) {
  Client client(SharedServer().endpoint());
  std::atomic<bool> done{false};
  std::atomic<int> increments{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      while (!done.load()) {
        ASSERT_TRUE(client.Increment("fork:busy").ok());
        increments.fetch_add(1);
      }
    });
  }
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(RunInChild([&] { return client.Ping().ok() ? 0 : 1; }), 0);
  }
  done.store(true);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(**client.Get("fork:busy"), Value(increments.load()));
}

TEST(ForkTest, AChildMayDropTheClientUnused) {
  auto client = std::make_unique<Client>(SharedServer().endpoint());
  ASSERT_TRUE(client->Ping().ok());
  EXPECT_EQ(RunInChild([&] {
              client.reset();
              return 0;
            }),
            0);
  EXPECT_TRUE(client->Ping().ok());
}

TEST(ContextTest, AClientCanShareALibzmqContext) {
  zmq::context_t context;
  Client client(SharedServer().endpoint(), {.context = &context});
  EXPECT_TRUE(client.Ping().ok());
  EXPECT_EQ(
      RunInChild([&] { return client.Ping().status().code() == StatusCode::kClosed ? 0 : 1; }), 0);
}

TEST(ContextTest, InprocWorksThroughTheSharedContext) {
  zmq::context_t context;
  zmq::socket_t server(context, zmq::socket_type::router);
  server.bind("inproc://client-test");
  std::thread answering([&] {
    zmq::message_t peer;
    zmq::message_t body;
    ASSERT_TRUE(server.recv(peer));
    ASSERT_TRUE(server.recv(body));
    // [1, 1, nil, {"status": "ok"}]
    const std::string answer = std::string("\x94\x01\x01\xc0\x81\xa6status\xa2ok", 15);
    server.send(peer, zmq::send_flags::sndmore);
    server.send(zmq::buffer(answer));
  });
  Client client("inproc://client-test", {.context = &context});
  EXPECT_TRUE(client.Ping().ok());
  answering.join();
}

TEST(EnvironmentTest, TheServerCanBeNamedByTheEnvironment) {
  setenv("ENTREPOT_SERVER", SharedServer().endpoint().c_str(), 1);
  EXPECT_EQ(Client().server(), SharedServer().endpoint());
  EXPECT_TRUE(Client().Ping().ok());
  unsetenv("ENTREPOT_SERVER");
  EXPECT_EQ(Client().server(), "tcp://127.0.0.1:5555");
}

}  // namespace
}  // namespace entrepot
