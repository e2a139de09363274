// How the params of `transact` are read, by a table of what may be wrong. Written as JSON text:
// in braces a list of pairs would be an object.

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "server/params.h"

namespace entrepot {
namespace {

using testing::HasSubstr;

class TransactionParamsTest : public testing::Test {
 protected:
  Status Read(const std::string& json) {
    const std::vector<uint8_t> packed = nlohmann::json::to_msgpack(nlohmann::json::parse(json));
    return ReadEncoded({packed.begin(), packed.end()});
  }
  // What is read views `encoded`.
  Status ReadEncoded(const std::string& encoded) {
    encoded_ = encoded;
    Request request;
    request.method = Method::kTransact;
    request.param_count = 1;
    request.params[0] = encoded_;
    ParamOptions options;
    transaction_ = Transaction();
    return ReadTransaction(
        request, limits_, [](std::string_view key) { return key.size(); }, &transaction_, &options);
  }

  Limits limits_;
  Transaction transaction_;

 private:
  std::string encoded_;
};

TEST_F(TransactionParamsTest, ConditionsAndBothBranchesAreRead) {
  ASSERT_TRUE(Read(R"({
    "if": [["a", "version", "=", 3], ["b", "exists", "!=", true],
           ["c", "value", "<", 9], ["d", "value", ">", "x"]],
    "then": [["set", ["key", "v"]], ["get", ["key"]]],
    "else": [["delete", ["other"]]]})")
                  .ok());
  using Field = Condition::Field;
  using Comparison = Condition::Comparison;
  const struct {
    const char* key;
    Field field;
    Comparison comparison;
  } expected[] = {{"a", Field::kVersion, Comparison::kEqual},
                  {"b", Field::kExists, Comparison::kNotEqual},
                  {"c", Field::kValue, Comparison::kLess},
                  {"d", Field::kValue, Comparison::kGreater}};
  const std::vector<Condition>& conditions = transaction_.conditions;
  ASSERT_EQ(conditions.size(), std::size(expected));
  for (size_t i = 0; i < std::size(expected); ++i) {
    EXPECT_EQ(conditions[i].key, expected[i].key);
    EXPECT_EQ(conditions[i].field, expected[i].field);
    EXPECT_EQ(conditions[i].comparison, expected[i].comparison);
    EXPECT_EQ(conditions[i].hash, 1u);
  }
  EXPECT_EQ(conditions[0].version, 3u);
  EXPECT_TRUE(conditions[1].exists);
  EXPECT_EQ(conditions[2].value, "\x09");
  EXPECT_EQ(conditions[3].value, "\xa1x");

