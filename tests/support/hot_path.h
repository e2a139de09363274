// The path of a request without a network: what a transport's thread does between reading a message
// and writing its reply, over a store of many entries and a log that is durable at once.
//
// Thread safety: each thread that sends has a Sender of its own.
#pragma once

#include <memory>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "log/log.h"
#include "server/dispatcher.h"
#include "support/raw_client.h"

namespace entrepot {

class HotPath {
 public:
  class Sender;

  // Holds `entries` entries, and an index by value if it is to be kept.
  HotPath(size_t entries, bool indexed);
  HotPath(const HotPath&) = delete;
  HotPath& operator=(const HotPath&) = delete;

  size_t entries() const { return entries_; }
  static std::string Key(size_t number) { return fmt::format("key:{:012}", number); }
  // 32 bytes, the first half of which ten entries have in common.
  static std::string Value(size_t number, size_t nonce) {
    return fmt::format("{:016x}{:016x}", number / 10, nonce);
  }

 private:
  // Where replies go.
  struct Discard final : MessageHandler::ReplySink {
    bool TakesMore(const Inbound&) const override { return true; }
    void Reply(const Inbound&, entrepot::Reply* reply) override {
      ++replies;
      reply->Clear();
    }
    uint64_t replies = 0;
  };

  static std::string GetRequest(uint32_t msgid, size_t number) {
    return RawClient::Request(msgid, "get",
                              [&](auto& packer) { packer.pack_array(1).pack(Key(number)); });
  }
  static std::string SetRequest(uint32_t msgid, size_t number, size_t nonce) {
    return RawClient::Request(msgid, "set", [&](auto& packer) {
      packer.pack_array(2).pack(Key(number)).pack(Value(number, nonce));
    });
  }

  const size_t entries_;
  Logger logger_{LogLevel::kError};
  NullLog log_;
  Engine engine_;
  Metrics metrics_;
  Commands commands_;
  Dispatcher dispatcher_;
};

// One thread of a transport, with the messages that it has received.
class HotPath::Sender {
 public:
  enum class Kind { kGet, kSet };

  // Each turn of Send() is of `bodies` messages with `requests` requests each, of random keys.
  Sender(HotPath* path, Kind kind, size_t bodies, size_t requests, uint64_t seed)
      : lane_(path->dispatcher_.NewLane()), turn_messages_(bodies) {
    std::mt19937_64 random(seed);
    for (size_t i = 0; i < kTurns * bodies; ++i) {
      std::string& body = bodies_.emplace_back();
      for (uint32_t msgid = 1; msgid <= requests; ++msgid) {
        const size_t number = random() % path->entries_;
        body +=
            kind == Kind::kGet ? GetRequest(msgid, number) : SetRequest(msgid, number, random());
      }
    }
    for (const std::string& body : bodies_) {
      const uint64_t peer = seed * bodies + inbound_.size() % bodies + 1;
      inbound_.push_back({.connection = peer, .peer = peer, .body = body});
    }
  }

  // A turn. They come again after kTurns of them. A function of its own, which callgrind can count.
  __attribute__((noinline)) void Send() {
    lane_->Handle({inbound_.data() + next_, turn_messages_}, &discard_);
    next_ = (next_ + turn_messages_) % inbound_.size();
  }
  uint64_t replies() const { return discard_.replies; }

 private:
  static constexpr size_t kTurns = 1024;

  const std::unique_ptr<MessageHandler::Lane> lane_;
  const size_t turn_messages_;
  std::vector<std::string> bodies_;
  std::vector<Inbound> inbound_;
  Discard discard_;
  size_t next_ = 0;
};

inline HotPath::HotPath(size_t entries, bool indexed)
    : entries_(entries),
      engine_({}, &log_, Clock::System(), [] {}),
      commands_(&engine_, &metrics_, &logger_),
      dispatcher_({.inline_allowed = true, .workers = 1}, &engine_, &commands_, &metrics_) {
  commands_.SetFacts({.server = "test", .sync = "none", .start_ms = engine_.NowMs()},
                     [](const auto&) {});
  engine_.SetReady();
  const std::unique_ptr<MessageHandler::Lane> lane = dispatcher_.NewLane();
  Discard discard;
  for (size_t number = 0; number < entries;) {
    std::string body;
    for (uint32_t msgid = 1; msgid <= 64 && number < entries; ++msgid, ++number) {
      body += SetRequest(msgid, number, number);
    }
    const Inbound message{.connection = 1, .peer = 1, .body = body};
    lane->Handle({&message, 1}, &discard);
  }
  if (indexed) {
    Epochs::Participant participant(&engine_.store().epochs());
    participant.Enter();
    engine_.store().BuildIndex(&engine_.store().by_value(), &participant);
    participant.Leave();
  }
}

}  // namespace entrepot
