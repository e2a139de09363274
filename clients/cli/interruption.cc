#include "interruption.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

namespace entrepot::cli {
namespace {

// A signal's handler may do little more than write: a byte that says why.
constexpr char kSignal = 's';
constexpr char kOver = 'o';

// Where the handler finds it: the pipe of the present Interruption.
std::array<int, 2> pipe_ends = {-1, -1};

void Write(char reason) {
  // A full pipe says it already.
  [[maybe_unused]] const ssize_t written = write(pipe_ends[1], &reason, 1);
}

void HandleSignal(int) {
  const int error_before = errno;
  Write(kSignal);
  errno = error_before;
}

}  // namespace

Interruption::Interruption(std::function<void()> end) : end_(std::move(end)) {
  // Without a pipe there is nothing to hear with: signals end the program as they always do.
  if (pipe2(pipe_ends.data(), O_CLOEXEC | O_NONBLOCK) != 0) return;
  struct sigaction action = {};
  action.sa_handler = HandleSignal;
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, &interrupt_before_);
  sigaction(SIGTERM, &action, &terminate_before_);
  thread_ = std::thread([this] { Wait(); });
}

Interruption::~Interruption() {
  if (!thread_.joinable()) return;
  sigaction(SIGINT, &interrupt_before_, nullptr);
  sigaction(SIGTERM, &terminate_before_, nullptr);
  Write(kOver);
  thread_.join();
  for (int& end : pipe_ends) close(std::exchange(end, -1));
}

void Interruption::Wait() {
  // Of stdout only errors are heard: that it has no reader any more.
  std::array<pollfd, 2> waiting = {pollfd{pipe_ends[0], POLLIN, 0}, pollfd{STDOUT_FILENO, 0, 0}};
  while (poll(waiting.data(), waiting.size(), -1) < 0 && errno == EINTR) {
  }
  char reason = kSignal;
  if (waiting[0].revents != 0 && read(pipe_ends[0], &reason, 1) != 1) reason = kSignal;
  if (reason != kOver) end_();
}

}  // namespace entrepot::cli
