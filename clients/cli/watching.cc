#include "watching.h"

#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <variant>

#include "event_command.h"
#include "event_output.h"
#include "input.h"
#include "interruption.h"

namespace entrepot::cli {
namespace {

void PrintEvent(const Event& event, bool values, const Session& session) {
  const std::string line = EventLine(event, session.format, values);
  std::fwrite(line.data(), 1, line.size(), session.console.out);
}

// Says on stderr what happened to the watch itself.
void SayHealing(const Event& event, const Session& session) {
  if (const auto* resync = std::get_if<event::Resync>(&event)) {
    std::fprintf(session.console.error, "entrepot: told from the beginning: %s\n",
                 resync->reason.c_str());
  } else if (const auto* synced = std::get_if<event::Synced>(&event); synced->resumed_after) {
    std::fprintf(session.console.error, "entrepot: resumed after revision %llu\n",
                 static_cast<unsigned long long>(*synced->resumed_after));
  }
}

// Ok where there is none.
Result<std::optional<Token>> ParseSince(const std::string& text) {
  if (text.empty()) return std::optional<Token>();
  const Result<Token> token = Token::FromString(text);
  if (!token.ok()) return token.status();
  return std::optional(*token);
}

bool HasLines(Format format) { return format == Format::kPlain || format == Format::kJsonLines; }

constexpr const char* kLinesOnly = "events are lines: say -o plain or -o jsonl";

}  // namespace

ExitStatus WatchCommand::Run(Session& session) const {
  if (!HasLines(session.format)) return session.Usage(kLinesOnly);
  const Result<std::optional<Token>> token = ParseSince(since);
  if (!token.ok()) return session.Usage(token.status().message());
  if (*token && no_snapshot) return session.Usage("--since does not go with --no-snapshot");
  if (keys && !command.empty()) return session.Usage("--keys does not go with --exec");
  WatchOptions options{
      .since = *token, .snapshot = !no_snapshot, .values = !keys, .call = session.call};
  if (query.given()) {
    const Result<Query> parsed = query.Parse();
    if (!parsed.ok()) return session.Usage(parsed.status().message());
    options.query = *parsed;
  }
  Result<Watch> watch = session.client.Watch(prefix, options);
  if (!watch.ok()) return session.Fail(watch.status());
  const Interruption interruption([&watch] { watch->Close(); });
  uint64_t left = count.value_or(UINT64_MAX);
  for (const Event& event : *watch) {
    const bool about_a_key = KeyOf(event) != nullptr;
    if (!about_a_key) SayHealing(event, session);
    if (command.empty()) {
      PrintEvent(event, !keys, session);
    } else if (about_a_key) {
      std::fflush(session.console.out);
      const Status ran = RunEventCommand(command, event);
      if (!ran.ok()) session.Fail(ExitStatus::kServerError, ran.message());
    }
    if (about_a_key && --left == 0) return ExitStatus::kOk;
  }
  if (!watch->status().ok()) return session.Fail(watch->status());
  return ExitStatus::kOk;
}

ExitStatus ChangesCommand::Run(Session& session) const {
  if (!HasLines(session.format)) return session.Usage(kLinesOnly);
  const Result<std::optional<Token>> token = ParseSince(since);
  if (!token.ok()) return session.Usage(token.status().message());
  const Result<int64_t> wait_ms = wait.empty() ? Result<int64_t>(0) : ParseDuration(wait);
  if (!wait_ms.ok()) return session.Usage(wait_ms.status().message());
  if (!*token) {
    const Result<ServerInfo> hello = session.client.Hello(session.call);
    if (!hello.ok()) return session.Fail(hello.status());
    PrintEvent(event::Synced{{hello->history, hello->version}, {}}, !keys, session);
    return ExitStatus::kOk;
  }
  Changes changes = session.client.Changes(
      **token, prefix, {.wait_ms = *wait_ms, .values = !keys, .call = session.call});
  for (const Event& event : changes) PrintEvent(event, !keys, session);
  if (!changes.status().ok()) return session.Fail(changes.status());
  PrintEvent(event::Synced{changes.token(), {}}, !keys, session);
  return ExitStatus::kOk;
}

}  // namespace entrepot::cli
