// The C++ client library behind its standard input: what lets one runner of the vectors hold every
// library against the same server. Started by libraries.py.
//
// A line in is a body to send, by the client of that name; an empty one ends that client. A line
// out is the response to one request of it, in order. Hex begins with x, for it may be empty.
//
//    line     = client *("/" xmethod *xparam)      ; each param a whole msgpack item
//    response = "result" xmap / "error" code retry retry_after_ms xmessage
//
// Thread safety: one thread.

#include <future>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "entrepot/client.h"

namespace entrepot {
namespace {

// Under a sanitizer, on a busy machine, everything takes its time.
constexpr int64_t kTimeoutMs = 60'000;

std::string FromHex(std::string_view word) {
  std::string bytes;
  for (size_t i = 1; i + 1 < word.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(std::string(word.substr(i, 2)), nullptr, 16));
  }
  return bytes;
}

std::string ToHex(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string word = "x";
  for (const unsigned char byte : bytes) {
    word += kDigits[byte >> 4];
    word += kDigits[byte & 15];
  }
  return word;
}

// The requests in the rest of a line.
std::vector<WireRequest> ReadRequests(std::istream& words) {
  std::vector<WireRequest> requests;
  for (std::string word; words >> word;) {
    if (word == "/") {
      words >> word;
      requests.emplace_back(FromHex(word));
    } else {
      requests.back().Add(*Value::FromEncoded(FromHex(word)));
    }
  }
  return requests;
}

void Answer(const Result<Value>& result) {
  if (result.ok()) {
    std::cout << "result " << ToHex(result->encoded()) << std::endl;
    return;
  }
  const Status& status = result.status();
  std::cout << "error " << StatusCodeName(status.code()) << ' '
            << (status.retry_later() ? "later" : "never") << ' ' << status.retry_after_ms() << ' '
            << ToHex(status.message()) << std::endl;
}

void Serve(const std::string& endpoint) {
  std::map<std::string, Client> clients;
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string name;
    words >> name;
    std::vector<WireRequest> requests = ReadRequests(words);
    if (requests.empty()) {
      clients.erase(name);
      continue;
    }
    Client& client = clients.try_emplace(name, endpoint).first->second;
    Pipeline pipeline = client.Pipeline({.timeout_ms = kTimeoutMs});
    std::vector<std::future<Result<Value>>> results;
    for (WireRequest& request : requests) {
      results.push_back(pipeline.Add(request::Raw(std::move(request))));
    }
    // Where the sending fails, so do the calls.
    if (const Status sent = pipeline.Send(); !sent.ok()) std::cerr << sent << '\n';
    for (std::future<Result<Value>>& result : results) Answer(result.get());
  }
}

}  // namespace
}  // namespace entrepot

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: client_bridge ENDPOINT\n";
    return 2;
  }
  entrepot::Serve(argv[1]);
  return 0;
}
