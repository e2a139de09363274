// One TCP (or Unix) connection of a client: non-blocking, with what could not be sent yet and what
// could not be parsed yet.
//
// Thread safety: none; it belongs to one driver's thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bench/run/endpoint.h"
#include "bench/wire/buffer.h"
#include "bench/wire/codec.h"

namespace entrepot::bench {

// Where bytes are read to: shared by the connections of a thread, so that 10,000 of them do not
// need a buffer each.
class InputBuffer {
 public:
  static constexpr size_t kReadBytes = 256 * 1024;

  // Room for kReadBytes behind a copy of `leftover`.
  char* Prepare(std::string_view leftover) {
    if (bytes_.size() < leftover.size() + kReadBytes) bytes_.resize(leftover.size() + kReadBytes);
    std::memcpy(bytes_.data(), leftover.data(), leftover.size());
    return bytes_.data() + leftover.size();
  }
  std::string_view View(size_t bytes) const { return {bytes_.data(), bytes}; }

 private:
  std::vector<char> bytes_;
};

class Connection {
 public:
  enum class State : uint8_t { kClosed, kConnecting, kGreeting, kReady };

  explicit Connection(const Endpoint* endpoint) : endpoint_(endpoint) {}
  ~Connection() { Close(); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  State state() const { return state_; }
  int fd() const { return fd_; }
  bool ready() const { return state_ == State::kReady; }

  // kClosed → kConnecting; `greeting` is sent as soon as the connection stands.
  Status Open(const std::string& greeting);
  void Close();

  // The socket has become writable for the first time: kConnecting → kGreeting. Status of
  // connect(2).
  Status FinishConnecting();
  void SetReady() { state_ = State::kReady; }

  Buffer& out() { return out_; }

  // Writes as much of out() as the socket takes.
  Status Flush();
  bool wants_write() const { return !out_.empty(); }

  // Reads once and lets `parse` take from all that is there: `Result<size_t> parse(string_view)`.
  // kUnavailable when the peer has closed, otherwise what `parse` said.
  template <typename ParseFunction>
  Status Receive(InputBuffer* input, ParseFunction parse);

  // Reads and forgets at most `bytes`. kUnavailable when the peer has closed.
  Status Discard(InputBuffer* input, size_t bytes);

  // What the driver has asked epoll for.
  uint32_t interest = 0;

 private:
  // Bytes read at `at`, 0 for "nothing there now".
  Result<size_t> Read(char* at, size_t bytes);

  const Endpoint* endpoint_;
  int fd_ = -1;
  State state_ = State::kClosed;
  Buffer out_;
  std::string leftover_;
};

template <typename ParseFunction>
Status Connection::Receive(InputBuffer* input, ParseFunction parse) {
  char* const at = input->Prepare(leftover_);
  Result<size_t> read = Read(at, InputBuffer::kReadBytes);
  if (!read.ok()) return read.status();
  if (*read == 0) return Status();
  const std::string_view bytes = input->View(leftover_.size() + *read);
  const Result<size_t> taken = parse(bytes);
  if (!taken.ok()) return taken.status();
  leftover_.assign(bytes.substr(*taken));
  return Status();
}

}  // namespace entrepot::bench
