// Runs the scripts that every client library runs: clients/python/tests/client_steps.json.
//
// What the fields of a step mean stands in test_steps.py beside that file. Here calls are made by
// name, and every result is turned into JSON, so that expectations are compared as data; bytes are
// JSON's binary of nlohmann.

#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <future>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "entrepot/client.h"
#include "server_process.h"

namespace entrepot {
namespace {

using Json = nlohmann::json;

Json ToJson(const Value& value) { return Json::from_msgpack(value.encoded()); }

Json ToJson(const std::optional<Value>& value) { return value ? ToJson(*value) : Json(); }

Json KeyToJson(const std::string& key) { return ToJson(Value::TextOrBytes(key)); }

Json ToJson(const Outcome& outcome) {
  return {{"status", OutcomeStatusName(outcome.status)},
          {"version", outcome.version},
          {"value", ToJson(outcome.value)},
          {"previous_version", outcome.previous_version.value_or(0)},
          {"length", outcome.length.value_or(0)},
          {"replayed", outcome.replayed}};
}

Json ToJson(const std::optional<Outcome>& outcome) { return outcome ? ToJson(*outcome) : Json(); }

Json ToJson(const Entry& entry) {
  return {{"key", KeyToJson(entry.key)},
          {"value", ToJson(entry.value)},
          {"version", entry.version},
          {"ttl_ms", entry.ttl_ms ? Json(*entry.ttl_ms) : Json()},
          {"unchanged", entry.unchanged}};
}

Json ToJson(const std::optional<Entry>& entry) { return entry ? ToJson(*entry) : Json(); }

template <typename T>
Json ListToJson(const std::vector<T>& list) {
  Json json = Json::array();
  for (const T& element : list) json.push_back(ToJson(element));
  return json;
}

Json ToJson(const Items& items) {
  return {{"items", ListToJson(items.items)}, {"version", items.version}};
}

Json ToJson(const Page& page) {
  return {{"status", OutcomeStatusName(page.status)}, {"items", ListToJson(page.items)}};
}

Json ToJson(const Counted& counted) { return {{"count", counted.count}}; }

Json ToJson(const DeletedPrefix& deleted) {
  return {{"deleted", deleted.deleted}, {"more", deleted.more}};
}

Json ToJson(const TransactionOutcome& outcome) {
  return {{"status", OutcomeStatusName(outcome.status)}, {"results", ListToJson(outcome.results)}};
}

Json ToJson(const std::vector<Entry>& entries) { return ListToJson(entries); }

Value ToValue(const Json& json) {
  const std::vector<uint8_t> packed = Json::to_msgpack(json);
  return *Value::FromEncoded(std::string(packed.begin(), packed.end()));
}

std::string ToKey(const Json& json) { return std::string(*ToValue(json).AsString()); }

// The options of a step, by name.
class Options {
 public:
  explicit Options(Json options) : options_(std::move(options)) {}

  template <typename T>
  std::optional<T> Get(const char* name) const {
    if (!options_.contains(name)) return std::nullopt;
    return options_[name].get<T>();
  }
  std::optional<Value> GetValue(const char* name) const {
    if (!options_.contains(name)) return std::nullopt;
    return ToValue(options_[name]);
  }
  bool Flag(const char* name) const { return options_.value(name, false); }
  std::string Text(const char* name) const { return options_.value(name, ""); }
  Order GetOrder() const {
    return Text("order") == "desc" ? Order::kDescending : Order::kAscending;
  }
  PageOptions ForPage() const { return {.limit = Get<uint32_t>("limit"), .order = GetOrder()}; }
  WalkOptions ForWalk() const {
    return {.page_limit = Get<uint32_t>("page_limit"),
            .values = options_.value("values", true),
            .order = GetOrder()};
  }

