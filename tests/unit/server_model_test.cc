// Every method against a model that is a std::map: random requests through a real server, each answer
// predicted to the last field, under both ways of dispatching. The seed is printed, and can be given
// by ENTREPOT_SEED.

#include <cmath>
#include <cstdlib>
#include <iostream>
#include <map>
#include <optional>
#include <random>

#include "support/test_server.h"

namespace entrepot {
namespace {

uint64_t Seed() {
  const char* const given = std::getenv("ENTREPOT_SEED");
  const uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10)
                                         : std::random_device()();
  std::cout << "ENTREPOT_SEED=" << seed << std::endl;
  return seed;
}

template <typename T>
std::string Item(const T& value) {
  msgpack::sbuffer buffer;
  msgpack::pack(buffer, value);
  return {buffer.data(), buffer.size()};
}

std::string Text(const std::string& content) { return Item(content); }

std::string Bin(const std::string& content) {
  msgpack::sbuffer buffer;
  Packer packer(buffer);
  packer.pack_bin(static_cast<uint32_t>(content.size()));
  packer.pack_bin_body(content.data(), static_cast<uint32_t>(content.size()));
  return {buffer.data(), buffer.size()};
}

// --- An independent notion of the order of values ---------------------------------------------

// nil < false < true < numbers < NaN < texts; nothing for what has no place. An x87 long double holds
// every 64-bit integer and every double exactly.
struct Rank {
  int type;
  long double number = 0;
  std::string text;

  bool operator<(const Rank& other) const {
    if (type != other.type) return type < other.type;
    if (type == 3) return number < other.number;
    return text < other.text;
  }
  bool operator==(const Rank& other) const { return !(*this < other) && !(other < *this); }
};

std::optional<Rank> RankOf(const std::string& encoded) {
  const msgpack::object_handle handle = msgpack::unpack(encoded.data(), encoded.size());
  const msgpack::object& object = handle.get();
  switch (object.type) {
    case msgpack::type::NIL: return Rank{0};
    case msgpack::type::BOOLEAN: return Rank{object.as<bool>() ? 2 : 1};
    case msgpack::type::POSITIVE_INTEGER: return Rank{3, static_cast<long double>(object.via.u64)};
    case msgpack::type::NEGATIVE_INTEGER: return Rank{3, static_cast<long double>(object.via.i64)};
    case msgpack::type::FLOAT32:
    case msgpack::type::FLOAT64:
      if (std::isnan(object.via.f64)) return Rank{4};
      return Rank{3, static_cast<long double>(object.via.f64)};
    case msgpack::type::STR: return Rank{5, 0, {object.via.str.ptr, object.via.str.size}};
    case msgpack::type::BIN: return Rank{5, 0, {object.via.bin.ptr, object.via.bin.size}};
    default: return std::nullopt;
  }
}

// --- The test ---------------------------------------------------------------------------------

struct ModelEntry {
  std::string value;
  uint64_t version;
};

class ServerModelTest : public testing::TestWithParam<DispatchMode> {
 protected:
  static Options WithDispatch(DispatchMode dispatch) {
    Options options;
    options.dispatch = dispatch;
    options.stripes = 64;
    return options;
  }

  size_t Random(size_t below) { return std::uniform_int_distribution<size_t>(0, below - 1)(random_); }
  bool OneIn(size_t n) { return Random(n) == 0; }

  std::string RandomKey() {
    static const char* const kPrefixes[] = {"a", "ab", "user:", "user:1", "\xff", "\xff\xff"};
    std::string key = kPrefixes[Random(std::size(kPrefixes))];
    return key + std::to_string(Random(30));
  }

  std::string RandomText() {
    static const std::string kLong(1030, 'p');
    static const std::string kStarts[] = {"", "blue", "blue sky", std::string("\0", 1), "\xff",
                                          "\xff\xff", kLong, kLong.substr(0, 1023), "z"};
    std::string text = kStarts[Random(std::size(kStarts))];
    for (size_t n = Random(3); n > 0; --n) text += "\0a\xff"[Random(3)];
    return text;
  }

