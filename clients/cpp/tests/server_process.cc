#include "server_process.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

namespace entrepot::testing {
namespace {

// Long enough for a sanitizer's build on a busy machine.
constexpr std::chrono::seconds kStartTimeout{60};
constexpr std::chrono::milliseconds kAskInterval{5};

}  // namespace

ServerProcess::ServerProcess(const std::string& listen, Data data, Feed feed)
    : data_(data), feed_(feed) {
  std::string folder = ::testing::TempDir() + "entrepot-client-XXXXXX";
  if (mkdtemp(folder.data()) == nullptr) {
    ADD_FAILURE() << "no folder for a server: " << folder;
    return;
  }
  folder_ = folder;
  Launch(listen);
}

void ServerProcess::Launch(const std::string& listen) {
  const std::string ports_file = folder_ + "/ports.json";
  std::vector<std::string> words = {ENTREPOT_SERVER_PROGRAM,
                                    "--listen",
                                    listen,
                                    "--data",
                                    data_ == Data::kFolder ? folder_ + "/data" : "none",
                                    "--feed",
                                    feed_ == Feed::kOn ? "tcp://127.0.0.1:0" : "off",
                                    "--admin",
                                    "off",
                                    "--ports-file",
                                    ports_file,
                                    "--log-level",
                                    "error"};
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_ = fork();
  if (pid_ == 0) {
    // A test that is killed takes its server with it.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execv(arguments[0], arguments.data());
    _exit(127);
  }
  if (!WaitForPorts()) {
    ADD_FAILURE() << words[0] << " did not become ready on " << listen;
    return;
  }
  std::ifstream ports(ports_file);
  endpoint_ = nlohmann::json::parse(ports)["listen"][0].get<std::string>();
}

bool ServerProcess::WaitForPorts() {
  const auto deadline = std::chrono::steady_clock::now() + kStartTimeout;
  while (std::chrono::steady_clock::now() < deadline) {
    if (std::filesystem::exists(folder_ + "/ports.json")) return true;
    int status = 0;
    if (waitpid(pid_, &status, WNOHANG) == pid_) {
      pid_ = -1;
      return false;
    }
    std::this_thread::sleep_for(kAskInterval);
  }
  return false;
}

void ServerProcess::Kill() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  int status = 0;
  waitpid(pid_, &status, 0);
  pid_ = -1;
}

void ServerProcess::Restart() {
  std::filesystem::remove(folder_ + "/ports.json");
  Launch(endpoint_);
}

ServerProcess::~ServerProcess() {
  Kill();
  if (!folder_.empty()) std::filesystem::remove_all(folder_);
}

ServerProcess& SharedServer() {
  static ServerProcess server;
  return server;
}

}  // namespace entrepot::testing
