#include "bench/run/connection.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace entrepot::bench {

Status Connection::Open(const std::string& greeting) {
  const Result<int> fd = endpoint_->StartConnecting();
  if (!fd.ok()) return fd.status();
  fd_ = *fd;
  state_ = State::kConnecting;
  out_.Clear();
  out_.Append(greeting);
  leftover_.clear();
  interest = 0;
  return Status();
}

void Connection::Close() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
  state_ = State::kClosed;
}

Status Connection::FinishConnecting() {
  int error = 0;
  socklen_t size = sizeof error;
  if (getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  if (error != 0) return ErrnoStatus(fmt::format("cannot connect to {}", endpoint_->text), error);
  state_ = State::kGreeting;
  return Status();
}

Status Connection::Flush() {
  size_t sent = 0;
  while (sent < out_.size()) {
    const ssize_t bytes = send(fd_, out_.data() + sent, out_.size() - sent, MSG_NOSIGNAL);
    if (bytes >= 0) {
      sent += static_cast<size_t>(bytes);
    } else if (errno == EAGAIN) {
      break;
    } else if (errno != EINTR) {
      return ErrnoStatus("cannot send", errno);
    }
  }
  out_.RemovePrefix(sent);
  return Status();
}

Result<size_t> Connection::Read(char* at, size_t bytes) {
  while (true) {
    const ssize_t read = recv(fd_, at, bytes, 0);
    if (read > 0) return static_cast<size_t>(read);
    if (read == 0) return Status(Code::kUnavailable, "the server closed the connection");
    if (errno == EAGAIN) return size_t{0};
    if (errno != EINTR) return ErrnoStatus("cannot receive", errno);
  }
}

Status Connection::Discard(InputBuffer* input, size_t bytes) {
  const Result<size_t> read = Read(input->Prepare({}), std::min(bytes, InputBuffer::kReadBytes));
  return read.ok() ? Status() : read.status();
}

}  // namespace entrepot::bench