 private:
  Json options_;
};

Query ToQuery(const Json& json) {
  if (json.is_string()) return Query(json.get<std::string>());
  return Query::Equals(ToValue(json["equals"]));
}

// Calls `visit` with the request that a call of one method makes; false for other calls.
template <typename Visit>
bool WithRequest(const std::string& call, const Json& args, const Options& options, Visit visit) {
  const bool has_key = !args.empty() && (args[0].is_string() || args[0].is_binary());
  const std::string key = has_key ? ToKey(args[0]) : "";
  const Json operand = args.size() > 1 ? args[1] : Json();
  if (call == "get") return visit(request::Get(key)), true;
  if (call == "set") {
    return visit(request::Set(key, ToValue(operand),
                              {.ttl_ms = options.Get<int64_t>("ttl_ms"),
                               .if_version = options.Get<uint64_t>("if_version"),
                               .if_absent = options.Flag("if_absent"),
                               .if_present = options.Flag("if_present"),
                               .previous = options.Flag("previous")})),
           true;
  }
  if (call == "delete") {
    return visit(request::Delete(key, {.if_version = options.Get<uint64_t>("if_version"),
                                       .previous = options.Flag("previous")})),
           true;
  }
  if (call == "increment") {
    return visit(request::Increment(
               key, operand.is_null() ? Value(1) : ToValue(operand),
               {.initial = options.GetValue("initial"), .max = options.GetValue("max")})),
           true;
  }
  if (call == "append") return visit(request::Append(key, ToValue(operand))), true;
  if (call == "prepend") return visit(request::Prepend(key, ToValue(operand))), true;
  if (call == "touch") return visit(request::Touch(key, operand.get<int64_t>())), true;
  return false;
}

Condition ToCondition(const Json& json) {
  const std::map<std::string, Condition::Comparison> comparisons = {
      {"=", Condition::Comparison::kEqual},
      {"!=", Condition::Comparison::kNotEqual},
      {"<", Condition::Comparison::kLess},
      {">", Condition::Comparison::kGreater}};
  EXPECT_EQ(json[1], "value") << "the scripts have no other conditions yet";
  return Condition::OfValue(ToKey(json[0]), ToValue(json[3]), comparisons.at(json[2]));
}

class ScriptRunner {
 public:
  explicit ScriptRunner(Client& client) : client_(client) {}

  void Run(const Json& steps) {
    for (const Json& step : steps) {
      SCOPED_TRACE(step.dump());
      if (step.contains("pipeline")) {
        RunPipeline(step["pipeline"]);
      } else {
        Check(step, Call(step));
      }
    }
  }

 private:
  // A call's result as JSON.
  using Outcome = Result<Json>;

  template <typename T>
  static Outcome Finish(const Result<T>& result) {
    if (!result.ok()) return result.status();
    return ToJson(*result);
  }

  Outcome Call(const Json& step) {
    const std::string call = step["call"];
    const Json args = Plain(step.value("args", Json::array()));
    const Options options(Plain(step.value("options", Json::object())));
    Outcome outcome = Status(StatusCode::kOther, "no such call in this test: " + call);
    if (WithRequest(call, args, options,
                    [&](auto request) { outcome = Finish(client_.Call(std::move(request))); })) {
      return outcome;
    }
    if (call == "entry") {
      return Finish(client_.Entry(ToKey(args[0]),
                                  {.unless_version = options.Get<uint64_t>("unless_version")}));
    }
    if (call == "get_many") return Finish(client_.GetMany(args[0].get<std::vector<std::string>>()));
    if (call == "find") {
      return Finish(
          client_.Find(ToQuery(args[0]), options.Text("key_prefix"), options.ForWalk()).ToVector());
    }
    if (call == "find_page")
      return Finish(client_.FindPage(ToQuery(args[0]), "", options.ForPage()));
    if (call == "scan") return Finish(client_.Scan(ToKey(args[0]), options.ForWalk()).ToVector());
    if (call == "scan_page") return Finish(client_.ScanPage(ToKey(args[0]), options.ForPage()));
    if (call == "count") {
      const std::optional<std::string> query = options.Get<std::string>("query");
      return Finish(client_.Count(options.Text("key_prefix"),
                                  query ? std::optional(Query(*query)) : std::nullopt));
    }
    if (call == "delete_prefix") {
      return Finish(
          client_.DeletePrefix(ToKey(args[0]), {.limit = options.Get<uint32_t>("limit")}));
    }
    if (call == "update") {
      return Finish(
          client_.Update(ToKey(args[0]), [&](const std::optional<Value>& value) -> Result<Value> {
            return (value ? *value->AsInt() : 0) + step["add"].get<int64_t>();
          }));
    }
    if (call == "transact") return Finish(client_.Transact(ToTransaction(Plain(step))));
    return outcome;
  }