  std::string RandomValue() {
    switch (Random(12)) {
      case 0: return Item(msgpack::type::nil_t());
      case 1: return Item(OneIn(2));
      case 2: {
        static const int64_t kIntegers[] = {0, 1, -1, 7, -33, (1LL << 53) - 1, 1LL << 53,
                                            (1LL << 53) + 1, -(1LL << 53) - 1, INT64_MIN, INT64_MAX};
        return Item(kIntegers[Random(std::size(kIntegers))]);
      }
      case 3: return Item(uint64_t{INT64_MAX} + 1 + Random(3));
      case 4: {
        static const double kFloats[] = {0.0, -0.0, 1.0, -1.5, 9007199254740992.0, 9.3e18, 1e300,
                                         -1e300, HUGE_VAL, -HUGE_VAL, NAN, 5e-324};
        return Item(kFloats[Random(std::size(kFloats))]);
      }
      case 5: return Item(OneIn(2) ? 1.5f : 16777216.0f);
      case 6: return Item(std::vector<int>{1, 2});
      case 7: return Item(std::map<std::string, int>{{"a", 1}});
      case 8: return Bin(RandomText());
      default: return Text(RandomText());
    }
  }

  ModelEntry* Find(const std::string& key) {
    const auto found = model_.find(key);
    return found == model_.end() ? nullptr : &found->second;
  }
  void Put(const std::string& key, const std::string& value) { model_[key] = {value, ++revision_}; }

  void ExpectConflict(const Response& response, const ModelEntry* present) {
    EXPECT_EQ(response.status(), "conflict");
    EXPECT_EQ(response.As<uint64_t>("version"), present != nullptr ? present->version : 0);
    EXPECT_EQ(response.Has("value"), present != nullptr);
    if (present != nullptr) {
      EXPECT_EQ(Encoded(response["value"]), present->value);
    }
  }

  void Set() {
    const std::string key = RandomKey(), value = RandomValue();
    ModelEntry* const present = Find(key);
    const uint64_t version = present != nullptr ? present->version : 0;
    const size_t condition = Random(6);
    const uint64_t wanted = OneIn(3) ? version : Random(3);
    const bool previous = OneIn(4);
    const Response response = client_.Call("set", [&](Packer& packer) {
      packer.pack_array(3);
      packer.pack(key);
      PackRaw(packer, value);
      packer.pack_map((condition < 3 ? 1 : 0) + 1u);
      packer.pack("previous");
      packer.pack(previous);
      if (condition == 0) packer.pack("if_absent"), packer.pack(true);
      if (condition == 1) packer.pack("if_present"), packer.pack(true);
      if (condition == 2) packer.pack("if_version"), packer.pack(wanted);
    });
    const bool holds = condition == 0   ? present == nullptr
                       : condition == 1 ? present != nullptr
                       : condition == 2 ? wanted == version
                                        : true;
    if (!holds) return ExpectConflict(response, present);
    EXPECT_EQ(response.status(), present == nullptr ? "created" : "updated");
    EXPECT_EQ(response.Has("previous_version"), previous);
    if (previous) {
      EXPECT_EQ(response.As<uint64_t>("previous_version"), version);
      EXPECT_EQ(response.Has("value"), present != nullptr);
      if (present != nullptr) {
      EXPECT_EQ(Encoded(response["value"]), present->value);
    }
    }
    Put(key, value);
    EXPECT_EQ(response.As<uint64_t>("version"), revision_);
  }

  void Get() {
    const std::string key = RandomKey();
    const ModelEntry* const present = Find(key);
    const Response response =
        client_.Call("get", [&](Packer& packer) { packer.pack_array(1).pack(key); });
    EXPECT_EQ(response.status(), present == nullptr ? "not_found" : "found");
    EXPECT_EQ(response.As<uint64_t>("version"), present == nullptr ? 0 : present->version);
    if (present != nullptr) {
      EXPECT_EQ(Encoded(response["value"]), present->value);
    }
  }

