// How params and options are read, by tables: which method takes which option, what each may be,
// and what is said about one that it may not be. Items are written as JSON. What a transaction adds
// stands in transaction_params_test.cc.

#include "server/params.h"

#include <cmath>
#include <deque>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace entrepot {
namespace {

using Json = nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

constexpr uint64_t kIntegerMax = (uint64_t{1} << 53) - 1;
constexpr const char* kSession = "00112233445566778899aabbccddeeff";

std::string Item(const Json& value) {
  const std::vector<uint8_t> packed = Json::to_msgpack(value);
  return {packed.begin(), packed.end()};
}

Json Binary(const std::string& bytes) {
  return Json::binary(std::vector<uint8_t>(bytes.begin(), bytes.end()));
}

// A map that may have a name twice, or one that is no str.
std::string Map(const std::vector<std::pair<Json, Json>>& pairs) {
  std::string map(1, static_cast<char>(0x80 + pairs.size()));
  for (const auto& [name, value] : pairs) map += Item(name) + Item(value);
  return map;
}

// The options of the specification, each with a value that it may have, and the methods that take
// it (docs/PROTOCOL.md, "Methods").
struct OptionRow {
  const char* name;
  Json value;
  std::set<Method> methods;
};
const std::vector<OptionRow>& AllOptions() {
  using enum Method;
  static const std::vector<OptionRow> rows = {
      {"ttl_ms", 5, {kSet, kIncrement}},
      {"expires_at_ms", 6, {kSet}},
      {"keep_ttl", true, {kSet}},
      {"if_version", 7, {kSet, kDelete}},
      {"if_absent", true, {kSet}},
      {"if_present", true, {kSet}},
      {"previous", true, {kSet, kDelete}},
      {"unless_version", 8, {kGet}},
      {"initial", 1.5, {kIncrement}},
      {"min", -2, {kIncrement}},
      {"max", 9, {kIncrement}},
      {"key_prefix", "user:", {kFind, kCount, kWatch, kChanges}},
      {"query", "warm", {kCount, kWatch}},
      {"limit", 10, {kFind, kScan, kDeletePrefix, kChanges}},
      {"cursor", Binary("next"), {kFind, kScan}},
      {"values", true, {kFind, kScan, kWatch, kChanges}},
      {"since", Json::array({"0123456789abcdef", 5}), {kWatch}},
      {"snapshot", true, {kWatch}},
      {"credit", 100, {kWatch}},
      {"wait_ms", 100, {kChanges}},
      {"order", "desc", {kFind, kScan}},
      {"ack",
       "durable",
       {kSet, kGet, kDelete, kIncrement, kAppend, kPrepend, kTouch, kGetMany, kTransact, kFind,
        kScan, kCount, kDeletePrefix}},
      {"once",
       Json::array({kSession, 4, 3}),
       {kSet, kDelete, kIncrement, kAppend, kPrepend, kTouch, kTransact, kDeletePrefix}},
  };
  return rows;
}

class ParamsTest : public testing::Test {
 protected:
  Status Read(Method method, const std::string& encoded) {
    // What is read views the map, as it would view the request.
    options_ = ParamOptions();
    return ReadOptions(method, kept_.emplace_back(encoded), &options_);
  }
  // Reads one option of a method that takes it.
  Status Read(const char* name, const Json& value) {
    for (const OptionRow& row : AllOptions()) {
      if (row.name == std::string_view(name)) {
        return Read(*row.methods.begin(), Map({{name, value}}));
      }
    }
    throw std::out_of_range(name);
  }
  void ExpectRefused(const char* name, const Json& value) {
    const Status status = Read(name, value);
    EXPECT_EQ(status.code(), Code::kInvalidArgument) << name << ": " << value;
    EXPECT_THAT(status.message(), HasSubstr(name)) << value;
  }

  Request MakeRequest(Method method, const std::vector<Json>& params) {
    Request request;
    request.method = method;
    request.method_name = MethodName(method);
    request.param_count = static_cast<uint8_t>(params.size());
    for (size_t i = 0; i < params.size(); ++i) {
      request.params[i] = kept_.emplace_back(Item(params[i]));
    }
    // The decoder has read the key already.
    if (Token key; MsgpackReader(request.params[0]).Next(&key) && key.IsText()) {
      request.key = key.bytes;
    }
    return request;
  }
  Status Operate(Method method, const std::vector<Json>& params) {
    options_ = ParamOptions();
    operation_ = Operation();
    return ReadOperation(MakeRequest(method, params), limits_, &operation_, &options_);
  }

