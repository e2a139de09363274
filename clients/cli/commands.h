// The commands that are one or a few calls: what each takes, and what it does.
//
// A command prints its result on the session's stdout in the session's format, what went wrong on
// stderr, and gives back the exit status. Options are those of the protocol.
//
// Thread safety: none.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "exit_status.h"
#include "input.h"
#include "session.h"

namespace entrepot::cli {

struct GetCommand {
  std::string key;
  ExitStatus Run(Session& session) const;
};

struct SetCommand {
  std::string key;
  std::string value;
  ValueSyntax syntax;
  std::string ttl;  // A duration; empty for none.
  std::optional<int64_t> expires_at_ms;
  bool keep_ttl = false;
  std::optional<uint64_t> if_version;
  bool if_absent = false;
  bool if_present = false;
  bool previous = false;
  ExitStatus Run(Session& session) const;
};

struct DeleteCommand {
  std::vector<std::string> keys;
  std::optional<uint64_t> if_version;
  bool prefix = false;  // The keys are prefixes: delete everything below them.
  ExitStatus Run(Session& session) const;

 private:
  ExitStatus RunPrefixes(Session& session) const;
};

struct IncrementCommand {
  std::string key;
  std::string by = "1";  // Numbers as JSON.
  std::string initial;
  std::string min;
  std::string max;
  std::string ttl;
  ExitStatus Run(Session& session) const;
};

struct AppendCommand {
  std::string key;
  std::string data;
  ValueSyntax syntax;
  bool prepend = false;
  ExitStatus Run(Session& session) const;
};

struct TouchCommand {
  std::string key;
  std::string ttl;
  bool permanent = false;
  ExitStatus Run(Session& session) const;
};

struct GetManyCommand {
  std::vector<std::string> keys;
  ExitStatus Run(Session& session) const;
};

// The query of find and count.
struct QuerySyntax {
  std::string prefix;
  bool has_prefix = false;
  std::string equals;
  bool has_equals = false;
  std::string from;
  std::string to;
  bool json = false;  // equals, from and to are JSON, not text.

  bool given() const { return has_prefix || has_equals || !from.empty() || !to.empty(); }
  Result<Query> Parse() const;
};

struct FindCommand {
  QuerySyntax query;
  std::string key_prefix;
  std::optional<uint64_t> limit;  // Of the whole output.
  bool keys = false;
  bool descending = false;
  ExitStatus Run(Session& session) const;
};

struct ScanCommand {
  std::string prefix;
  std::optional<uint64_t> limit;
  bool keys = false;
  bool descending = false;
  ExitStatus Run(Session& session) const;
};

struct CountCommand {
  std::string key_prefix;
  QuerySyntax query;
  ExitStatus Run(Session& session) const;
};

struct StatsCommand {
  ExitStatus Run(Session& session) const;
};

// Has the server write a snapshot, and prints the revision that it holds.
struct SaveCommand {
  ExitStatus Run(Session& session) const;
};

// Has the server make a backup in a folder of its own machine; prints the revision that it holds.
struct BackupCommand {
  std::string destination;  // An absolute path.
  ExitStatus Run(Session& session) const;
};

struct PingCommand {
  int count = 1;
  ExitStatus Run(Session& session) const;
};

}  // namespace entrepot::cli
