// Every bound of the server: a constant with its unit and its reason.
//
// Those that an operator may change are in struct Limits, with these as defaults.
#pragma once

#include <cstddef>
#include <cstdint>

namespace entrepot {

// --- What a request may be (docs/PROTOCOL.md, "Limits") --------------------------------------

// Keys are identifiers; 10 bits of an entry's header hold the length minus one.
inline constexpr size_t kKeyBytesMax = 1024;

// 25 bits of an entry's header hold the length of a value's msgpack encoding.
inline constexpr size_t kValueBytesCeiling = (size_t{1} << 25) - 1;

struct Limits {
  size_t key_bytes = kKeyBytesMax;
  size_t value_bytes = size_t{16} << 20;  // Of the msgpack encoding, header included.
  size_t body_bytes = size_t{64} << 20;   // Four of the largest values with their keys.
  size_t reply_bytes = size_t{64} << 20;  // As for requests.
  size_t nesting = 32;                // Arrays and maps in one value; bounds the decoder's stack.
  size_t requests = 65536;            // A body; bounds what one message can make the server do.
  size_t get_many_keys = 1000;        // Their stripes are locked together.
  size_t transact_operations = 1000;  // Likewise.
};

// What --max-nesting may be at most: with the request around a value, it bounds the decoder's
// stack.
inline constexpr size_t kNestingMax = 56;

// Frames of a message, envelope and body together: a REQ with correlation behind two proxies.
inline constexpr size_t kFramesMax = 8;
// Bytes of an envelope in all. Routing identities have at most 255 bytes each (RFC 28).
inline constexpr size_t kEnvelopeBytesMax = (kFramesMax - 1) * 256;

// --- Pages ------------------------------------------------------------------------------------

inline constexpr uint32_t kPageLimitDefault = 100;  // Entries of a page of find or scan.
inline constexpr uint32_t kPageLimitMax = 1000;     // The same, and index entries looked at.
inline constexpr size_t kPageBytes = size_t{1}
                                     << 20;      // A page ends behind the entry that passes it.
inline constexpr size_t kCursorBytesMax = 4096;  // A key, 1,024 bytes of value, and a header.
inline constexpr uint64_t kDeletePrefixLimitDefault = 1000;  // As a page.
inline constexpr uint64_t kDeletePrefixLimitMax = 100'000;   // What a worker does within 100 ms.

// Of a str or bin, the ordered index compares this many bytes; then the key decides.
inline constexpr size_t kIndexedBytes = 1024;

// --- The store --------------------------------------------------------------------------------

// Stripes: the worst stall by the rehash of one is in proportion to entries / stripes.
inline constexpr uint32_t kStripesDefault = 4096;
inline constexpr uint32_t kStripesMin = 64;  // One stripe holds 33 M slots at most.
inline constexpr uint32_t kStripesMax = 65536;
// Partitions of an ordered index: more spread writers wider and make pages dearer.
inline constexpr uint32_t kPartitions = 8;
// A queue of a partition at either bound is applied by the writer that met it.
inline constexpr size_t kQueueEntriesMax = 4096;
inline constexpr size_t kQueueBytesMax = size_t{4} << 20;
// One of more than this is applied at the end of a turn, unless somebody has the tree.
inline constexpr size_t kQueueEntriesAfterTurn = 8;
// Queues older than this are applied in the background.
inline constexpr int64_t kQueueAgeMs = 10;
// From this size on a value is a block of its own, counted and sent without holding a lock.
inline constexpr size_t kBlockBytesMin = size_t{16} << 10;
// How often expired entries are looked for.
inline constexpr int64_t kExpiryPeriodMs = 20;
// Entries removed from one stripe at a time, so that its lock is held for some microseconds only.
inline constexpr uint32_t kExpiryBatch = 64;

// --- The log ----------------------------------------------------------------------------------

// Bytes reserved in the commit queue, in all: two buffers of this much memory at most.
inline constexpr size_t kCommitQueueBytesMax = size_t{64} << 20;
// A snapshot is written when the log behind the last one has this many bytes, and as many as that
// snapshot: so writing snapshots costs no more than writing the log.
inline constexpr uint64_t kSnapshotLogBytesMin = uint64_t{64} << 20;

// --- The change feed ---------------------------------------------------------------------------

// Recent changes kept in memory for those who follow.
inline constexpr size_t kRingBytes = size_t{64} << 20;
// Of changes or entries, what one watch is given before others have their turn; also a message.
inline constexpr size_t kFeedSliceBytes = size_t{256} << 10;
// Watches that read the log at a time: each holds a file open and its pages in the system's cache.
inline constexpr size_t kLogReadersMax = 8;
inline constexpr size_t kWatchesOfConnection = 1000;  // A watch costs some hundred bytes,
inline constexpr size_t kWatchesMax = 100'000;        // and a look at each turn of the feed.
// Entries that were read for watches and wait for the gate, in all: then others wait to be read.
inline constexpr size_t kFeedPagesBytesMax = size_t{16} << 20;
inline constexpr size_t kPollsOfBody = 16;  // Calls of `changes` that may wait together.
inline constexpr size_t kPollsOfConnection = 1000;  // Bodies with such calls: of a proxy's peers,
inline constexpr size_t kPollsMax = 100'000;        // and in all.
// Answers in front of calls that still wait, in all: above it nothing waits any longer.
inline constexpr size_t kPollsBytesMax = size_t{64} << 20;
inline constexpr uint64_t kChangesLimitDefault = 1000;  // Events of one answer to `changes`.
inline constexpr uint64_t kChangesLimitMax = 10'000;    // The same.
inline constexpr uint64_t kChangesWaitMsMax = 60'000;   // Longer than a proxy's usual patience.
inline constexpr int64_t kFeedProgressMs = 1000;        // A quiet watch is told this often.

// --- Safe retries -----------------------------------------------------------------------------

inline constexpr uint64_t kOnceWindow = 1024;        // Numbers above `done`.
inline constexpr size_t kSessionsMax = 100'000;      // In all.
inline constexpr size_t kSessionsOfConnection = 16;  // Made by one connection.
inline constexpr size_t kOutcomesMax = 1'000'000;    // Remembered in all.
inline constexpr int64_t kSessionIdleMs =
    600'000;  // A session lives this long beyond its last use.

// --- Turns and connections --------------------------------------------------------------------

inline constexpr size_t kTurnMessages = 256;                  // Drained between two polls.
inline constexpr size_t kTurnRequests = 1024;                 // A turn ends here,
inline constexpr size_t kTurnBytes = size_t{1} << 20;         // or here.
inline constexpr size_t kInlineBodyBytes = size_t{64} << 10;  // A larger body goes to the workers,
inline constexpr size_t kInlineRequests = 256;       // as does one of more requests; also a slice.
inline constexpr uint32_t kInlinePageEntries = 128;  // A page of more goes to the workers,
inline constexpr size_t kInlineQueueEntries = 64;    // as does one that has this much to apply.
inline constexpr size_t kInlineOperations = 64;      // get_many, transact: more go to the workers.

// Replies that wait for a connection to take them: here its reading stops,
inline constexpr size_t kOutputBytesOfPeer = size_t{1} << 20;
// here its requests are told `overloaded` (two of the largest values may wait),
inline constexpr size_t kOutputBytesRefuse = size_t{32} << 20;
// and here it is closed, or its replies are dropped: above one reply of the largest size.
inline constexpr size_t kOutputBytesOfPeerHard = size_t{80} << 20;
inline constexpr size_t kOutputBytesInAll = size_t{256} << 20;  // As of a peer, for all together.
inline constexpr size_t kRequestsOfPeer = 4096;                 // Bodies waiting for a worker.
inline constexpr size_t kInputBytesInAll = size_t{256} << 20;   // Bodies waiting for a worker.
// Replies waiting for the log: beyond it requests are told `overloaded`.
inline constexpr size_t kParkedMax = 1'000'000;
inline constexpr int64_t kResendPeriodMs = 10;  // A full peer is tried again this often.

// Logged lines about refused input, a second.
inline constexpr int kRefusedInputLines = 10;

}  // namespace entrepot
