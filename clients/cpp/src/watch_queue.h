// WatchQueue: what a watch was told and its reader has not taken, between the exchange thread and
// the reader.
//
// It is bounded by the watch's credit, which the server keeps: Taken is how the exchange learns
// that there is room again.
//
// Thread safety: all methods.
//
// Invariant: Take() gives every event once, in order; token() is that of the last batch whose
// events have all been taken.

#pragma once

#include <sys/types.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include "client_clock.h"
#include "entrepot/event.h"
#include "entrepot/result.h"
#include "watch_state.h"

namespace entrepot {

class WatchQueue {
 public:
  // What the reader's side asks of the exchange; called on the reader's thread, without a lock.
  struct Exchange {
    std::function<void(uint64_t count)> taken;
    std::function<void()> close;
  };

  // `credit` as in WatchOptions.
  WatchQueue(uint64_t credit, Exchange exchange);

  // ---- For the exchange thread.

  // `live`: this is all there is to tell now.
  void Push(WatchBatch batch, bool live);
  // Nobody knows what there is to tell.
  void SetNotLive();
  // There is nothing more: the error is told behind what is still to be taken.
  void End(const Status& error);

  // ---- For the reader.

  // The next event. `timeout` at `until`, the error of End(), or `closed`.
  Result<Event> Take(std::optional<TimePoint> until);
  // Events that belong together, with their token; a batch that Take() has begun is given from
  // there on. One without events says that the token has moved on. Errors as above.
  Result<WatchBatch> TakeBatch(std::optional<TimePoint> until);

  // Gives up what is still to be taken, and ends the watch.
  void Close();
  bool closed() const;

  std::optional<Token> token() const;
  bool is_live() const;

 private:
  // Waits until there is an event, or a token where that is enough; ok then.
  Status WaitLocked(std::unique_lock<std::mutex>& lock, std::optional<TimePoint> until,
                    bool token_is_enough);
  // Accounts for events taken; the number to report, mostly 0.
  uint64_t CountLocked(uint64_t taken);

  // Constant after construction.
  const uint64_t credit_;
  const Exchange exchange_;
  const pid_t process_;  // In another one nobody fills the queue.

  // Guarded by mu_.
  mutable std::mutex mu_;
  std::condition_variable changed_;
  std::deque<WatchBatch> batches_;  // None without an event.
  size_t next_ = 0;                 // In the first batch.
  std::optional<Token> token_;
  bool token_moved_ = false;  // Since the last TakeBatch(), without an event.
  uint64_t unreported_ = 0;
  bool live_ = false;
  bool closed_ = false;
  bool ended_ = false;
  Status end_;
};

}  // namespace entrepot
