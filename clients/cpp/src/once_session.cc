#include "once_session.h"

#include <string>
#include <utility>

namespace entrepot {

void OnceSession::Begin(std::string id, std::string history) {
  id_ = std::move(id);
  history_ = std::move(history);
  ++generation_;
  last_ = 0;
  awaited_.clear();
}

OnceSession::Ticket OnceSession::Take() {
  awaited_.insert(++last_);
  return Ticket{generation_, last_};
}

void OnceSession::Release(const Ticket& ticket) {
  if (ticket.generation == generation_) awaited_.erase(ticket.number);
}

}  // namespace entrepot
