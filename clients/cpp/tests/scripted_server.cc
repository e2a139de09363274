#include "scripted_server.h"

#include <cstdint>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>
#include <zmq.hpp>

#include "wire_reader.h"

namespace entrepot::testing {
namespace {

constexpr std::chrono::milliseconds kStopNoticed{10};

}  // namespace

ScriptedServer::Json ScriptedServer::Call::once() const {
  if (params.empty() || !params.back().is_object()) return nullptr;
  return params.back().value("once", Json());
}

ScriptedServer::ScriptedServer(Script script, Histories histories)
    : script_(std::move(script)),
      histories_(histories),
      socket_(context_, zmq::socket_type::router) {
  socket_.set(zmq::sockopt::linger, 0);
  socket_.set(zmq::sockopt::rcvtimeo, static_cast<int>(kStopNoticed.count()));
  socket_.bind("tcp://127.0.0.1:*");
  endpoint_ = socket_.get(zmq::sockopt::last_endpoint);
  thread_ = std::thread([this] { Run(); });
}

ScriptedServer::~ScriptedServer() {
  stopping_.store(true);
  thread_.join();
}

std::vector<std::string> ScriptedServer::bodies() const {
  const std::lock_guard lock(mu_);
  return bodies_;
}

std::vector<ScriptedServer::Call> ScriptedServer::calls() const {
  const std::lock_guard lock(mu_);
  return calls_;
}

ScriptedServer::Answer ScriptedServer::Error(const std::string& code, const std::string& retry) {
  return {.error = {{"code", code}, {"message", "as the script says"}, {"retry", retry}}};
}

void ScriptedServer::Run() {
  while (!stopping_.load()) {
    zmq::message_t peer;
    zmq::message_t body;
    if (!socket_.recv(peer)) continue;
    if (!socket_.recv(body)) continue;
    const std::optional<std::string> answer = AnswerBody(body.to_string());
    if (!answer) continue;
    socket_.send(peer, zmq::send_flags::sndmore);
    socket_.send(zmq::buffer(*answer));
  }
}

ScriptedServer::Answer ScriptedServer::Hello() {
  ++sessions_;
  const int history = histories_ == Histories::kOne ? 1 : sessions_;
  return {.result = {{"server", "scripted"},
                     {"protocol", 1},
                     {"history", "history-" + std::to_string(history)},
                     {"session", "s" + std::to_string(sessions_)}}};
}

std::optional<std::string> ScriptedServer::AnswerBody(const std::string& body) {
  const std::lock_guard lock(mu_);
  std::string answer;
  bool is_hello = false;
  WireReader reader(body);
  while (!reader.AtEnd()) {
    const std::string_view item = reader.ReadValue().value_or("");
    if (item.empty()) break;
    const Json request = Json::from_msgpack(item);
    const Call call{.msgid = request[1], .method = request[2], .params = request[3]};
    is_hello = call.method == "hello";
    if (!is_hello) calls_.push_back(call);
    const std::optional<Answer> one = is_hello ? Hello() : script_(call);
    if (!one) {
      answer.clear();
      break;
    }
    const std::vector<uint8_t> packed =
        Json::to_msgpack(Json::array({1, call.msgid, one->error, one->result}));
    answer.append(packed.begin(), packed.end());
  }
  if (!is_hello) bodies_.push_back(body);
  if (answer.empty()) return std::nullopt;
  return answer;
}

}  // namespace entrepot::testing
