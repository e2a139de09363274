// Many clients at once: what each may rely on whatever the others do, under both ways of dispatching.

#include <atomic>
#include <map>
#include <set>
#include <thread>

#include "support/test_server.h"

namespace entrepot {
namespace {

class ServerConcurrencyTest : public testing::TestWithParam<DispatchMode> {
 protected:
  static Options WithDispatch(DispatchMode dispatch) {
    Options options;
    options.dispatch = dispatch;
    options.stripes = 64;
    return options;
  }

  static std::string SetRequest(const std::string& key, const std::string& value) {
    return RawClient::Request(
        1, "set", [&](Packer& packer) { packer.pack_array(2).pack(key).pack(value); });
  }

  // Writes entries KEY000000… with values VALUE000000…, many to a body.
  static void Fill(RawClient* client, const std::string& key, const std::string& value, int count) {
    for (int i = 0; i < count;) {
      std::string body;
      for (int n = 0; n < 200 && i < count; ++n, ++i) {
        body += SetRequest(key + Number(i), value + Number(i));
      }
      client->Send(body);
      for (const Response& response : client->Receive()) ASSERT_EQ(response.status(), "created");
    }
  }
  static std::string Number(int i) {
    std::string digits = std::to_string(i);
    return std::string(6 - digits.size(), '0') + digits;
  }

  // Until `done`, changes values of keys CHURN0 … CHURN49 and deletes some, by a client of its own.
  void Churn(const std::atomic<bool>& done) {
    RawClient client = server_.Connect();
    for (uint64_t i = 0; !done; ++i) {
      const std::string key = "churn" + std::to_string(i * 7 % 50);
      if (i % 3 == 0) {
        client.Call("delete", [&](Packer& packer) { packer.pack_array(1).pack(key); });
      } else {
        client.Call("set", [&](Packer& packer) {
          packer.pack_array(2).pack(key).pack("value" + std::to_string(i * 31 % 1000));
        });
      }
    }
  }

  // How often each key comes in a whole walk.
  std::map<std::string, int> Walk(RawClient* client, const std::string& method,
                                  const std::string& query) {
    std::map<std::string, int> seen;
    std::string cursor;
    for (bool more = true; more;) {
      const Response page = client->Call(method, [&](Packer& packer) {
        packer.pack_array(2).pack(query);
        packer.pack_map(cursor.empty() ? 1 : 2).pack("limit").pack(37);
        if (!cursor.empty()) {
          packer.pack("cursor");
          PackRaw(packer, cursor);
        }
      });
      for (const auto& key : page.As<std::vector<std::string>>("keys")) ++seen[key];
      more = page.Has("cursor");
      if (more) cursor = Encoded(page["cursor"]);
    }
    return seen;
  }