  ASSERT_EQ(transaction_.then_operations.size(), 2u);
  EXPECT_EQ(transaction_.then_operations[0].method, Method::kSet);
  EXPECT_EQ(transaction_.then_operations[0].value, "\xa1v");
  EXPECT_EQ(transaction_.then_operations[0].hash, 3u);
  EXPECT_EQ(transaction_.then_operations[1].method, Method::kGet);
  ASSERT_EQ(transaction_.else_operations.size(), 1u);
  EXPECT_EQ(transaction_.else_operations[0].key, "other");
}

TEST_F(TransactionParamsTest, WhatIsWrongIsNamed) {
  const std::string long_key(1025, 'k');
  const struct {
    std::string json;
    Code code;
    const char* named;
  } rows[] = {
      {"null", Code::kInvalidArgument, "a map of if, then and else"},
      {"[]", Code::kInvalidArgument, "a map of if, then and else"},
      {R"({"them": []})", Code::kInvalidArgument, "\"them\""},
      {R"({"if": "a"})", Code::kInvalidArgument, "if is to be an array"},
      {R"({"then": 1})", Code::kInvalidArgument, "then is to be an array"},
      {R"({"else": null})", Code::kInvalidArgument, "else is to be an array"},
      {R"({"if": ["a"]})", Code::kInvalidArgument, "a condition is to be"},
      {R"({"if": [["a", "version", "="]]})", Code::kInvalidArgument, "a condition is to be"},
      {R"({"if": [["a", "size", "=", 1]]})", Code::kInvalidArgument, "a condition is to be"},
      {R"({"if": [["a", "version", "<=", 1]]})", Code::kInvalidArgument, "a condition is to be"},
      {R"({"if": [["a", "version", "=", -1]]})", Code::kInvalidArgument, "a version"},
      {R"({"if": [["a", "exists", "<", true]]})", Code::kInvalidArgument, "exists takes"},
      {R"({"if": [["a", "exists", "=", 1]]})", Code::kInvalidArgument, "exists is to be"},
      {R"({"if": [["", "exists", "=", true]]})", Code::kInvalidArgument, "a key"},
      {R"({"then": [["set"]]})", Code::kInvalidArgument, "operation 0 of then"},
      {R"({"then": [["get", ["a"]], ["set", 1]]})", Code::kInvalidArgument, "operation 1 of then"},
      {R"({"then": [["find", ["a"]]]})", Code::kInvalidArgument, "\"find\""},
      {R"({"else": [["frobnicate", ["a"]]]})", Code::kInvalidArgument, "\"frobnicate\""},
      {R"({"then": [["set", ["a", 1, {}, 1]]]})", Code::kInvalidArgument, "too many params"},
      {R"({"then": [["set", ["a"]]]})", Code::kInvalidArgument, "set takes 2 params"},
      {R"({"then": [["set", ["a", 1, {"ttl": 1}]]]})", Code::kInvalidArgument, "\"ttl\""},
      {R"({"then": [["set", ["a", 1, {"ack": "durable"}]]]})", Code::kInvalidArgument,
       "ack and once"},
      {R"({"then": [["delete", ["a", {"once": ["00112233445566778899aabbccddeeff", 1, 0]}]]]})",
       Code::kInvalidArgument, "ack and once"},
      {R"({"then": [["set", ["a", 1]], ["delete", ["a"]]]})", Code::kInvalidArgument,
       "writes the key \"a\" twice"},
      {R"({"then": [["set", ["$a", 1]]]})", Code::kDenied, "$"},
      {R"({"then": [["get", [")" + long_key + R"("]]]})", Code::kTooLarge, "the key has 1025"},
  };
  for (const auto& row : rows) {
    const Status status = Read(row.json);
    EXPECT_EQ(status.code(), row.code) << row.json << ": " << status.message();
    EXPECT_THAT(status.message(), HasSubstr(row.named)) << row.json;
  }
}

TEST_F(TransactionParamsTest, APartGivenTwiceIsNamed) {
  EXPECT_EQ(ReadEncoded("\x82\xa4then\x90\xa4then\x90").message(), "transact has two parts then");
}

TEST_F(TransactionParamsTest, EachBranchMayWriteAKeyOnceAndReadItOften) {
  EXPECT_TRUE(Read(R"({"then": [["set", ["a", 1]], ["get", ["a"]], ["get", ["a"]]],
                       "else": [["set", ["a", 2]]]})")
                  .ok());
}

TEST_F(TransactionParamsTest, EachPartHasItsLimit) {
  limits_.transact_operations = 2;
  EXPECT_TRUE(Read(R"({"if": [["a", "exists", "=", true], ["b", "exists", "=", true]],
                       "then": [["get", ["a"]], ["get", ["b"]]]})")
                  .ok());
  for (const std::string part : {"then", "else"}) {
    const Status status =
        Read("{\"" + part + R"(": [["get", ["a"]], ["get", ["b"]], ["get", ["c"]]]})");
    EXPECT_EQ(status.code(), Code::kTooLarge);
    EXPECT_EQ(status.message(), part + " has 3 operations, over the limit of 2");
  }
  EXPECT_EQ(Read(R"({"if": [[], [], []]})").message(), "if has 3 conditions, over the limit of 2");
}

TEST_F(TransactionParamsTest, AValueNestsNoDeeperThanAlone) {
  limits_.nesting = 1;
  EXPECT_TRUE(Read(R"({"then": [["set", ["a", [1]]]]})").ok());
  EXPECT_EQ(Read(R"({"then": [["set", ["a", [[]]]]]})").code(), Code::kMalformed);
}

}  // namespace
}  // namespace entrepot
