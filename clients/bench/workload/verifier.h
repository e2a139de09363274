// The model of --verify: what each answer must be, known when the request is sent.
//
// It relies on three things: requests of one client take effect in the order in which it sent
// them, no other client writes its keys, and the store was loaded by this run. So what a client
// expects of a request follows from what it sent before, answered or not.
//
// Values longer than a nonce (workload.h) are compared whole, byte for byte.
//
// Thread safety: none; it belongs to one client.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>

#include "bench/wire/reply.h"
#include "bench/workload/workload.h"

namespace entrepot::bench {

// What is expected of one request.
struct Expectation {
  Kind kind;
  bool present;  // The entry existed before the request.
  uint64_t key;
  uint64_t nonce;  // The value that a get must show, if present.
  int64_t number;  // The count of this client's increments of the key, this one included.
};

class Verifier {
 public:
  // `exact_finds`: nothing is inserted or deleted, so a find and a scan have all of their hits.
  // `workload` must live longer.
  Verifier(const Workload* workload, bool exact_finds)
      : workload_(workload), exact_finds_(exact_finds) {}

  // Call in the order in which the requests are sent.
  Expectation Expect(const Request& request);

  // What is wrong with the answer, for a person; nothing if it is right. An error is not wrong: it
  // is counted elsewhere.
  std::optional<std::string> Check(const Expectation& expectation, const Reply& reply);

 private:
  struct Entry {
    bool present;
    uint64_t nonce;
  };

  Entry Now(uint64_t key) const;
  std::optional<std::string> CheckGet(const Expectation& expectation, const Reply& reply) const;
  std::optional<std::string> CheckFind(const Expectation& expectation, const Reply& reply) const;
  std::optional<std::string> CheckScan(const Expectation& expectation, const Reply& reply) const;
  std::optional<std::string> CheckIncrement(const Expectation& expectation, const Reply& reply);

  const Workload* workload_;
  bool exact_finds_;
  std::unordered_map<uint64_t, Entry> changed_;       // Keys that are not as they were loaded.
  std::unordered_map<uint64_t, int64_t> increments_;  // Sent so far.
  std::unordered_map<uint64_t, int64_t> bases_;       // A counter's value before this run.
};

}  // namespace entrepot::bench
