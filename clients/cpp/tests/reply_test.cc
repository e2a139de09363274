#include "reply.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "decode.h"

namespace entrepot {
namespace {

using Json = nlohmann::json;

std::string Pack(const Json& json) {
  const std::vector<uint8_t> packed = Json::to_msgpack(json);
  return std::string(packed.begin(), packed.end());
}

TEST(ReplyTest, TakesABodyApart) {
  const std::string body = Pack({1, 7, nullptr, {{"status", "ok"}}}) +
                           Pack({1, 8, {{"code", "wrong_type"}, {"message", "no"}}, nullptr});
  const Result<std::vector<Response>> responses = ParseReplyBody(body);
  ASSERT_TRUE(responses.ok());
  ASSERT_EQ(responses->size(), 2U);
  EXPECT_EQ((*responses)[0].msgid, 7U);
  EXPECT_EQ(*(*responses)[0].reply, Pack({{"status", "ok"}}));
  EXPECT_EQ((*responses)[1].reply.status().code(), StatusCode::kWrongType);
  EXPECT_EQ((*responses)[1].reply.status().message(), "no");
}

TEST(ReplyTest, ReadsWhenToRetry) {
  const std::string body = Pack({1,
                                 1,
                                 {{"code", "overloaded"},
                                  {"message", ""},
                                  {"retry", "later"},
                                  {"retry_after_ms", 250},
                                  {"something_new", {1, 2}}},
                                 nullptr});
  const Status status = ParseReplyBody(body)->front().reply.status();
  EXPECT_TRUE(status.retry_later());
  EXPECT_EQ(status.retry_after_ms(), 250);
  EXPECT_FALSE(status.maybe_applied());
}

TEST(ReplyTest, AnUnknownCodeIsAnErrorThatNamesIt) {
  const std::string body = Pack({1, 1, {{"code", "too_hot"}, {"message", "wait"}}, nullptr});
  const Status status = ParseReplyBody(body)->front().reply.status();
  EXPECT_EQ(status.code(), StatusCode::kOther);
  EXPECT_EQ(status.message(), "too_hot: wait");
}

TEST(ReplyTest, OnlyAnUnknownOutcomeAndADefectMayHaveApplied) {
  for (const std::string code : {"outcome_unknown", "internal", "denied", "unavailable"}) {
    const std::string body = Pack({1, 1, {{"code", code}}, nullptr});
    const Status status = ParseReplyBody(body)->front().reply.status();
    EXPECT_EQ(status.maybe_applied(), code == "outcome_unknown" || code == "internal") << code;
  }
}

TEST(ReplyTest, PassesOverNotifications) {
  const std::string body = Pack({2, "events", {1}}) + Pack({1, 1, nullptr, nullptr});
  EXPECT_EQ(ParseReplyBody(body)->size(), 1U);
}

TEST(ReplyTest, EveryTruncationIsABadReply) {
  const std::string body = Pack({1, 7, nullptr, {{"status", "ok"}, {"version", 12}}});
  for (size_t size = 1; size < body.size(); ++size) {
    EXPECT_EQ(ParseReplyBody(std::string_view(body).substr(0, size)).status().code(),
              StatusCode::kBadReply)
        << size;
  }
}

TEST(DecodeTest, PassesOverFieldsThatAreNew) {
  const Result<Outcome> outcome =
      DecodeOutcome(Pack({{"status", "created"}, {"version", 3}, {"mood", {{"good", true}}}}));
  ASSERT_TRUE(outcome.ok());
  EXPECT_EQ(outcome->status, OutcomeStatus::kCreated);
  EXPECT_EQ(outcome->version, 3U);
}

TEST(DecodeTest, AFieldOfAnotherTypeIsABadReply) {
  EXPECT_EQ(DecodeOutcome(Pack({{"status", "created"}, {"version", "3"}})).status().code(),
            StatusCode::kBadReply);
  EXPECT_EQ(DecodeOutcome(Pack({{"status", "marvellous"}})).status().code(), StatusCode::kBadReply);
  EXPECT_EQ(
      DecodePage(Pack({{"status", "found"}, {"keys", {"a"}}, {"values", {1, 2}}})).status().code(),
      StatusCode::kBadReply);
  EXPECT_EQ(DecodeItems({"a", "b"}, Pack({{"items", {nullptr}}, {"version", 1}})).status().code(),
            StatusCode::kBadReply);
}

}  // namespace
}  // namespace entrepot
