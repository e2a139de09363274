#include "bench/run/server_stats.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <string>

#include "bench/run/plan.h"
#include "bench/wire/text_codec.h"
#include "bench/wire/zmtp.h"

namespace entrepot::bench {
namespace {

using nlohmann::json;

constexpr uint64_t kAnswerNs = 5'000'000'000;
constexpr size_t kReadBytes = 65536;

// A blocking exchange: sends `request` and reads until `whole(bytes so far)`.
class Exchange {
 public:
  explicit Exchange(int fd) : fd_(fd), deadline_ns_(NowNs() + kAnswerNs) {}
  ~Exchange() { close(fd_); }
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  Status Send(std::string_view request) {
    while (!request.empty()) {
      Status status = Await(POLLOUT);
      if (!status.ok()) return status;
      const ssize_t sent = send(fd_, request.data(), request.size(), MSG_NOSIGNAL);
      if (sent < 0) return ErrnoStatus("cannot ask for statistics", errno);
      request.remove_prefix(static_cast<size_t>(sent));
    }
    return Status();
  }

  Status ReadUntil(const std::function<bool(std::string_view)>& whole) {
    while (!whole(bytes_)) {
      Status status = Await(POLLIN);
      if (!status.ok()) return status;
      char chunk[kReadBytes];
      const ssize_t read = recv(fd_, chunk, sizeof chunk, 0);
      if (read <= 0) return ErrnoStatus("cannot read statistics", read == 0 ? EPIPE : errno);
      bytes_.append(chunk, static_cast<size_t>(read));
    }
    return Status();
  }

  std::string& bytes() { return bytes_; }

 private:
  Status Await(short events) {
    pollfd item{fd_, events, 0};
    const uint64_t now_ns = NowNs();
    const int timeout_ms =
        now_ns < deadline_ns_ ? static_cast<int>((deadline_ns_ - now_ns) / 1'000'000) : 0;
    if (poll(&item, 1, timeout_ms) > 0) return Status();
    return Status(Code::kUnavailable, "the server does not tell its statistics");
  }

  int fd_;
  uint64_t deadline_ns_;
  std::string bytes_;
};

// Splits lines at the first of `separators` behind `skipped`.
json ParseLines(std::string_view text, std::string_view skipped, char separator) {
  json stats = json::object();
  std::string_view line;
  while (ReadLine(text, &line)) {
    text.remove_prefix(line.size() + kCrLf.size());
    if (!line.starts_with(skipped)) continue;
    line.remove_prefix(skipped.size());
    const size_t at = line.find(separator);
    if (at == std::string_view::npos) continue;
    stats[std::string(line.substr(0, at))] = std::string(line.substr(at + 1));
  }
  return stats;
}

Result<json> AskEntrepot(Exchange* exchange) {
  Status status = exchange->Send(MakeZmtpGreeting("DEALER"));
  if (!status.ok()) return status;
  size_t greeting = 0;
  status = exchange->ReadUntil([&](std::string_view bytes) {
    const Result<std::optional<size_t>> taken = ParseZmtpGreeting(bytes);
    greeting = taken.ok() ? taken->value_or(0) : bytes.size();
    return !taken.ok() || taken->has_value();
  });
  if (!status.ok()) return status;
  exchange->bytes().erase(0, greeting);

  std::string request;
  json::to_msgpack(json::array({0, 1, "stats", json::array()}), request);
  char header[kFrameHeaderMax];
  std::string message(header, WriteFrameHeader(0, request.size(), header));
  status = exchange->Send(message + request);
  if (!status.ok()) return status;
  Frame frame;
  FrameState state = FrameState::kPartial;
  status = exchange->ReadUntil([&](std::string_view bytes) {
    state = ParseFrame(bytes, &frame);
    return state != FrameState::kPartial;
  });
  if (!status.ok()) return status;
  if (state == FrameState::kBroken) {
    return Status(Code::kMalformed, "the statistics' frame is broken");
  }
  const json response = json::from_msgpack(frame.body, true, false);
  if (!response.is_array() || response.size() != 4) {
    return Status(Code::kMalformed, "the statistics cannot be read");
  }
  return response[2].is_null() ? response[3] : json();
}

Result<json> AskText(Exchange* exchange, std::string_view request,
                     const std::function<bool(std::string_view)>& whole, std::string_view skipped,
                     char separator) {
  Status status = exchange->Send(request);
  if (!status.ok()) return status;
  status = exchange->ReadUntil(whole);
  if (!status.ok()) return status;
  return ParseLines(exchange->bytes(), skipped, separator);
}

// A bulk string: its size in a line, then as many bytes.
bool BulkIsWhole(std::string_view bytes) {
  std::string_view line;
  int64_t size = 0;
  if (!ReadLine(bytes, &line)) return false;
  if (!line.starts_with('$') || !ReadDecimal(line.substr(1), &size)) return true;
  return bytes.size() >= line.size() + static_cast<size_t>(size) + 2 * kCrLf.size();
}

}  // namespace

Result<json> ReadServerStats(const Endpoint& endpoint) {
  if (endpoint.protocol == Protocol::kEcho) return json();
  const Result<int> fd = endpoint.StartConnecting();
  if (!fd.ok()) return fd.status();
  Exchange exchange(*fd);
  if (endpoint.protocol == Protocol::kEntrepot) return AskEntrepot(&exchange);
  if (endpoint.protocol == Protocol::kRedis) {
    return AskText(&exchange, "*1\r\n$4\r\nINFO\r\n", BulkIsWhole, "", ':');
  }
  const auto ended = [](std::string_view bytes) { return bytes.ends_with("END\r\n"); };
  return AskText(&exchange, "stats\r\n", ended, "STAT ", ' ');
}

}  // namespace entrepot::bench
