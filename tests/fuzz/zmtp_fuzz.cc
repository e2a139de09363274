// Fuzzes what one peer can say to the ZMTP server: greeting, READY, frames, commands and
// subscriptions, without a socket.
//
// The first byte of the input chooses the endpoint's kind (1), and whether a proper handshake comes
// before the rest (2); the second one is the size of the portions in which the rest is said. Said
// at once and said in portions must come to the same.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "unit/zmtp_bytes.h"
#include "zmtp/session.h"
#include "zmtp/subscriptions.h"

namespace entrepot::zmtp {
namespace {

// Of one input: each portion is a copy of all that waits.
constexpr size_t kPortionsMax = 100;

// Subscribes like a connection does, and checks that the index finds what it was given.
class IndexSink final : public SubscriptionSink {
 public:
  ~IndexSink() override {
    index_.RemoveAll(&subscriber_);
    CHECK(index_.empty() && subscriber_.held_bytes() == 0);
  }
  Event OnSubscribe(std::string_view prefix) override {
    index_.Add(&subscriber_, prefix);
    size_t visits = 0;
    index_.Match(std::string(prefix) + "x", [&](Subscriber*) { ++visits; });
    CHECK(visits == 1);
    return subscriber_.subscriptions() > 64 ? Event::kTooManySubscriptions : Event::kNone;
  }
  void OnCancel(std::string_view prefix) override { index_.Remove(&subscriber_, prefix); }

 private:
  SubscriptionIndex index_;
  Subscriber subscriber_{nullptr};
};

struct Outcome {
  std::string heard;  // Envelopes and bodies, with their sizes.
  std::string answers;
  Event refused = Event::kNone;
  bool operator==(const Outcome&) const = default;
};

ZmtpLimits SmallLimits() {
  ZmtpLimits limits;
  limits.frames = 4;
  limits.envelope_bytes = 300;
  limits.body_bytes = 4096;
  limits.slice_messages = 7;
  limits.slice_bytes = 512;
  return limits;
}

// A view of exactly its bytes in memory of its own, so that a sanitizer sees a read beyond.
Outcome Say(std::string_view bytes, EndpointKind kind, size_t portion_bytes) {
  static const ZmtpLimits limits = SmallLimits();
  Counters counters;
  IndexSink sink;
  Session session(kind, 1, limits, counters);
  Outcome outcome;
  std::vector<char> pending;
  bool is_over = false;
  while (!bytes.empty() && !is_over) {
    const size_t portion = std::min(portion_bytes, bytes.size());
    pending.insert(pending.end(), bytes.begin(), bytes.begin() + portion);
    bytes.remove_prefix(portion);
    for (bool is_sliced = true; is_sliced;) {
      std::vector<Message> messages;
      const Session::Taken taken = session.Take(pending, sink, &messages, &outcome.answers);
      CHECK(messages.size() <= limits.slice_messages);
      CHECK(taken.bytes <= pending.size());
      for (const Message& message : messages) {
        CHECK(message.envelope_frames < limits.frames);
        CHECK(message.body.size() <= limits.body_bytes);
        outcome.heard += std::to_string(message.envelope_frames) + ":" +
                         std::string(message.envelope) + ":" + std::to_string(message.body.size()) +
                         ":" + std::string(message.body);
      }
      is_sliced = taken.sliced;
      is_over = taken.refused != Event::kNone;
      if (is_over) outcome.refused = taken.refused;
      // What is left is the beginning of one item, and bounded.
      const size_t left = pending.size() - taken.bytes;
      if (!is_sliced && !is_over) {
        CHECK(taken.needed > left);
        CHECK(taken.needed <= limits.body_bytes + 2 * limits.envelope_bytes);
      }
      pending =
          std::vector<char>(pending.begin() + static_cast<ptrdiff_t>(taken.bytes), pending.end());
    }
  }
  return outcome;
}

}  // namespace
}  // namespace entrepot::zmtp

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace entrepot::zmtp;
  if (size < 2) return 0;
  const EndpointKind kind = (data[0] & 1) != 0 ? EndpointKind::kFeed : EndpointKind::kRequests;
  std::string bytes;
  if ((data[0] & 2) != 0) bytes = Introduction(kind == EndpointKind::kFeed ? "SUB" : "DEALER");
  bytes.append(reinterpret_cast<const char*>(data) + 2, size - 2);
  const size_t portion_bytes = std::max(size_t{data[1]} + 1, bytes.size() / kPortionsMax);
  CHECK(Say(bytes, kind, bytes.size()) == Say(bytes, kind, portion_bytes));
  return 0;
}
