// What the user of the library implements: called with what the connections bring.
//
// Thread safety: calls come from the io threads, from several at once when there are several; those
// about one connection come from one thread, in order: OnOpened, OnMessages…, OnClosed.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "zmtp/command.h"
#include "zmtp/events.h"
#include "zmtp/message.h"

namespace entrepot::zmtp {

class Handler {
 public:
  virtual ~Handler() = default;

  // Once on each io thread, before and after everything else it does.
  virtual void OnThreadStarted(uint32_t /*io_thread*/) {}
  virtual void OnThreadStopping(uint32_t /*io_thread*/) {}

  // All messages of a turn, those of one connection together and in order. Views end with the call.
  // Answers sent during the call leave in one write a connection when it is over. Never empty.
  virtual void OnMessages(uint32_t io_thread, std::span<const Message> messages) = 0;

  // The handshake is done. `address` is that of the peer, or "ipc".
  virtual void OnOpened(ConnectionHandle /*connection*/, EndpointKind /*kind*/,
                        std::string_view /*address*/) {}
  // Only after OnOpened(). What is sent to it from now on is dropped.
  virtual void OnClosed(ConnectionHandle /*connection*/, Event /*reason*/) {}
  // Something was sent to it from another thread, and OnClosed() had been called before.
  virtual void OnSentToNobody(ConnectionHandle /*connection*/) {}

  // A peer was refused or closed for `reason`, with `suppressed` earlier ones that nobody was told
  // of because there were too many a second. Also from the accepting thread.
  virtual void OnRefused(Event /*reason*/, std::string_view /*address*/, uint64_t /*suppressed*/) {}
};

}  // namespace entrepot::zmtp