  void Delete() {
    const std::string key = RandomKey();
    ModelEntry* const present = Find(key);
    const uint64_t version = present != nullptr ? present->version : 0;
    const std::optional<uint64_t> wanted =
        OneIn(3) ? std::optional<uint64_t>(OneIn(2) ? version : 1) : std::nullopt;
    const Response response = client_.Call("delete", [&](Packer& packer) {
      packer.pack_array(2).pack(key);
      packer.pack_map(wanted ? 1 : 0);
      if (wanted) packer.pack("if_version"), packer.pack(*wanted);
    });
    if (wanted && *wanted != version) return ExpectConflict(response, present);
    EXPECT_EQ(response.status(), present == nullptr ? "not_found" : "deleted");
    if (present != nullptr) {
      model_.erase(key);
      ++revision_;
    }
    EXPECT_EQ(response.As<uint64_t>("version"), present == nullptr ? 0 : revision_);
  }

  void Increment() {
    const std::string key = "n" + std::to_string(Random(4));
    const int64_t by = OneIn(5) ? INT64_MAX : static_cast<int64_t>(Random(100)) - 50;
    ModelEntry* const present = Find(key);
    const int64_t before =
        present != nullptr
            ? msgpack::unpack(present->value.data(), present->value.size())->as<int64_t>()
            : 0;
    const Response response =
        client_.Call("increment", [&](Packer& packer) { packer.pack_array(2).pack(key).pack(by); });
    int64_t sum;
    if (__builtin_add_overflow(before, by, &sum)) return ExpectConflict(response, present);
    EXPECT_EQ(response.status(), present == nullptr ? "created" : "updated");
    EXPECT_EQ(response.As<int64_t>("value"), sum);
    Put(key, Item(sum));
    EXPECT_EQ(response.As<uint64_t>("version"), revision_);
  }

  void Append() {
    const std::string key = RandomKey(), added = RandomText();
    ModelEntry* const present = Find(key);
    const bool front = OneIn(2), binary = OneIn(2);
    const Response response =
        client_.Call(front ? "prepend" : "append", [&](Packer& packer) {
          packer.pack_array(2).pack(key);
          PackRaw(packer, binary ? Bin(added) : Text(added));
        });
    if (present == nullptr) {
      EXPECT_EQ(response.status(), "created");
      EXPECT_EQ(response.As<uint64_t>("length"), added.size());
      return Put(key, binary ? Bin(added) : Text(added));
    }
    const msgpack::object_handle old = msgpack::unpack(present->value.data(), present->value.size());
    const bool is_text = old->type == msgpack::type::STR, is_bin = old->type == msgpack::type::BIN;
    if (!is_text && !is_bin) {
      EXPECT_EQ(response.code(), "wrong_type");
      return;
    }
    const std::string content = RankOf(present->value)->text;
    const std::string joined = front ? added + content : content + added;
    EXPECT_EQ(response.status(), "updated");
    EXPECT_EQ(response.As<uint64_t>("length"), joined.size());
    Put(key, is_bin ? Bin(joined) : Text(joined));
  }

  void GetMany() {
    std::vector<std::string> keys;
    for (size_t n = Random(20); n > 0; --n) keys.push_back(RandomKey());
    const Response response =
        client_.Call("get_many", [&](Packer& packer) { packer.pack_array(1).pack(keys); });
    const msgpack::object_array& items = response["items"].via.array;
    ASSERT_EQ(items.size, keys.size());
    for (size_t i = 0; i < keys.size(); ++i) {
      const ModelEntry* const present = Find(keys[i]);
      ASSERT_EQ(items.ptr[i].is_nil(), present == nullptr);
      if (present == nullptr) continue;
      EXPECT_EQ(Encoded(items.ptr[i].via.array.ptr[0]), present->value);
      EXPECT_EQ(items.ptr[i].via.array.ptr[1].as<uint64_t>(), present->version);
    }
  }

