// One request on its way through its method; internal to Commands.
//
// The methods stand in a source file a group: commands.cc has those of a single key,
// call_transactions.cc those of several, call_pages.cc those of a range, call_feed.cc those of the
// change feed, call_server.cc those of the server itself.
//
// A method reads its params and options, has the engine do it, and appends its whole response to
// the reply. If it returns an error, or did not run to its end, what it has appended is taken back
// by its caller, except where it waits or is unfinished: then it has appended nothing.
//
// Thread safety: none; it lives for one turn of its CommandThread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "engine/engine.h"
#include "protocol/encoder.h"
#include "protocol/message.h"
#include "server/commands.h"
#include "server/feed.h"
#include "server/params.h"
#include "server/response.h"
#include "store/index_range.h"
#include "store/query.h"

namespace entrepot {

class Commands::Call {
 public:
  // All outlive it.
  Call(Commands* commands, const Request& request, const Origin& origin, bool long_allowed,
       CommandThread* thread, CountWalk* walk, FeedWork* feed_work, Reply* reply)
      : commands_(*commands),
        engine_(*commands->engine_),
        request_(request),
        origin_(origin),
        long_allowed_(long_allowed),
        thread_(thread),
        walk_(walk),
        feed_work_(feed_work),
        reply_(reply),
        out_(&reply->bytes()) {}

  Status RunMethod();

  // What RunMethod() answers besides a Status: the method did not begin.
  bool too_long() const { return too_long_; }
  bool no_room() const { return no_room_; }
  // Or it has done a slice of its work.
  bool unfinished() const { return unfinished_; }
  // Or it has something under way that it waits for.
  bool waits() const { return waits_; }
  int64_t retry_after_ms() const { return retry_after_ms_; }
  const Gate& gate() const { return gate_; }
  // For an error that says where the history begins.
  std::optional<uint64_t> oldest() const { return oldest_; }

 private:
  // --- For every method ----------------------------------------------------------------------

  // The gate becomes what `ack` asks for.
  void Acknowledged() {
    if (options_.ack == Acknowledge::kApplied) gate_ = {};
    if (options_.ack == Acknowledge::kDurable) Durable();
  }
  void Durable() {
    gate_.synced = std::max(gate_.synced, gate_.open);
    gate_.synced_record = std::max(gate_.synced_record, gate_.open_record);
    if (!engine_.committer().Passed(gate_)) engine_.committer().RequestSync();
  }
  // For a method that may take long, before it does anything: whether it is to return at once.
  bool TooLong() {
    too_long_ = !long_allowed_;
    return too_long_;
  }
  void Head() { PackResultHead(out_, request_.msgid); }
  // Bytes that the values of a response may take together.
  size_t ReplyRoom() const { return engine_.limits().reply_bytes - kResponseOverhead; }

  // Begins a write that carries `once`. True: it has run before, and that outcome was told; or it
  // is not to run, and `status` says why.
  bool Replayed(Status* status);
  // An error of the engine: no room is none of the client's.
  Status Engines(const Status& status);

  // --- Single keys (commands.cc) -------------------------------------------------------------

  Status Get();
  Status Write();

  // --- Several keys (call_transactions.cc) ---------------------------------------------------

  Status GetMany();
  Status Transact();

  // --- Ranges of keys (call_pages.cc) --------------------------------------------------------

  Status Page(IndexOrder order);
  Status Count();
  Status DeletePrefix();

  // Reads what find, scan and count have in common.
  Status ReadRange(IndexOrder order, std::string_view query, IndexRange* range,
                   std::optional<Query>* wanted);
  bool Wanted(const std::optional<Query>& query, const Entry& entry) const;
  // An error of ReadPage(): when to try again, if the index is behind.
  Status PageError(const Status& status);

  // --- The change feed (call_feed.cc) --------------------------------------------------------

  Status StartWatch();
  Status Unwatch();
  Status AddCredit();
  Status Changes();

  // Whether changes above `token` can be told at all.
  Status CheckToken(const HistoryToken& token);
  EventFilter FilterOf() const;
  Status FoundOrNot(bool found);

  // --- The server (call_server.cc) -----------------------------------------------------------

  Status Hello();
  Status Ping();
  Status Sync();
  Status Save();
  Status Backup();
  Status Stats();

  Status NoParams();
  // Has a snapshot written, and at `destination`, if that is not empty, a backup.
  Status WaitForFolder(std::string_view destination);

  Commands& commands_;
  Engine& engine_;
  const Request& request_;
  const Origin& origin_;
  const bool long_allowed_;
  CommandThread* const thread_;
  CountWalk* const walk_;
  FeedWork* const feed_work_;
  Reply* const reply_;
  ByteBuffer* const out_;

  ParamOptions options_;
  std::unique_ptr<Retries::Attempt> attempt_;
  Gate gate_;
  bool too_long_ = false;
  bool no_room_ = false;
  bool unfinished_ = false;
  bool waits_ = false;
  int64_t retry_after_ms_ = 0;
  std::optional<uint64_t> oldest_;
};

}  // namespace entrepot
