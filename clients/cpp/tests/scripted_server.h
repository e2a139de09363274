// ScriptedServer: a ROUTER that answers as a test says, for what a good server never does.
//
// The script is called for each request of each body, on the server's thread, and says the
// response's error or result as JSON, or nothing: then the whole body stays unanswered. `hello` is
// answered by the server itself: session "s1", "s2", … of one history, or each of its own.
//
// Thread safety: all methods; the script runs on one thread.

#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>
#include <zmq.hpp>

namespace entrepot::testing {

class ScriptedServer {
 public:
  using Json = nlohmann::json;

  struct Call {
    uint32_t msgid;
    std::string method;
    Json params;  // The options are the last of them.
    // `once`, where the call carries it: [session, number, done].
    Json once() const;
  };
  struct Answer {
    Json error = nullptr;
    Json result = nullptr;
  };
  using Script = std::function<std::optional<Answer>(const Call& call)>;

  enum class Histories { kOne, kOneASession };

  explicit ScriptedServer(Script script, Histories histories = Histories::kOne);
  ~ScriptedServer();

  const std::string& endpoint() const { return endpoint_; }

  // Every body that has arrived and is no hello, in order.
  std::vector<std::string> bodies() const;
  // Every call that the script has seen, in order.
  std::vector<Call> calls() const;

  // An answer with an error of the protocol.
  static Answer Error(const std::string& code, const std::string& retry = "never");

 private:
  void Run();
  std::optional<std::string> AnswerBody(const std::string& body);
  // mu_ is held.
  Answer Hello();

  const Script script_;
  const Histories histories_;
  zmq::context_t context_;
  zmq::socket_t socket_;
  std::string endpoint_;
  std::atomic<bool> stopping_{false};

  // Guarded by mu_.
  mutable std::mutex mu_;
  int sessions_ = 0;
  std::vector<std::string> bodies_;
  std::vector<Call> calls_;

  std::thread thread_;
};

}  // namespace entrepot::testing