  void Transact() {
    const std::string guard = RandomKey(), first = "t" + RandomKey(), second = "u" + RandomKey();
    const bool wanted = OneIn(2), fails_inside = OneIn(3);
    const std::string value = RandomValue();
    const Response response = client_.Call("transact", [&](Packer& packer) {
      packer.pack_array(1).pack_map(3);
      packer.pack("if");
      packer.pack_array(1).pack_array(4).pack(guard).pack("exists").pack("=").pack(wanted);
      packer.pack("then");
      packer.pack_array(3);
      packer.pack_array(2).pack("set").pack_array(2).pack(first);
      PackRaw(packer, value);
      packer.pack_array(2).pack("get").pack_array(1).pack(first);
      packer.pack_array(2).pack("set").pack_array(3).pack(second);
      PackRaw(packer, value);
      packer.pack_map(1).pack("if_version").pack(fails_inside ? 999'999'999 : VersionOf(second));
      packer.pack("else");
      packer.pack_array(1).pack_array(2).pack("delete").pack_array(1).pack(first);
    });
    if ((Find(guard) != nullptr) != wanted) {
      EXPECT_EQ(response.status(), "rejected");
      if (model_.erase(first) > 0) ++revision_;
      return;
    }
    EXPECT_EQ(response.status(), fails_inside ? "rejected" : "committed");
    if (fails_inside) return;
    ++revision_;
    model_[first] = {value, revision_};
    model_[second] = {value, revision_};
    EXPECT_EQ(response.As<uint64_t>("version"), revision_);
    const msgpack::object_array& results = response["results"].via.array;
    ASSERT_EQ(results.size, 3u);
  }

  uint64_t VersionOf(const std::string& key) {
    const ModelEntry* const present = Find(key);
    return present != nullptr ? present->version : 0;
  }

  // A whole walk of `method`, page by page, in both orders.
  std::vector<std::string> Walk(const std::string& method, const std::string& query,
                                const std::string& key_prefix, bool descending) {
    std::vector<std::string> keys;
    std::string cursor;
    const size_t limit = 1 + Random(40);
    for (bool more = true; more;) {
      const Response response = client_.Call(method, [&](Packer& packer) {
        packer.pack_array(2);
        PackRaw(packer, query);
        packer.pack_map(3u + (method == "find" ? 1 : 0) + (cursor.empty() ? 0 : 1));
        packer.pack("limit").pack(limit);
        packer.pack("values").pack(true);
        packer.pack("order").pack(descending ? "desc" : "asc");
        if (method == "find") packer.pack("key_prefix").pack(key_prefix);
        if (!cursor.empty()) {
          packer.pack("cursor");
          PackRaw(packer, cursor);
        }
      });
      EXPECT_EQ(response.As<uint64_t>("version"), revision_);
      const msgpack::object_array& page = response["keys"].via.array;
      const msgpack::object_array& values = response["values"].via.array;
      EXPECT_EQ(response.status(), page.size > 0 ? "found" : "not_found");
      for (uint32_t i = 0; i < page.size; ++i) {
        keys.push_back(RankOf(Encoded(page.ptr[i]))->text);
        EXPECT_EQ(Encoded(values.ptr[i]), model_[keys.back()].value);
      }
      more = response.Has("cursor");
      if (more) cursor = Encoded(response["cursor"]);
    }
    return keys;
  }

  uint64_t Count(const std::string& query, const std::string& key_prefix) {
    const Response response = client_.Call("count", [&](Packer& packer) {
      packer.pack_array(1).pack_map(query.empty() ? 1 : 2);
      packer.pack("key_prefix").pack(key_prefix);
      if (!query.empty()) {
        packer.pack("query");
        PackRaw(packer, query);
      }
    });
    return response.As<uint64_t>("count");
  }

