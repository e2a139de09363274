// The accepting thread: takes connections from all listeners and deals them out to the io threads.
//
// One listener for all threads: with SO_REUSEPORT a second server on the same port would silently
// take half of the clients. A flood of connections costs this thread, not those that serve.
//
// Thread safety: Listen() before Start(); Stop() once, from any other thread.
#pragma once

#include <string>
#include <thread>
#include <vector>

#include "base/status.h"
#include "zmtp/endpoint.h"
#include "zmtp/io_thread.h"

namespace entrepot::zmtp {

class Acceptor {
 public:
  explicit Acceptor(Common& common);
  ~Acceptor();
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  // Binds one more endpoint; gives back its name with the port that was picked.
  Result<std::string> Listen(const std::string& endpoint, EndpointKind kind);
  void Start();
  // Closes all listeners. Connections go on.
  void Stop();

 private:
  void Run();
  void AcceptSome(const Listener& listener);
  void Deal(int socket, const Listener& listener);
  // Makes room for one connection by closing the spare descriptor, and closes that connection: a
  // listener that cannot accept would be readable for ever.
  void RefuseOne(const Listener& listener);

  Common& common_;
  const int stop_;  // An eventfd.
  int spare_;       // A descriptor to give up when no other is left.
  size_t next_thread_ = 0;
  std::vector<Listener> listeners_;
  std::thread thread_;
};

}  // namespace entrepot::zmtp
