// Every bound of the ZMTP library: a field with its unit and its reason.
//
// Reaching one closes (or stops reading) the connection that reached it, is counted under its own
// name (zmtp/events.h), and costs the others nothing. Each is checked before the memory it bounds
// is taken.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/limits.h"

namespace entrepot::zmtp {

struct ZmtpLimits {
  // --- A message ---
  size_t frames = kFramesMax;                 // Envelope and body together.
  size_t envelope_bytes = kEnvelopeBytesMax;  // Contents of the frames before the last, together.
  size_t body_bytes = size_t{64} << 20;       // Of the last frame.
  // A command: its name and, the longest there is, a subscription of the length of a key.
  size_t command_bytes = 2048;
  // READY with a Socket-Type, an Identity of 255 bytes and room for properties of the peer's own.
  size_t handshake_bytes = 2048;

  // --- A connection ---
  int64_t handshake_ms = 10'000;  // From accept to READY: a slow mobile link, not a stalled peer.
  int64_t linger_ms = 1'000;      // A connection that is being closed has this long to take its
                                  // last bytes and to close its own half.
  size_t output_bytes_pause = kOutputBytesOfPeer;      // Waiting: its reading stops until a half
                                                       // of it is gone.
  size_t output_bytes_close = kOutputBytesOfPeerHard;  // Waiting: it is closed.
  size_t subscriptions = 1024;                         // Of one subscriber.
  size_t subscription_bytes = kKeyBytesMax;            // Of one: topics are keys.
  size_t subscriber_bytes = size_t{4} << 20;  // Waiting: what is published then is dropped for
                                              // this subscriber. About a second at full speed.

  // --- Fairness: a slice of a turn for each connection, round robin ---
  size_t slice_messages = 64;
  size_t slice_bytes = size_t{64} << 10;
  size_t turn_messages = kTurnRequests;
  size_t turn_bytes = kTurnBytes;
  int64_t turn_micros = 200;  // Spent reading; then what was read is executed and answered.

  // --- In all ---
  size_t connections = 32'768;             // Below the usual hard limit of open files.
  size_t connections_of_address = 16'384;  // A half: one address alone cannot lock out the others.
  size_t input_bytes_in_all = kInputBytesInAll;    // Unfinished messages; over it the connection
  size_t output_bytes_in_all = kOutputBytesInAll;  // that holds most is closed. Likewise output.
  size_t publish_bytes = size_t{16} << 20;  // Published and not yet dealt out, of one io thread:
                                            // then publishing drops, as PUB sockets do.
};

// Threads: 8 bits of a connection's handle name one.
inline constexpr uint32_t kIoThreadsMax = 64;
// Connections of one thread: 24 bits of a handle.
inline constexpr uint32_t kConnectionsOfThreadMax = 1u << 24;
// One read from a socket in the middle of a large message; other reads take a slice.
inline constexpr size_t kLargeReadBytes = size_t{256} << 10;
// Connections accepted before listeners and the stop signal are looked at again.
inline constexpr int kAcceptBatch = 64;
// Parts of one write; the rest goes with the next one.
inline constexpr size_t kWriteParts = 64;
// Answers of a turn are gathered here; when it is full they are written and it is used again.
inline constexpr size_t kOutputArenaBytes = size_t{1} << 20;
// From this size on a published message is shared by its subscribers' queues, not copied.
inline constexpr size_t kShareBytesMin = 2048;
// Published and not dealt out: a publisher that can wait does so from here on, so that one turn
// brings a subscriber much less than it may have waiting.
inline constexpr size_t kPublishSliceBytes = size_t{1} << 20;
// A connection that may not be read while memory is short is tried again this often; when none of
// them could be read for the longer time, the connection that holds most is closed.
inline constexpr int64_t kStalledRetryMs = 10;
inline constexpr int64_t kStalledCloseMs = 1'000;

}  // namespace entrepot::zmtp