  TestServer server_{WithDispatch(GetParam())};
};

TEST_P(ServerConcurrencyTest, CountersAddUp) {
  constexpr int kClients = 6, kIncrements = 1500;
  std::vector<std::thread> threads;
  for (int i = 0; i < kClients; ++i) {
    threads.emplace_back([&] {
      RawClient client = server_.Connect();
      for (int n = 0; n < kIncrements; ++n) {
        client.Call("increment", [&](Packer& packer) {
          packer.pack_array(2).pack("counter" + std::to_string(n % 3)).pack(1);
        });
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  RawClient client = server_.Connect();
  for (int i = 0; i < 3; ++i) {
    const Response response = client.Call("get", [&](Packer& packer) {
      packer.pack_array(1).pack("counter" + std::to_string(i));
    });
    EXPECT_EQ(response.As<int>("value"), kClients * kIncrements / 3);
  }
}

TEST_P(ServerConcurrencyTest, NoTransactionIsSeenByHalf) {
  std::atomic<bool> done = false;
  std::thread writer([&] {
    RawClient client = server_.Connect();
    for (int i = 0; !done; ++i) {
      client.Call("transact", [&](Packer& packer) {
        packer.pack_array(1).pack_map(1).pack("then").pack_array(2);
        for (const char* key : {"left", "right"}) {
          packer.pack_array(2).pack("set").pack_array(2).pack(key);
          packer.pack("pair" + std::to_string(i));
        }
      });
    }
  });
  RawClient client = server_.Connect();
  for (int i = 0; i < 1500; ++i) {
    const Response many = client.Call("get_many", [](Packer& packer) {
      packer.pack_array(1).pack(std::vector<std::string>{"left", "right"});
    });
    const msgpack::object_array& items = many["items"].via.array;
    ASSERT_EQ(Encoded(items.ptr[0]), Encoded(items.ptr[1]));
    // A page is one instant too.
    const Response page = client.Call("find", [](Packer& packer) {
      packer.pack_array(2).pack("pair").pack_map(1).pack("values").pack(true);
    });
    const auto values = page.As<std::vector<std::string>>("values");
    ASSERT_TRUE(values.empty() || (values.size() == 2 && values[0] == values[1]));
  }
  done = true;
  writer.join();
}

TEST_P(ServerConcurrencyTest, AWalkTellsWhatDidNotChangeExactlyOnce) {
  constexpr int kStable = 1000;
  RawClient client = server_.Connect();
  Fill(&client, "key", "value", kStable);
  std::atomic<bool> done = false;
  std::thread first([&] { Churn(done); });
  std::thread second([&] { Churn(done); });
  for (int round = 0; round < 5; ++round) {
    for (const auto& [method, query] : {std::pair{"find", "value"}, std::pair{"scan", ""}}) {
      std::map<std::string, int> seen = Walk(&client, method, query);
      for (int i = 0; i < kStable; ++i) ASSERT_EQ(seen["key" + Number(i)], 1) << method << i;
    }
  }
  done = true;
  first.join();
  second.join();
}

TEST_P(ServerConcurrencyTest, AnIndexIsBuiltWhileWritersRun) {
  constexpr int kStable = 20'000;
  RawClient client = server_.Connect();
  Fill(&client, "key", "value", kStable);
  std::atomic<bool> done = false;
  std::thread first([&] { Churn(done); });
  std::thread second([&] { Churn(done); });
  Response count = client.Call("count", [](Packer& packer) { packer.pack_array(0); });
  while (count.code() == "overloaded") {
    count = client.Call("count", [](Packer& packer) { packer.pack_array(0); });
  }
  done = true;
  first.join();
  second.join();
  // What the index has now is what the keys have, one by one.
  std::map<std::string, int> found = Walk(&client, "scan", "");
  std::set<std::string> present;
  for (int i = 0; i < kStable; ++i) present.insert("key" + Number(i));
  for (int i = 0; i < 50; ++i) {
    const std::string key = "churn" + std::to_string(i);
    const Response get = client.Call("get", [&](Packer& packer) { packer.pack_array(1).pack(key); });
    if (get.status() == "found") present.insert(key);
  }
  for (const std::string& key : present) EXPECT_EQ(found[key], 1) << key;
  EXPECT_EQ(found.size(), present.size());
}

TEST_P(ServerConcurrencyTest, RequestsOfOnePeerTakeEffectInOrder) {
  RawClient client = server_.Connect();
  // Short and long requests in turn, each in a message of its own: a long one must not be overtaken.
  const std::string long_page = RawClient::Request(2, "scan", [](Packer& packer) {
    packer.pack_array(2).pack("order").pack_map(2).pack("limit").pack(1000).pack("values").pack(
        true);
  });
  constexpr int kRounds = 300;
  for (int i = 0; i < kRounds; ++i) {
    client.Send(SetRequest("order", "before" + std::to_string(i)));
    client.Send(long_page);
    client.Send(SetRequest("order", "after" + std::to_string(i)));
    for (int replies = 0; replies < 3; ++replies) {
      for (const Response& response : client.Receive()) {
        if (response.msgid() != 2) continue;
        ASSERT_EQ(response.As<std::vector<std::string>>("values"),
                  std::vector<std::string>{"before" + std::to_string(i)});
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Dispatch, ServerConcurrencyTest,
                         testing::Values(DispatchMode::kInline, DispatchMode::kWorkers),
                         [](const auto& dispatch) {
                           return dispatch.param == DispatchMode::kInline ? "Inline" : "Workers";
                         });

}  // namespace
}  // namespace entrepot
