// ServerProcess: a real entrepot-server for a test, on a free port, in a folder of its own.
//
// Start is acknowledged: Start() returns when the server has written its ports file. It ends with
// the object, by its pid.
//
// Thread safety: none.

#pragma once

#include <sys/types.h>

#include <string>

namespace entrepot::testing {

class ServerProcess {
 public:
  // Where the server keeps its data: kFolder survives Restart().
  enum class Data { kMemory, kFolder };
  // Whether it publishes, on a free port each time it starts.
  enum class Feed { kOff, kOn };

  // Starts a server on `listen`; port 0 is a free one. Fails the test and gives a server with an
  // empty endpoint where it does not come up.
  explicit ServerProcess(const std::string& listen = "tcp://127.0.0.1:0", Data data = Data::kMemory,
                         Feed feed = Feed::kOff);
  ~ServerProcess();
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  const std::string& endpoint() const { return endpoint_; }

  // Kills the server without a warning and waits for its end.
  void Kill();

  // Starts it again on the same endpoint, after Kill().
  void Restart();

 private:
  void Launch(const std::string& listen);
  bool WaitForPorts();

  Data data_;
  Feed feed_;
  std::string folder_;
  std::string endpoint_;
  pid_t pid_ = -1;
};

// A server that all tests of a program share, started by the first; tests use keys of their own.
ServerProcess& SharedServer();

}  // namespace entrepot::testing