  Limits limits_;
  ParamOptions options_;
  Operation operation_;

 private:
  std::deque<std::string> kept_;
};

// --- Options ----------------------------------------------------------------------------------

TEST_F(ParamsTest, EachMethodTakesItsOwnOptionsAndNamesAnyOther) {
  for (size_t number = 0; number < kMethods; ++number) {
    const Method method = static_cast<Method>(number);
    if (method == Method::kUnknown || method == Method::kHello) continue;
    for (const OptionRow& row : AllOptions()) {
      const Status status = Read(method, Map({{row.name, row.value}}));
      if (row.methods.count(method) > 0) {
        EXPECT_TRUE(status.ok()) << MethodName(method) << ": " << status.message();
      } else {
        EXPECT_EQ(status.code(), Code::kInvalidArgument) << MethodName(method) << row.name;
        EXPECT_EQ(status.message(),
                  std::string(MethodName(method)) + " has no option \"" + row.name + "\"");
      }
    }
    EXPECT_EQ(Read(method, Map({{"session", true}})).code(), Code::kInvalidArgument);
  }
}

TEST_F(ParamsTest, OnlyHelloIgnoresWhatItDoesNotKnow) {
  ASSERT_TRUE(
      Read(Method::kHello, Map({{"client", "x"}, {"ttl_ms", "y"}, {"session", true}})).ok());
  EXPECT_TRUE(options_.session);
  EXPECT_FALSE(options_.ttl_ms);
  EXPECT_EQ(Read(Method::kHello, Map({{"session", 1}})).code(), Code::kInvalidArgument);
}

TEST_F(ParamsTest, OptionsReachTheirFieldsInAnyOrder) {
  const std::vector<std::pair<Json, Json>> set = {
      {"ttl_ms", 5},      {"expires_at_ms", 6}, {"keep_ttl", true},
      {"if_version", 7},  {"if_absent", true},  {"if_present", true},
      {"previous", true}, {"ack", "applied"},   {"once", {kSession, 4, 3}},
  };
  for (const auto& pairs : {set, decltype(set)(set.rbegin(), set.rend())}) {
    ASSERT_TRUE(Read(Method::kSet, Map(pairs)).ok());
    EXPECT_EQ(options_.ttl_ms, 5u);
    EXPECT_EQ(options_.expires_at_ms, 6u);
    EXPECT_EQ(options_.if_version, 7u);
    EXPECT_TRUE(options_.keep_ttl && options_.if_absent && options_.if_present);
    EXPECT_TRUE(options_.previous);
    EXPECT_EQ(options_.ack, Acknowledge::kApplied);
    ASSERT_TRUE(options_.once);
    EXPECT_EQ(options_.once->session.ToString(), kSession);
    EXPECT_EQ(options_.once->number, 4u);
    EXPECT_EQ(options_.once->done, 3u);
  }
  ASSERT_TRUE(Read(Method::kFind, Map({{"key_prefix", "user:"},
                                       {"limit", 10},
                                       {"cursor", Binary("next")},
                                       {"values", true},
                                       {"order", "desc"},
                                       {"ack", "durable"}}))
                  .ok());
  EXPECT_EQ(options_.key_prefix, "user:");
  EXPECT_EQ(options_.limit, 10u);
  EXPECT_EQ(options_.cursor, "next");
  EXPECT_TRUE(options_.values);
  EXPECT_EQ(options_.order, Direction::kDescending);
  EXPECT_EQ(options_.ack, Acknowledge::kDurable);
  ASSERT_TRUE(Read(Method::kIncrement, Map({{"initial", 1.5}, {"min", -2}, {"max", 9}})).ok());
  EXPECT_EQ(options_.initial, Number(1.5));
  EXPECT_EQ(options_.min, Number(int64_t{-2}));
  EXPECT_EQ(options_.max, Number(int64_t{9}));
  ASSERT_TRUE(Read("unless_version", 8).ok());
  EXPECT_EQ(options_.unless_version, 8u);
  const Json query = {{"prefix", "warm"}};
  ASSERT_TRUE(Read("query", query).ok());
  EXPECT_EQ(options_.query, Item(query));
}

TEST_F(ParamsTest, FalseIsAsIfLeftOutAndNilIsRefused) {
  for (const OptionRow& row : AllOptions()) {
    ASSERT_TRUE(Read(row.name, false).ok()) << row.name;
    EXPECT_FALSE(options_.ttl_ms || options_.expires_at_ms || options_.if_version ||
                 options_.unless_version || options_.limit || options_.once || options_.cursor ||
                 options_.key_prefix || options_.initial || options_.min || options_.max ||
                 options_.keep_ttl || options_.if_absent || options_.if_present ||
                 options_.previous || options_.values || !options_.query.empty())
        << row.name;
    EXPECT_EQ(options_.ack, Acknowledge::kDefault);
    EXPECT_EQ(options_.order, Direction::kAscending);
    ExpectRefused(row.name, nullptr);
  }
}

TEST_F(ParamsTest, AnOptionGivenTwiceIsNamed) {
  for (const OptionRow& row : AllOptions()) {
    for (const Json& first : {row.value, Json(false)}) {
      const Status status =
          Read(*row.methods.begin(), Map({{row.name, first}, {row.name, row.value}}));
      EXPECT_EQ(status.code(), Code::kInvalidArgument) << row.name;
      EXPECT_EQ(status.message(), std::string("the option ") + row.name + " is given twice");
    }
  }
}

TEST_F(ParamsTest, IntegersLieBetweenTheirLeastAndTwoToThe53) {
  const std::pair<const char*, uint64_t> leasts[] = {
      {"ttl_ms", 1}, {"limit", 1}, {"expires_at_ms", 0}, {"if_version", 0}, {"unless_version", 0}};
  for (const auto& [name, least] : leasts) {
    EXPECT_TRUE(Read(name, least).ok()) << name;
    EXPECT_TRUE(Read(name, kIntegerMax).ok()) << name;
    ExpectRefused(name, static_cast<int64_t>(least) - 1);
    ExpectRefused(name, kIntegerMax + 1);
    ExpectRefused(name, 1.0);
    ExpectRefused(name, "1");
    ExpectRefused(name, true);
    ExpectRefused(name, Json::array({1}));
  }
}

TEST_F(ParamsTest, FlagsAreTrueOrFalse) {
  for (const char* name : {"keep_ttl", "if_absent", "if_present", "previous", "values"}) {
    EXPECT_TRUE(Read(name, true).ok()) << name;
    for (const Json& value : {Json(1), Json(0), Json("true"), Json::object()}) {
      ExpectRefused(name, value);
    }
  }
}

TEST_F(ParamsTest, NumbersAreSigned64BitIntegersAndFiniteFloats) {
  for (const char* name : {"initial", "min", "max"}) {
    for (const Json& value : {Json(INT64_MIN), Json(INT64_MAX), Json(0), Json(-0.5), Json(1e300)}) {
      EXPECT_TRUE(Read(name, value).ok()) << name << value;
    }
    for (const Json& value : {Json(uint64_t{INT64_MAX} + 1), Json(std::nan("")), Json(INFINITY),
                              Json("1"), Json(true), Json::array()}) {
      ExpectRefused(name, value);
    }
  }
}

TEST_F(ParamsTest, TextsAreStrOrBin) {
  for (const char* name : {"key_prefix", "cursor"}) {
    EXPECT_TRUE(Read(name, "").ok()) << name;
    EXPECT_TRUE(Read(name, Binary("")).ok()) << name;
    for (const Json& value : {Json(1), Json(true), Json::array({"a"})}) ExpectRefused(name, value);
  }
}

TEST_F(ParamsTest, WordsAreThoseOfTheSpecification) {
  const std::vector<std::pair<const char*, std::vector<Json>>> words = {
      {"ack", {"applied", "durable"}}, {"order", {"asc", "desc"}}};
  for (const auto& [name, allowed] : words) {
    for (const Json& word : allowed) {
      EXPECT_TRUE(Read(name, word).ok()) << word;
      ExpectRefused(name, Binary(word.get<std::string>()));
    }
    for (const Json& value : {Json("other"), Json(""), Json("Applied"), Json(1), Json(true)}) {
      ExpectRefused(name, value);
    }
  }
}

TEST_F(ParamsTest, OnceIsASessionANumberAndDone) {
  EXPECT_TRUE(Read("once", {kSession, 1, 0}).ok());
  EXPECT_TRUE(Read("once", {kSession, kIntegerMax, kIntegerMax}).ok());
  for (const Json& value :
       {Json("x"), Json::array(), Json({kSession, 1}), Json({kSession, 1, 0, 0}), Json({1, 1, 0}),
        Json({Binary(kSession), 1, 0}), Json({kSession, 0, 0}), Json({kSession, -1, 0}),
        Json({kSession, 1, -1}), Json({kSession, 1.0, 0}), Json({kSession, kIntegerMax + 1, 0}),
        Json({kSession, 1, kIntegerMax + 1}), Json({kSession, 1, nullptr})}) {
    ExpectRefused("once", value);
  }
  // Of the right shape, and no session that this server ever gave out.
  for (const std::string& session :
       {std::string("short"), std::string(32, 'g'), std::string(kSession) + "0", std::string()}) {
    EXPECT_EQ(Read("once", {session, 1, 0}).code(), Code::kSessionExpired) << session;
  }
}

TEST_F(ParamsTest, OptionsAreAMapWithNamesThatAreStr) {
  EXPECT_TRUE(Read(Method::kSet, "").ok()) << "options may be left out";
  EXPECT_TRUE(Read(Method::kSet, Map({})).ok());
  for (const Json& value : {Json(nullptr), Json(true), Json(1), Json("ttl_ms"), Json::array()}) {
    const Status status = Read(Method::kSet, Item(value));
    EXPECT_EQ(status.code(), Code::kInvalidArgument) << value;
    EXPECT_EQ(status.message(), "the options of set are to be a map");
  }
  for (const Json& name : {Json(1), Json(nullptr), Binary("ttl_ms"), Json::array()}) {
    for (const Method method : {Method::kSet, Method::kHello}) {
      EXPECT_EQ(Read(method, Map({{name, 1}})).message(), "the name of an option is to be a str");
    }
  }
}

TEST_F(ParamsTest, ANameIsQuotedInPrintableCharactersAndCut) {
  EXPECT_EQ(Read(Method::kSet, Map({{"ttl\n\x1b[0m", 1}})).message(),
            "set has no option \"ttl??[0m\"");
  EXPECT_EQ(Read(Method::kSet, Map({{std::string(64, 'a'), 1}})).message(),
            "set has no option \"" + std::string(64, 'a') + "\"");
  EXPECT_EQ(Read(Method::kSet, Map({{std::string(65, 'a'), 1}})).message(),
            "set has no option \"" + std::string(64, 'a') + "…\"");
}

// --- Params -----------------------------------------------------------------------------------

TEST_F(ParamsTest, TheNumberOfParamsIsChecked) {
  for (size_t required = 0; required < kParamsMax; ++required) {
    for (size_t given = 0; given <= kParamsMax; ++given) {
      std::vector<Json> params(given, Json::object());
      const bool right = given == required || given == required + 1;
      const Status status = ReadParams(MakeRequest(Method::kSet, params), required, &options_);
      EXPECT_EQ(status.code(), right ? Code::kOk : Code::kInvalidArgument)
          << given << " of " << required;
      if (!right) {
        EXPECT_THAT(status.message(), AllOf(HasSubstr("set takes " + std::to_string(required)),
                                            HasSubstr("not " + std::to_string(given))));
      }
    }
  }
}

TEST_F(ParamsTest, KeysAreStrOrBinWithinTheLimit) {
  const auto code = [&](const Json& key, bool to_write) {
    const std::string encoded = Item(key);
    std::string_view read;
    const Status status = ReadKey(encoded, limits_, to_write, &read);
    if (status.ok()) {
      EXPECT_EQ(Item(std::string(read)), Item(key.is_binary() ? Json(std::string(read)) : key));
    }
    return status.code();
  };
  const struct {
    Json key;
    Code read, write;
  } rows[] = {
      {"a", Code::kOk, Code::kOk},
      {Binary(std::string("\0\xff", 2)), Code::kOk, Code::kOk},
      {std::string(1024, 'k'), Code::kOk, Code::kOk},
      {std::string(1025, 'k'), Code::kTooLarge, Code::kTooLarge},
      {"$system", Code::kOk, Code::kDenied},
      {Binary("$"), Code::kOk, Code::kDenied},
      {"a$", Code::kOk, Code::kOk},
      {"", Code::kInvalidArgument, Code::kInvalidArgument},
      {Binary(""), Code::kInvalidArgument, Code::kInvalidArgument},
      {1, Code::kInvalidArgument, Code::kInvalidArgument},
      {nullptr, Code::kInvalidArgument, Code::kInvalidArgument},
      {Json::array({"a"}), Code::kInvalidArgument, Code::kInvalidArgument},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(code(row.key, /*to_write=*/false), row.read) << row.key;
    EXPECT_EQ(code(row.key, /*to_write=*/true), row.write) << row.key;
  }
  limits_.key_bytes = 3;
  EXPECT_EQ(code("abc", true), Code::kOk);
  EXPECT_EQ(code("abcd", true), Code::kTooLarge);
}

TEST_F(ParamsTest, APrefixMayBeEmptyAndOfTheSystem) {
  std::string_view prefix;
  for (const Json& given : {Json(""), Json("$x"), Binary("b"), Json(std::string(2000, 'p'))}) {
    const std::string encoded = Item(given);
    EXPECT_TRUE(ReadPrefix(encoded, &prefix).ok()) << given;
  }
  for (const Json& given : {Json(1), Json(nullptr), Json::object()}) {
    EXPECT_EQ(ReadPrefix(Item(given), &prefix).code(), Code::kInvalidArgument) << given;
  }
}

TEST_F(ParamsTest, OptionsThatExcludeOneAnotherAreRefused) {
  const Json exclusive[] = {
      {{"ttl_ms", 1}, {"expires_at_ms", 1}},
      {{"keep_ttl", true}, {"ttl_ms", 1}},
      {{"keep_ttl", true}, {"expires_at_ms", 1}},
      {{"if_absent", true}, {"if_present", true}},
  };
  for (const Json& options : exclusive) {
    EXPECT_EQ(Operate(Method::kSet, {"k", "v", options}).code(), Code::kInvalidArgument) << options;
  }
  // Other conditions together must all hold, which is for the entry to say.
  EXPECT_TRUE(Operate(Method::kSet, {"k", "v", {{"if_version", 1}, {"if_present", true}}}).ok());
  EXPECT_TRUE(operation_.if_present);
  EXPECT_EQ(operation_.if_version, 1u);
}

TEST_F(ParamsTest, TimesStayWithinWhatTheServerCanTell) {
  ASSERT_TRUE(Operate(Method::kSet, {"k", "v", {{"ttl_ms", kIntegerMax}}}).ok());
  EXPECT_EQ(operation_.ttl_ms, static_cast<int64_t>(kIntegerMax / 2));
  ASSERT_TRUE(Operate(Method::kSet, {"k", "v", {{"expires_at_ms", 0}}}).ok());
  EXPECT_EQ(operation_.expires_at_ms, 1) << "0 would stand for never";
  ASSERT_TRUE(Operate(Method::kTouch, {"k", 5}).ok());
  EXPECT_EQ(operation_.ttl_ms, 5);
  ASSERT_TRUE(Operate(Method::kTouch, {"k", nullptr}).ok());
  EXPECT_EQ(operation_.ttl_ms, 0);
}

TEST_F(ParamsTest, OperandsHaveTheTypeOfTheirMethod) {
  const struct {
    Method method;
    Json operand;
    bool taken;
  } rows[] = {
      {Method::kSet, nullptr, true},
      {Method::kSet, Json::array({1, {}}), true},
      {Method::kIncrement, 1, true},
      {Method::kIncrement, -1.5, true},
      {Method::kIncrement, "1", false},
      {Method::kIncrement, UINT64_MAX, false},
      {Method::kIncrement, INFINITY, false},
      {Method::kAppend, "", true},
      {Method::kAppend, Binary("b"), true},
      {Method::kAppend, 1, false},
      {Method::kPrepend, "a", true},
      {Method::kPrepend, nullptr, false},
      {Method::kTouch, 1, true},
      {Method::kTouch, 0, false},
      {Method::kTouch, false, false},
      {Method::kTouch, "1", false},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(Operate(row.method, {"k", row.operand}).code(),
              row.taken ? Code::kOk : Code::kInvalidArgument)
        << MethodName(row.method) << ": " << row.operand;
  }
}

TEST_F(ParamsTest, TheLimitOfAValueCountsItsHeader) {
  limits_.value_bytes = 10;
  for (const Method method : {Method::kSet, Method::kAppend, Method::kPrepend}) {
    EXPECT_TRUE(Operate(method, {"k", "123456789"}).ok());
    const Status status = Operate(method, {"k", "1234567890"});
    EXPECT_EQ(status.code(), Code::kTooLarge);
    EXPECT_EQ(status.message(), "the value has 11 bytes, over the limit of 10");
  }
}

}  // namespace
}  // namespace entrepot