  void FindAndCount() {
    std::string query;
    std::function<bool(const Rank&)> matches;
    const std::string low = RandomValue(), high = RandomValue(), text = RandomText();
    switch (Random(3)) {
      case 0:
        query = OneIn(2) ? Text(text) : Bin(text);
        matches = [&](const Rank& rank) { return rank.type == 5 && rank.text.starts_with(text); };
        break;
      case 1:
        if (!RankOf(low)) return;
        query = "\x81" + Text("equals") + low;
        matches = [&](const Rank& rank) { return rank == *RankOf(low); };
        break;
      default:
        if (!RankOf(low) || !RankOf(high)) return;
        query = "\x82" + Text("from") + low + Text("to") + high;
        matches = [&](const Rank& rank) { return !(rank < *RankOf(low)) && rank < *RankOf(high); };
    }
    const std::string key_prefix = OneIn(2) ? "" : "user:";
    std::vector<std::pair<Rank, std::string>> expected;
    for (const auto& [key, entry] : model_) {
      std::optional<Rank> rank = RankOf(entry.value);
      if (!rank || !matches(*rank) || !key.starts_with(key_prefix)) continue;
      rank->text = rank->text.substr(0, 1024);
      expected.emplace_back(*rank, key);
    }
    std::sort(expected.begin(), expected.end());
    EXPECT_EQ(Count(query, key_prefix), expected.size());
    const bool descending = OneIn(2);
    if (descending) std::reverse(expected.begin(), expected.end());
    std::vector<std::string> keys;
    for (const auto& [rank, key] : expected) keys.push_back(key);
    EXPECT_EQ(Walk("find", query, key_prefix, descending), keys);
  }

  void Scan() {
    static const std::string kPrefixes[] = {"", "a", "user:1", "\xff", "\xff\xff", "nothing"};
    const std::string prefix = kPrefixes[Random(std::size(kPrefixes))];
    const bool descending = OneIn(2);
    std::vector<std::string> expected;
    for (const auto& [key, entry] : model_) {
      if (key.starts_with(prefix)) expected.push_back(key);
    }
    EXPECT_EQ(Count("", prefix), expected.size());
    if (descending) std::reverse(expected.begin(), expected.end());
    EXPECT_EQ(Walk("scan", Bin(prefix), "", descending), expected);
  }

  void DeletePrefix() {
    const std::string prefix = RandomKey();
    const uint64_t limit = 1 + Random(3);
    uint64_t there = 0;
    std::vector<std::string> doomed;
    for (const auto& [key, entry] : model_) {
      if (!key.starts_with(prefix)) continue;
      ++there;
      if (doomed.size() < limit) doomed.push_back(key);
    }
    const Response response = client_.Call("delete_prefix", [&](Packer& packer) {
      packer.pack_array(2).pack(prefix).pack_map(1).pack("limit").pack(limit);
    });
    EXPECT_EQ(response.As<uint64_t>("deleted"), doomed.size());
    EXPECT_EQ(response.As<bool>("more"), there > doomed.size());
    for (const std::string& key : doomed) model_.erase(key);
    revision_ += doomed.size();
  }

  void Step() {
    switch (Random(16)) {
      case 0: return Delete();
      case 1: return Increment();
      case 2: return Append();
      case 3: return GetMany();
      case 4: return Transact();
      case 5: return FindAndCount();
      case 6: return Scan();
      case 7: return DeletePrefix();
      case 8:
      case 9:
      case 10: return Get();
      default: return Set();
    }
  }

  std::mt19937_64 random_{Seed()};
  TestServer server_{WithDispatch(GetParam())};
  RawClient client_ = server_.Connect();
  std::map<std::string, ModelEntry> model_;
  uint64_t revision_ = 0;
};

TEST_P(ServerModelTest, EveryMethodAnswersAsTheModel) {
  constexpr int kSteps = 4000;
  for (int step = 0; step < kSteps && !HasFailure(); ++step) {
    SCOPED_TRACE("step " + std::to_string(step));
    Step();
  }
}

INSTANTIATE_TEST_SUITE_P(Dispatch, ServerModelTest,
                         testing::Values(DispatchMode::kInline, DispatchMode::kWorkers),
                         [](const auto& dispatch) {
                           return dispatch.param == DispatchMode::kInline ? "Inline" : "Workers";
                         });

}  // namespace
}  // namespace entrepot
