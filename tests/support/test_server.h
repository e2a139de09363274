// A server inside the test, reached over inproc://; under the thread sanitizer over tcp://, since with
// inproc both sides share the memory of messages by way of libzmq, which the sanitizer cannot see into.
#pragma once

#include <memory>
#include <string>

#include <gtest/gtest.h>
#include <zmq.hpp>

#include "server/server.h"
#include "support/raw_client.h"

namespace entrepot {

class TestServer {
 public:
  explicit TestServer(Options options = {}) {
    options.listen = {kEndpoint};
    auto server = Server::Start(options, &logger_, context_.handle());
    EXPECT_TRUE(server.ok()) << server.status().message();
    server_ = std::move(*server);
  }
  ~TestServer() { EXPECT_TRUE(server_->Stop().ok()); }

  RawClient Connect() { return RawClient(&context_, server_->endpoints().front()); }

 private:
#if defined(__SANITIZE_THREAD__)
  static constexpr const char* kEndpoint = "tcp://127.0.0.1:0";
#else
  static constexpr const char* kEndpoint = "inproc://store";
#endif

  Logger logger_{LogLevel::kError};
  zmq::context_t context_{1};
  std::unique_ptr<Server> server_;
};

}  // namespace entrepot
