// Every method of the client against a real server.

#include "entrepot/client.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <future>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "entrepot/msgpack.h"
#include "server_process.h"

namespace entrepot {
namespace {

using std::string_literals::operator""s;
using testing::SharedServer;

class ClientTest : public ::testing::Test {
 protected:
  // A key that no other test uses.
  std::string Key(const std::string& name) const {
    return std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()) + ":" +
           name;
  }

  void Store(const std::string& name, const Value& value) {
    ASSERT_TRUE(client_.Set(Key(name), value).ok());
  }

  std::string Text(const std::string& name) {
    const Result<std::optional<Value>> value = client_.Get(Key(name));
    if (!value.ok() || !*value) return "(none)";
    return std::string((*value)->AsString().value_or("(no text)"));
  }

  Client client_{SharedServer().endpoint()};
};

TEST_F(ClientTest, HelloTellsWhoAnswers) {
  const Result<ServerInfo> info = client_.Hello();
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->protocol, 1U);
  EXPECT_EQ(info->history.size(), 16U);
  EXPECT_TRUE(info->Has("set"));
  EXPECT_TRUE(info->Has("once"));
  EXPECT_FALSE(info->Has("teleport"));
  EXPECT_EQ(info->limits.at("key_bytes"), 1024U);
  EXPECT_EQ(info->listen, std::vector{SharedServer().endpoint()});
  EXPECT_EQ(info->feed, "");
}

TEST_F(ClientTest, PingAnswers) { EXPECT_TRUE(client_.Ping().ok()); }

TEST_F(ClientTest, AnAbsentKeyIsNoError) {
  const Result<std::optional<Value>> value = client_.Get(Key("absent"));
  ASSERT_TRUE(value.ok());
  EXPECT_FALSE(value->has_value());
  EXPECT_FALSE(client_.Entry(Key("absent"))->has_value());
}

TEST_F(ClientTest, SetTellsWhetherItCreated) {
  EXPECT_EQ(client_.Set(Key("a"), 1)->status, OutcomeStatus::kCreated);
  EXPECT_EQ(client_.Set(Key("a"), 2)->status, OutcomeStatus::kUpdated);
}

TEST_F(ClientTest, EveryValueComesBackByteForByte) {
  const std::vector<Value> values = {Value(),
                                     true,
                                     -1,
                                     uint64_t{1} << 63,
                                     1.5,
                                     "",
                                     "na\xc3\xafve",
                                     Value::Bytes(""),
                                     ToValue(std::vector<int>{1, 2}),
                                     Value::Bytes("\0\xff"s),
                                     *Value::FromEncoded("\xca\x3f\xc0\0\0"s),
                                     *Value::FromEncoded("\xd6\xff\0\0\0\x01"s),
                                     *Value::FromEncoded("\xcd\0\x05"s)};
  for (const Value& value : values) {
    Store("v", value);
    EXPECT_EQ(**client_.Get(Key("v")), value) << TypeName(value.type());
  }
}

TEST_F(ClientTest, AKeyMayBeAnyBytes) {
  const std::string key = Key("\xff\0k"s);
  ASSERT_TRUE(client_.Set(key, 1).ok());
  const Result<std::vector<Entry>> found = client_.Scan(Key("\xff"s)).ToVector();
  ASSERT_TRUE(found.ok());
  ASSERT_EQ(found->size(), 1U);
  EXPECT_EQ(found->front().key, key);
}

