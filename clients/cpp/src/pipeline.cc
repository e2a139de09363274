#include "entrepot/pipeline.h"

#include <memory>
#include <utility>
#include <vector>

#include "client_core.h"

namespace entrepot {
namespace {

// What goes into one body at most.
constexpr size_t kBodyCallsMax = 512;
constexpr size_t kBodyBytesMax = 8 * 1024 * 1024;

// Whether the body that got this reply was not answered by the server.
bool IsUnanswered(const Status& status) {
  switch (status.code()) {
    case StatusCode::kUnreachable:
    case StatusCode::kTimeout:
    case StatusCode::kConnectionLost:
    case StatusCode::kBadReply:
    case StatusCode::kClosed:
      return true;
    default:
      return false;
  }
}

}  // namespace

Pipeline::Pipeline(std::shared_ptr<ClientCore> core, CallOptions call)
    : core_(std::move(core)), call_(call) {}

Pipeline::~Pipeline() {
  const Status unsent(StatusCode::kClosed, "the pipeline was not sent");
  for (const Finish& finish : finishes_) finish(unsent);
}

void Pipeline::Append(WireRequest wire, Finish finish) {
  requests_.push_back(std::move(wire));
  finishes_.push_back(std::move(finish));
}

Status Pipeline::Send() {
  const std::vector<WireRequest> requests = std::exchange(requests_, {});
  const std::vector<Finish> finishes = std::exchange(finishes_, {});
  Status sent;
  size_t begin = 0;
  while (begin < requests.size() && sent.ok()) {
    size_t end = begin;
    size_t bytes = 0;
    while (end < requests.size() && end - begin < kBodyCallsMax &&
           (end == begin || bytes + requests[end].size() <= kBodyBytesMax)) {
      bytes += requests[end++].size();
    }
    const std::vector<Reply> replies =
        core_->Call({requests.begin() + begin, requests.begin() + end}, call_);
    for (size_t i = 0; i < replies.size(); ++i) {
      if (IsUnanswered(replies[i].status())) sent = replies[i].status();
      finishes[begin + i](replies[i]);
    }
    begin = end;
  }
  for (; begin < requests.size(); ++begin) finishes[begin](Status(sent).SetMaybeApplied(false));
  return sent;
}

}  // namespace entrepot
