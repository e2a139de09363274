// ChaosProxy: a TCP proxy that knows where ZMTP frames begin, and loses, doubles, delays and cuts.
//
// Greeting and commands pass; each message frame behind them meets a fate that a seeded generator
// chooses. A frame is lost or doubled whole, so that what follows is still ZMTP.
//
//    greeting := byte[64]
//    frame    := flags:u8 (size:u8 | size:u64be) byte[size]     flags: 1 more, 2 long, 4 command
//
// Thread safety: all methods.

#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace entrepot::testing {

// Percent of message frames that meet each fate; the others pass.
struct Fates {
  int lose = 0;
  int twice = 0;
  int cut = 0;    // The connection ends instead of the frame.
  int delay = 0;  // By kDelay; the frames behind it wait too.
};

class ChaosProxy {
 public:
  // Listens on a free port and connects each caller to `target`, a tcp endpoint.
  ChaosProxy(const std::string& target, Fates fates, uint32_t seed);
  ~ChaosProxy();

  const std::string& endpoint() const { return endpoint_; }

  // Ends every connection that is open now.
  void CutAll() { cuts_.fetch_add(1); }

  // While set, nothing passes, and connections stay open.
  void SetStalled(bool stalled) { stalled_.store(stalled); }

  // Frames that met a fate other than passing.
  int64_t harmed() const { return harmed_.load(); }

 private:
  // What one side sends: bytes not yet taken apart.
  struct Way {
    int from;
    int to;
    std::string bytes;
    bool greeted = false;
  };
  enum class Fate { kPass, kLose, kTwice, kCut, kDelay };

  void Accept();
  void Couple(int near);
  // False when the connection is to end.
  bool PassOn(Way* way);
  bool Deliver(Way* way, size_t size, bool command);
  Fate ChooseFate();

  // Constant after construction.
  const Fates fates_;
  int listener_ = -1;
  int target_port_ = 0;
  std::string endpoint_;

  // Synchronises itself.
  std::atomic<bool> stopping_{false};
  std::atomic<bool> stalled_{false};
  std::atomic<int> cuts_{0};
  std::atomic<int64_t> harmed_{0};

  // Guarded by mu_.
  std::mutex mu_;
  std::mt19937 random_;

  // Owned by the accepting thread.
  std::vector<std::thread> couples_;

  std::thread acceptor_;
};

}  // namespace entrepot::testing
