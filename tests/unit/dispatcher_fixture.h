// All of the server but the network, over a log that a test holds: messages are put in by hand, and
// replies fall into a mailbox.
//
// Thread safety: one thread, the test's, uses it; replies may come from any.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "server/dispatcher.h"
#include "support/raw_client.h"
#include "unit/held_log.h"

namespace entrepot {

// What a reply says, response by response.
inline std::vector<Response> ResponsesOf(const std::string& body) {
  std::vector<Response> responses;
  for (size_t offset = 0; offset < body.size();) {
    responses.emplace_back(msgpack::unpack(body.data(), body.size(), offset));
  }
  return responses;
}

// Replies by connection, in the order in which they were handed over.
class Mailbox final : public Transport, public MessageHandler::ReplySink {
 public:
  void Send(std::vector<Outbound> replies) override {
    for (const Outbound& reply : replies) Put(reply.connection, reply.reply);
  }
  void Reply(const Inbound& message, entrepot::Reply* reply) override {
    Put(message.connection, *reply);
  }
  // False: peers do not take their replies.
  void SetTakesMore(bool takes_more) { takes_more_ = takes_more; }
  bool TakesMore(uint64_t) const override { return takes_more_; }
  bool TakesMore(const Inbound&) const override { return takes_more_; }
  bool TakesEvents(uint64_t) const override { return true; }
  bool HasSubscribers() const override { return false; }
  bool TakesPublications() const override { return true; }
  void Publish(Publications) override {}

  const std::vector<std::string>& endpoints() const override { return endpoints_; }
  const std::string& feed_endpoint() const override { return feed_endpoint_; }
  void StopReading() override {}
  void Stop() override {}
  void AddStats(const StatAdder&) const override {}

  size_t Waiting(uint64_t connection) const {
    MutexLock lock(mu_);
    const auto found = replies_.find(connection);
    return found == replies_.end() ? 0 : found->second.size();
  }
  std::optional<std::string> Take(uint64_t connection) {
    MutexLock lock(mu_);
    auto& replies = replies_[connection];
    if (replies.empty()) return std::nullopt;
    std::string body = std::move(replies.front());
    replies.pop_front();
    return body;
  }

 private:
  void Put(uint64_t connection, const entrepot::Reply& reply) {
    std::string body(reply.size(), '\0');
    reply.CopyTo(body.data());
    MutexLock lock(mu_);
    replies_[connection].push_back(std::move(body));
  }

  const std::vector<std::string> endpoints_{};
  const std::string feed_endpoint_{};
  std::atomic<bool> takes_more_{true};
  mutable Mutex mu_;
  std::map<uint64_t, std::deque<std::string>> replies_ GUARDED_BY(mu_);
};

class DispatcherFixture {
 public:
  DispatcherFixture(bool inline_allowed, Engine::Options options)
      : engine_(options, &log_, Clock::System(), [this] { OnProgress(); }),
        commands_(&engine_, &metrics_, &logger_) {
    commands_.SetFacts({.server = "test", .sync = "always", .start_ms = engine_.NowMs()},
                       [](const auto&) {});
    dispatcher_ = std::make_unique<Dispatcher>(
        Dispatcher::Options{.inline_allowed = inline_allowed, .workers = 2}, &engine_, &commands_,
        &metrics_);
    dispatcher_->SetTransport(&mailbox_);
    lane_ = dispatcher_->NewLane();
    engine_.SetReady();
    MutexLock lock(progress_mu_);
    started_ = true;
  }
  ~DispatcherFixture() {
    log_.LetGo();
    EXPECT_TRUE(dispatcher_->Drain(30'000));
    {
      // The engine's last progress comes when the dispatcher is gone.
      MutexLock lock(progress_mu_);
      started_ = false;
      while (in_progress_ > 0) progress_over_.Wait(progress_mu_);
    }
    lane_.reset();
    dispatcher_.reset();
  }

  HeldLog& log() { return log_; }
  Engine& engine() { return engine_; }
  Mailbox& mailbox() { return mailbox_; }
  Dispatcher& dispatcher() { return *dispatcher_; }

  static std::string Ask(const std::string& method, const std::function<void(Packer&)>& params,
                         uint32_t msgid = 1) {
    return RawClient::Request(msgid, method, params);
  }
  static std::string Get(const std::string& key, uint32_t msgid = 1) {
    return Ask(
        "get", [&](Packer& packer) { packer.pack_array(1).pack(key); }, msgid);
  }
  static std::string Set(const std::string& key, const std::string& value, uint32_t msgid = 1) {
    return Ask(
        "set", [&](Packer& packer) { packer.pack_array(2).pack(key).pack(value); }, msgid);
  }
  // A set whose response does not wait.
  static std::string SetApplied(const std::string& key, const std::string& value,
                                uint32_t msgid = 1) {
    return Ask(
        "set",
        [&](Packer& packer) {
          packer.pack_array(3).pack(key).pack(value).pack_map(1).pack("ack").pack("applied");
        },
        msgid);
  }

  void Send(uint64_t peer, const std::string& body) {
    const Inbound message{.connection = peer, .peer = peer, .body = body};
    lane_->Handle({&message, 1}, &mailbox_);
  }
  // The responses of the next reply to `peer`.
  std::vector<Response> Receive(uint64_t peer) {
    std::optional<std::string> body;
    if (!Eventually([&] { return (body = mailbox_.Take(peer)).has_value(); })) {
      throw std::runtime_error("no reply came in time");
    }
    return ResponsesOf(*body);
  }
  Response Call(uint64_t peer, const std::string& body) {
    Send(peer, body);
    return std::move(Receive(peer).at(0));
  }

  // Whether all that was sent has run, and `peer` has no reply all the same.
  [[nodiscard]] bool IsParked(uint64_t peer) { return HasRun() && mailbox_.Waiting(peer) == 0; }
  [[nodiscard]] bool HasRun() {
    return Eventually([&] { return dispatcher_->gauges().strands == 0; });
  }

 private:
  void OnProgress() {
    {
      MutexLock lock(progress_mu_);
      if (!started_) return;
      ++in_progress_;
    }
    dispatcher_->OnProgress();
    MutexLock lock(progress_mu_);
    --in_progress_;
    progress_over_.NotifyAll();
  }

  Mutex progress_mu_;
  CondVar progress_over_;
  bool started_ GUARDED_BY(progress_mu_) = false;
  int in_progress_ GUARDED_BY(progress_mu_) = 0;

  Logger logger_{LogLevel::kError};
  Metrics metrics_;
  Mailbox mailbox_;
  HeldLog log_;
  Engine engine_;
  Commands commands_;
  std::unique_ptr<Dispatcher> dispatcher_;
  std::unique_ptr<MessageHandler::Lane> lane_;
};

}  // namespace entrepot