  static Transaction ToTransaction(const Json& step) {
    Transaction transaction;
    for (const Json& condition : step["if"]) transaction.If(ToCondition(condition));
    for (const char* branch : {"then", "else"}) {
      for (const Json& operation : step[branch]) {
        Json params = operation[1];
        Json options = Json::object();
        if (params.back().is_object()) {
          options = params.back();
          params.erase(params.size() - 1);
        }
        EXPECT_TRUE(WithRequest(operation[0], params, Options(options), [&](const auto& request) {
          if (branch == std::string_view("then")) {
            transaction.Then(request);
          } else {
            transaction.Else(request);
          }
        })) << operation;
      }
    }
    return transaction;
  }

  void RunPipeline(const Json& steps) {
    Pipeline pipeline = client_.Pipeline();
    std::vector<std::function<Outcome()>> outcomes;
    for (const Json& step : steps) {
      const Json args = Plain(step["args"]);
      EXPECT_TRUE(WithRequest(step["call"], args, Options(Json::object()), [&](auto request) {
        const auto later = pipeline.Add(std::move(request)).share();
        outcomes.push_back([later] { return Finish(later.get()); });
      })) << step;
    }
    EXPECT_TRUE(pipeline.Send().ok());
    for (size_t i = 0; i < outcomes.size(); ++i) Check(steps[i], outcomes[i]());
  }

  void Check(const Json& step, const Outcome& outcome) {
    if (step.contains("error")) {
      EXPECT_EQ(StatusCodeName(outcome.status().code()), step["error"].get<std::string>());
      return;
    }
    ASSERT_TRUE(outcome.ok()) << outcome.status();
    const Json expected = Plain(step);
    if (expected.contains("gives")) {
      EXPECT_EQ(*outcome, expected["gives"]);
    }
    CheckFields(*outcome, expected.value("fields", Json::object()));
    if (expected.contains("keys")) {
      Json keys = Json::array();
      for (const Json& entry : *outcome) keys.push_back(entry["key"]);
      EXPECT_EQ(keys, expected["keys"]);
    }
    for (const char* list : {"items", "results"}) {
      if (!expected.contains(list)) continue;
      const Json& found = (*outcome)[list];
      ASSERT_EQ(found.size(), expected[list].size()) << found;
      for (size_t i = 0; i < found.size(); ++i) {
        if (expected[list][i].is_null()) {
          EXPECT_TRUE(found[i].is_null()) << found[i];
        } else {
          CheckFields(found[i], expected[list][i]);
        }
      }
    }
    const Json saves = step.value("save", Json::object());
    for (const auto& [name, field] : saves.items()) {
      saved_[name] = (*outcome)[field.get<std::string>()];
    }
  }

  static void CheckFields(const Json& found, const Json& fields) {
    for (const auto& [name, value] : fields.items()) EXPECT_EQ(found[name], value) << name;
  }

  // The step with bytes and what was saved in their places.
  Json Plain(const Json& data) const {
    if (data.is_array()) {
      Json plain = Json::array();
      for (const Json& element : data) plain.push_back(Plain(element));
      return plain;
    }
    if (!data.is_object()) return data;
    if (data.contains("$saved")) return saved_.at(data["$saved"]);
    if (data.contains("$bytes")) {
      const std::string hex = data["$bytes"];
      std::vector<uint8_t> bytes;
      for (size_t i = 0; i < hex.size(); i += 2) {
        bytes.push_back(static_cast<uint8_t>(std::stoi(hex.substr(i, 2), nullptr, 16)));
      }
      return Json::binary(bytes);
    }
    Json plain = Json::object();
    for (const auto& [name, element] : data.items()) plain[name] = Plain(element);
    return plain;
  }

  Client& client_;
  std::map<std::string, Json> saved_;
};

TEST(StepsTest, EveryScriptOfAllClientsRuns) {
  std::ifstream file(ENTREPOT_CLIENT_STEPS);
  const Json scripts = Json::parse(file)["scripts"];
  ASSERT_GE(scripts.size(), 10U);
  Client client(testing::SharedServer().endpoint());
  for (const Json& script : scripts) {
    SCOPED_TRACE(script["name"]);
    ASSERT_EQ(client.DeletePrefix("")->more, false) << "each script begins with an empty store";
    ScriptRunner(client).Run(script["steps"]);
  }
}

}  // namespace
}  // namespace entrepot
