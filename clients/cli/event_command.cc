#include "event_command.h"

#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "event_output.h"

namespace entrepot::cli {
namespace {

Status Failure(const std::string& what) { return Status(StatusCode::kInternal, what); }

Status SystemFailure(const char* what, int error) {
  return Failure(std::string(what) + ": " + std::strerror(error));
}

// A descriptor from which `content` can be read, or -1. Not a pipe: a command that does not read
// its stdin must not stop us.
int OpenContent(std::string_view content) {
  const int descriptor = memfd_create("entrepot-value", MFD_CLOEXEC);
  size_t written = 0;
  while (descriptor >= 0 && written < content.size()) {
    const ssize_t part = write(descriptor, content.data() + written, content.size() - written);
    if (part < 0 && errno == EINTR) continue;
    if (part < 0) {
      close(descriptor);
      return -1;
    }
    written += static_cast<size_t>(part);
  }
  if (descriptor >= 0) lseek(descriptor, 0, SEEK_SET);
  return descriptor;
}

constexpr std::string_view kEventVariable = "ENTREPOT_EVENT=";
constexpr std::string_view kKeyVariable = "ENTREPOT_KEY=";
constexpr std::string_view kVersionVariable = "ENTREPOT_VERSION=";

// The event's variables, and those of this process that are not called so.
std::vector<std::string> Environment(const Event& event) {
  std::vector<std::string> environment = {std::string(kEventVariable).append(KindName(event)),
                                          std::string(kKeyVariable).append(*KeyOf(event))};
  std::visit(
      [&](const auto& kind) {
        if constexpr (requires { kind.version; }) {
          environment.push_back(std::string(kVersionVariable) + std::to_string(kind.version));
        }
      },
      event);
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view text = *variable;
    if (!text.starts_with(kEventVariable) && !text.starts_with(kKeyVariable) &&
        !text.starts_with(kVersionVariable)) {
      environment.emplace_back(text);
    }
  }
  return environment;
}

}  // namespace

Status RunEventCommand(const std::string& command, const Event& event) {
  const Value* const value = ValueOf(event);
  const int content = OpenContent(value != nullptr ? ToPlain(*value) : std::string());
  if (content < 0) return SystemFailure("no room for the value", errno);
  std::vector<std::string> words = {"sh", "-c", command};
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  std::vector<std::string> environment = Environment(event);
  std::vector<char*> variables;
  for (std::string& variable : environment) variables.push_back(variable.data());
  variables.push_back(nullptr);

  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, content, STDIN_FILENO);
  pid_t child = -1;
  const int error =
      posix_spawn(&child, "/bin/sh", &files, nullptr, arguments.data(), variables.data());
  posix_spawn_file_actions_destroy(&files);
  close(content);
  if (error != 0) return SystemFailure("the command cannot be run", error);
  int ended = 0;
  while (waitpid(child, &ended, 0) < 0 && errno == EINTR) {
  }
  if (WIFSIGNALED(ended)) {
    return Failure("the command was ended by signal " + std::to_string(WTERMSIG(ended)));
  }
  if (WEXITSTATUS(ended) == 0) return Status();
  return Failure("the command ended with status " + std::to_string(WEXITSTATUS(ended)));
}

}  // namespace entrepot::cli