TEST_F(ClientTest, EntryTellsVersionAndTtl) {
  const uint64_t version = client_.Set(Key("a"), "x", {.ttl_ms = 60'000})->version;
  const Result<std::optional<Entry>> entry = client_.Entry(Key("a"));
  ASSERT_TRUE(entry.ok() && *entry);
  EXPECT_EQ((*entry)->version, version);
  EXPECT_LE((*entry)->ttl_ms.value(), 60'000);
  EXPECT_GT((*entry)->ttl_ms.value(), 30'000);
  const Result<std::optional<Entry>> again = client_.Entry(Key("a"), {.unless_version = version});
  ASSERT_TRUE(again.ok() && *again);
  EXPECT_TRUE((*again)->unchanged);
  EXPECT_TRUE((*again)->value.is_nil());
}

TEST_F(ClientTest, AConflictCarriesWhatIsThere) {
  Store("a", "old");
  const Result<Outcome> outcome = client_.Set(Key("a"), "new", {.if_absent = true});
  ASSERT_TRUE(outcome.ok());
  EXPECT_TRUE(outcome->conflict());
  EXPECT_EQ(outcome->value, Value("old"));
  EXPECT_EQ(Text("a"), "old");
}

TEST_F(ClientTest, SetTakesEveryOption) {
  Store("a", "1");
  const Result<Outcome> previous = client_.Set(Key("a"), "2", {.previous = true});
  EXPECT_EQ(previous->value, Value("1"));
  EXPECT_GT(previous->previous_version.value(), 0U);
  EXPECT_TRUE(client_.Set(Key("a"), "3", {.if_version = previous->version + 1000})->conflict());
  EXPECT_FALSE(client_.Set(Key("a"), "3", {.if_version = previous->version})->conflict());
  EXPECT_TRUE(client_.Set(Key("b"), "1", {.if_present = true})->conflict());
  EXPECT_TRUE(client_.Touch(Key("a"), 60'000).ok());
  EXPECT_TRUE(client_.Set(Key("a"), "4", {.keep_ttl = true}).ok());
  EXPECT_TRUE((*client_.Entry(Key("a")))->ttl_ms.has_value());
  EXPECT_TRUE(client_.Set(Key("a"), "5", {.expires_at_ms = 1}).ok());
  EXPECT_EQ(Text("a"), "(none)") << "what expired in the past was never readable";
  EXPECT_TRUE(client_.Set(Key("a"), "6", {.ack = Ack::kApplied}).ok());
  EXPECT_EQ(client_.Set(Key("a"), "7", {.ttl_ms = 5, .keep_ttl = true}).status().code(),
            StatusCode::kInvalidArgument);
}

TEST_F(ClientTest, DeleteTellsWhatItDid) {
  Store("a", "x");
  EXPECT_TRUE(client_.Delete(Key("a"), {.if_version = 1})->conflict());
  EXPECT_EQ(client_.Delete(Key("a"), {.previous = true})->value, Value("x"));
  EXPECT_TRUE(client_.Delete(Key("a"))->not_found());
}

TEST_F(ClientTest, IncrementAddsWithinItsBounds) {
  EXPECT_EQ(client_.Increment(Key("n"))->value, Value(1));
  EXPECT_EQ(client_.Increment(Key("n"), -3)->value, Value(-2));
  EXPECT_TRUE(client_.Increment(Key("n"), 1, {.max = -2})->conflict());
  EXPECT_EQ(client_.Increment(Key("m"), 1, {.initial = 10})->value, Value(11));
  EXPECT_EQ(client_.Increment(Key("m"), 0.5)->value, Value(11.5));
  Store("s", "text");
  EXPECT_EQ(client_.Increment(Key("s")).status().code(), StatusCode::kWrongType);
}

TEST_F(ClientTest, AppendAndPrependLengthenAValue) {
  EXPECT_EQ(client_.Append(Key("a"), "b")->length, 1U);
  EXPECT_EQ(client_.Append(Key("a"), "c")->length, 2U);
  EXPECT_EQ(client_.Prepend(Key("a"), "a")->length, 3U);
  EXPECT_EQ(Text("a"), "abc");
}

TEST_F(ClientTest, TouchMakesPermanentToo) {
  ASSERT_TRUE(client_.Set(Key("a"), 1, {.ttl_ms = 60'000}).ok());
  EXPECT_EQ(client_.Touch(Key("a"), std::nullopt)->status, OutcomeStatus::kUpdated);
  EXPECT_FALSE((*client_.Entry(Key("a")))->ttl_ms.has_value());
  EXPECT_TRUE(client_.Touch(Key("absent"), 5)->not_found());
}

TEST_F(ClientTest, GetManyKeepsTheOrder) {
  Store("a", "1");
  Store("c", "3");
  const Result<Items> items = client_.GetMany({Key("c"), Key("b"), Key("a")});
  ASSERT_TRUE(items.ok());
  ASSERT_EQ(items->items.size(), 3U);
  EXPECT_EQ(items->items[0]->value, Value("3"));
  EXPECT_FALSE(items->items[1].has_value());
  EXPECT_EQ(items->items[2]->key, Key("a"));
  EXPECT_GT(items->version, 0U);
}

TEST_F(ClientTest, ATransactionHappensWholeOrNotAtAll) {
  Store("a", 1);
  Transaction move;
  move.If(Condition::Exists(Key("a")))
      .If(Condition::OfValue(Key("a"), 1))
      .If(Condition::Version(Key("b"), 0))
      .Then(request::Get(Key("a")))
      .Then(request::Delete(Key("a")))
      .Then(request::Set(Key("b"), "moved"))
      .Else(request::Set(Key("c"), "refused"));
  const Result<TransactionOutcome> first = client_.Transact(move);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_TRUE(first->committed());
  ASSERT_EQ(first->results.size(), 3U);
  EXPECT_EQ(first->results[0]->value, Value(1));
  EXPECT_EQ(first->results[1]->status, OutcomeStatus::kDeleted);
  EXPECT_EQ(first->results[2]->version, first->version);
  const Result<TransactionOutcome> second = client_.Transact(move);
  EXPECT_EQ(second->status, OutcomeStatus::kRejected);
  EXPECT_EQ(Text("c"), "refused");
}

TEST_F(ClientTest, AWalkPagesByItself) {
  std::set<std::string> stored;
  for (int i = 0; i < 57; ++i) {
    Store(std::to_string(i), i);
    stored.insert(Key(std::to_string(i)));
  }
  std::set<std::string> walked;
  Walk walk = client_.Scan(Key(""), {.page_limit = 10});
  for (Entry& entry : walk) {
    EXPECT_TRUE(walked.insert(entry.key).second) << entry.key << " came twice";
    EXPECT_GT(entry.version, 0U);
  }
  EXPECT_TRUE(walk.status().ok());
  EXPECT_EQ(walked, stored);
  const Result<std::vector<Entry>> descending =
      client_.Scan(Key(""), {.values = false, .order = Order::kDescending}).ToVector();
  EXPECT_EQ(descending->front().key, *stored.rbegin());
  EXPECT_TRUE(descending->front().value.is_nil());
}

TEST_F(ClientTest, AnErrorEndsAWalkAndIsTold) {
  Walk walk = client_.Scan(Key(""), {.page_limit = 5000});
  EXPECT_EQ(walk.begin(), walk.end());
  EXPECT_EQ(walk.status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(client_.Scan(Key(""), {.page_limit = 5000}).ToVector().status().code(),
            StatusCode::kInvalidArgument);
}

TEST_F(ClientTest, FindSearchesByValue) {
  Store("a", Key("red apple"));
  Store("b", Key("red beet"));
  Store("c", Key("green apple"));
  Store("n", 41);
  std::vector<std::string> keys;
  for (const Entry& entry : client_.Find(Key("red"))) keys.push_back(entry.key);
  EXPECT_EQ(keys, (std::vector{Key("a"), Key("b")}));
  const Result<Page> equal = client_.FindPage(Query::Equals(41), Key(""));
  ASSERT_TRUE(equal.ok());
  ASSERT_EQ(equal->items.size(), 1U);
  EXPECT_EQ(equal->items[0].key, Key("n"));
  EXPECT_EQ(client_.FindPage(Query::Range(40, 42), Key(""))->items.size(), 1U);
  EXPECT_EQ(client_.FindPage(Query::Range(42, std::nullopt), Key("n"))->items.size(), 0U);
}

TEST_F(ClientTest, PagesFollowTheirCursor) {
  for (int i = 0; i < 5; ++i) Store(std::to_string(i), i);
  const Result<Page> first = client_.ScanPage(Key(""), {.limit = 3});
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(first->items.size(), 3U);
  ASSERT_FALSE(first->cursor.empty());
  const Result<Page> second = client_.ScanPage(Key(""), {.limit = 3, .cursor = first->cursor});
  EXPECT_EQ(second->items.size(), 2U);
}

TEST_F(ClientTest, CountCounts) {
  for (int i = 0; i < 7; ++i) Store(std::to_string(i), i < 3 ? "few"s : "many"s);
  EXPECT_EQ(client_.Count(Key(""))->count, 7U);
  EXPECT_EQ(client_.Count(Key(""), Query("few"))->count, 3U);
}

TEST_F(ClientTest, DeletePrefixGoesPartByPart) {
  for (int i = 0; i < 5; ++i) Store(std::to_string(i), i);
  const Result<DeletedPrefix> part = client_.DeletePrefix(Key(""), {.limit = 3});
  ASSERT_TRUE(part.ok());
  EXPECT_EQ(part->deleted, 3U);
  EXPECT_TRUE(part->more);
  EXPECT_FALSE(client_.DeletePrefix(Key(""))->more);
  EXPECT_EQ(client_.Count(Key(""))->count, 0U);
}

TEST_F(ClientTest, SyncAndStatsAnswer) {
  Store("a", 1);
  EXPECT_GT(client_.Sync().value(), 0U);
  EXPECT_FALSE(client_.Stats()->empty());
}

TEST_F(ClientTest, UpdateIsACompareAndSetLoop) {
  const Client::Change add_one = [](const std::optional<Value>& value) -> Result<Value> {
    return (value ? *value->AsInt() : 0) + 1;
  };
  EXPECT_EQ(client_.Update(Key("n"), add_one)->value, Value(1));
  EXPECT_EQ(client_.Update(Key("n"), add_one, {.ttl_ms = 60'000})->value, Value(2));
  const Result<Entry> third = client_.Update(Key("n"), add_one);
  EXPECT_EQ((*client_.Entry(Key("n")))->version, third->version);
  EXPECT_TRUE((*client_.Entry(Key("n")))->ttl_ms.has_value()) << "the TTL is kept";
}

TEST_F(ClientTest, UpdateStartsAgainWhenAnotherWasFaster) {
  Store("n", 10);
  int rounds = 0;
  const Result<Entry> updated =
      client_.Update(Key("n"), [&](const std::optional<Value>& value) -> Result<Value> {
        if (++rounds == 1) Store("n", 20);
        return *value->AsInt() + 1;
      });
  ASSERT_TRUE(updated.ok());
  EXPECT_EQ(updated->value, Value(21));
  EXPECT_EQ(rounds, 2);
}

TEST_F(ClientTest, AnErrorOfTheFunctionWritesNothing) {
  Store("n", 10);
  const Result<Entry> updated =
      client_.Update(Key("n"), [](const std::optional<Value>&) -> Result<Value> {
        return Status(StatusCode::kOther, "changed my mind");
      });
  EXPECT_EQ(updated.status().message(), "changed my mind");
  EXPECT_EQ(**client_.Get(Key("n")), Value(10));
}

TEST_F(ClientTest, APipelineGivesEachCallItsOwnResult) {
  Pipeline pipeline = client_.Pipeline();
  auto created = pipeline.Add(request::Set(Key("a"), "text"));
  auto wrong = pipeline.Add(request::Increment(Key("a")));
  auto read = pipeline.Add(request::Get(Key("a")));
  ASSERT_TRUE(pipeline.Send().ok());
  EXPECT_EQ(created.get()->status, OutcomeStatus::kCreated);
  EXPECT_EQ(wrong.get().status().code(), StatusCode::kWrongType);
  EXPECT_EQ(read.get().value(), Value("text"));
  EXPECT_EQ(pipeline.size(), 0U);
}

TEST_F(ClientTest, ALongPipelineGoesInSeveralBodies) {
  Pipeline pipeline = client_.Pipeline();
  std::vector<std::future<Result<Outcome>>> sums;
  for (int i = 0; i < 3000; ++i) sums.push_back(pipeline.Add(request::Increment(Key("n"))));
  ASSERT_TRUE(pipeline.Send().ok());
  for (int i = 0; i < 3000; ++i) EXPECT_EQ(sums[i].get()->value, Value(i + 1));
}

TEST_F(ClientTest, AnUnsentPipelineEndsItsCalls) {
  std::future<Result<Outcome>> never;
  {
    Pipeline pipeline = client_.Pipeline();
    never = pipeline.Add(request::Set(Key("a"), 1));
  }
  EXPECT_EQ(never.get().status().code(), StatusCode::kClosed);
  EXPECT_EQ(Text("a"), "(none)");
}

TEST_F(ClientTest, CallsCanBeStartedWithoutWaiting) {
  std::vector<std::future<Result<Outcome>>> writes;
  for (int i = 0; i < 2000; ++i) writes.push_back(client_.Start(request::Increment(Key("n"))));
  for (std::future<Result<Outcome>>& write : writes) EXPECT_TRUE(write.get().ok());
  EXPECT_EQ(**client_.Get(Key("n")), Value(2000));
}

TEST_F(ClientTest, ErrorsOfTheServerKeepTheirCode) {
  EXPECT_EQ(client_.Set("$system", 1).status().code(), StatusCode::kDenied);
  EXPECT_EQ(client_.Set("", 1).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(client_.Call(request::Raw(WireRequest("teleport"))).status().code(),
            StatusCode::kUnknownMethod);
}

TEST_F(ClientTest, ALargeValueTravelsWhole) {
  const std::string large(8 * 1024 * 1024, 'x');
  Store("large", large);
  EXPECT_EQ(Text("large").size(), large.size());
}

}  // namespace
}  // namespace entrepot
