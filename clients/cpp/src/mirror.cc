#include "entrepot/mirror.h"

#include <unistd.h>

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "client_clock.h"
#include "mirror_table.h"
#include "watch_queue.h"

namespace entrepot {
namespace {

Status ForkedStatus() { return Status(StatusCode::kClosed, "a mirror ends with a fork"); }

}  // namespace

// Takes what the watch is told, on a thread of its own from the first snapshot on.
class Mirror::Follower {
 public:
  Follower(std::shared_ptr<WatchQueue> queue, std::function<void(const Difference&)> on_change)
      : queue_(std::move(queue)), on_change_(std::move(on_change)), process_(getpid()) {}

  ~Follower() { Close(); }

  // Returns when the first snapshot is whole. `timeout` when nothing comes for so long.
  Status TakeFirst(milliseconds patience) {
    while (!is_whole()) {
      const Result<WatchBatch> batch = queue_->TakeBatch(Clock::now() + patience);
      if (!batch.ok()) return batch.status();
      Show(*batch);
    }
    return Status();
  }

  // `overloaded` where the system has no thread left.
  Status Start() {
    try {
      thread_ = std::thread([this] { Run(); });
    } catch (const std::system_error& error) {
      return Status(StatusCode::kOverloaded,
                    std::string("no thread for a mirror: ") + error.what());
    }
    return Status();
  }

  void Close() {
    if (getpid() != process_) {
      // The parent's thread does not exist here.
      if (thread_.joinable()) thread_.detach();
      return;
    }
    queue_->Close();
    const std::lock_guard lock(join_mu_);
    if (thread_.joinable()) thread_.join();
  }

  // Calls `read` with the entries, or gives why there are none any more.
  template <typename T, typename Read>
  Result<T> Look(Read read) const {
    if (getpid() != process_) return ForkedStatus();
    const std::lock_guard lock(mu_);
    if (!status_.ok()) return status_;
    return read(table_.entries());
  }

  Result<Token> token() const {
    return Look<Token>([this](const MirrorTable::Entries&) { return token_; });
  }

  bool is_live() const {
    if (!queue_->is_live()) return false;
    const std::lock_guard lock(mu_);
    // What was taken from the queue may not be shown yet.
    return status_.ok() && queue_->token() == token_;
  }

  Status status() const {
    if (getpid() != process_) return ForkedStatus();
    const std::lock_guard lock(mu_);
    return status_;
  }

 private:
  bool is_whole() const {
    const std::lock_guard lock(mu_);
    return table_.is_whole();
  }

  void Show(const WatchBatch& batch) {
    std::vector<Difference> differences;
    {
      const std::lock_guard lock(mu_);
      differences = table_.Apply(batch);
      if (batch.token) token_ = *batch.token;
    }
    if (!on_change_) return;
    for (const Difference& change : differences) on_change_(change);
  }

  void Run() {
    while (true) {
      const Result<WatchBatch> batch = queue_->TakeBatch(std::nullopt);
      if (!batch.ok()) {
        const std::lock_guard lock(mu_);
        status_ = batch.status();
        return;
      }
      Show(*batch);
    }
  }

  const std::shared_ptr<WatchQueue> queue_;
  const std::function<void(const Difference&)> on_change_;
  const pid_t process_;

  // Guarded by mu_, which may be held while the queue's is taken, and never the reverse.
  mutable std::mutex mu_;
  MirrorTable table_;
  Token token_;
  Status status_;

  // Guarded by join_mu_.
  std::mutex join_mu_;
  std::thread thread_;
};

Mirror::Mirror(std::unique_ptr<Follower> follower) : follower_(std::move(follower)) {}

Mirror::~Mirror() = default;
Mirror::Mirror(Mirror&&) noexcept = default;
Mirror& Mirror::operator=(Mirror&&) noexcept = default;

Result<Mirror> Mirror::Begin(std::shared_ptr<WatchQueue> queue, const MirrorOptions& options,
                             int64_t timeout_ms) {
  auto follower = std::make_unique<Follower>(std::move(queue), options.on_change);
  if (const Status first = follower->TakeFirst(milliseconds(timeout_ms)); !first.ok()) return first;
  if (const Status started = follower->Start(); !started.ok()) return started;
  return Mirror(std::move(follower));
}

Result<std::optional<Entry>> Mirror::Get(std::string_view key) const {
  return follower_->Look<std::optional<Entry>>([key](const MirrorTable::Entries& entries) {
    const auto found = entries.find(std::string(key));
    return found == entries.end() ? std::nullopt : std::optional(found->second);
  });
}

Result<std::map<std::string, Entry>> Mirror::Entries() const {
  return follower_->Look<MirrorTable::Entries>(
      [](const MirrorTable::Entries& entries) { return entries; });
}

Result<size_t> Mirror::size() const {
  return follower_->Look<size_t>(
      [](const MirrorTable::Entries& entries) { return entries.size(); });
}

Result<Token> Mirror::token() const { return follower_->token(); }

bool Mirror::is_live() const { return follower_->is_live(); }

Status Mirror::status() const { return follower_->status(); }

void Mirror::Close() { follower_->Close(); }

}  // namespace entrepot
