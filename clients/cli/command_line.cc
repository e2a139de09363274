#include "command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "commands.h"
#include "entrepot/client.h"
#include "input.h"
#include "output.h"
#include "raw.h"
#include "shell.h"
#include "transfer.h"
#include "watching.h"

namespace entrepot::cli {
namespace {

constexpr const char* kDescription =
    "Reads and writes an Entrepôt server.\n\n"
    "Exit status: 0 ok, 1 server error, 2 usage, 3 not found, 4 conflict, 5 unreachable.";

// What the words said.
struct Parsed {
  std::string server;
  std::string timeout = "5s";
  int retries = 3;
  Format format = Format::kPlain;
  std::function<ExitStatus(Session&)> run;
};

// Adds a command; `sub` then gets its options.
template <typename Command>
std::shared_ptr<Command> Add(CLI::App& app, Parsed& parsed, const char* name,
                             const char* description, CLI::App** sub) {
  auto command = std::make_shared<Command>();
  *sub = app.add_subcommand(name, description);
  (*sub)->fallthrough();
  (*sub)->callback([&parsed, command] {
    parsed.run = [command](Session& session) { return command->Run(session); };
  });
  return command;
}

void AddValueSyntax(CLI::App* sub, ValueSyntax& syntax) {
  sub->add_flag("--json", syntax.json, "The value is JSON");
  sub->add_flag("--bytes", syntax.bytes, "Store a bin even where the value is text");
  sub->add_flag("--literal", syntax.literal, "A leading @ and a lone - mean themselves");
}

// Adds an option that takes one of some words, which `help` lists.
template <typename T>
void AddChoice(CLI::App* app, const char* names, const std::map<std::string, T>& choices,
               const char* help, T& chosen) {
  const auto choose = [&chosen, choices, names, help](const std::string& word) {
    const auto found = choices.find(word);
    if (found == choices.end()) throw CLI::ValidationError(names, word + " is not " + help);
    chosen = found->second;
  };
  app->add_option_function<std::string>(names, choose, help)->option_text("FORMAT");
}

constexpr const char* kValueHelp = "Text, @FILE for a file's content, - for stdin";
constexpr const char* kDurationHelp = "1500 (ms), 250ms, 30s, 5m, 2h, 7d";

void AddReadsAndWrites(CLI::App& app, Parsed& parsed) {
  CLI::App* sub = nullptr;
  const auto get = Add<GetCommand>(app, parsed, "get", "Write a value's bytes to stdout", &sub);
  sub->add_option("KEY", get->key)->required();

  const auto set = Add<SetCommand>(app, parsed, "set", "Store a value", &sub);
  sub->add_option("KEY", set->key)->required();
  sub->add_option("VALUE", set->value, kValueHelp)->required();
  AddValueSyntax(sub, set->syntax);
  sub->add_option("--ttl", set->ttl, kDurationHelp);
  sub->add_option("--expires-at-ms", set->expires_at_ms, "Milliseconds since 1970");
  sub->add_flag("--keep-ttl", set->keep_ttl, "Keep the TTL that the entry has");
  sub->add_option("--if-version", set->if_version, "Only where the version is this; 0: no entry");
  sub->add_flag("--if-absent", set->if_absent, "Only where there is no entry");
  sub->add_flag("--if-present", set->if_present, "Only where there is an entry");
  sub->add_flag("--previous", set->previous, "Print the value before");

  const auto del = Add<DeleteCommand>(app, parsed, "del", "Delete entries", &sub);
  sub->add_option("KEY", del->keys)->required();
  sub->add_option("--if-version", del->if_version, "Only where the version is this");
  sub->add_flag("--prefix", del->prefix, "Delete every entry whose key begins with KEY");

  const auto incr = Add<IncrementCommand>(app, parsed, "incr", "Add to a number", &sub);
  sub->add_option("KEY", incr->key)->required();
  sub->add_option("BY", incr->by, "1 if left out; after -- where it is negative");
  sub->add_option("--initial", incr->initial, "What an absent entry counts as");
  sub->add_option("--min", incr->min, "Conflict below this");
  sub->add_option("--max", incr->max, "Conflict above this");
  sub->add_option("--ttl", incr->ttl, "Of an entry that this creates");

  const auto append = Add<AppendCommand>(app, parsed, "append", "Lengthen a str or bin", &sub);
  sub->add_option("KEY", append->key)->required();
  sub->add_option("DATA", append->data, kValueHelp)->required();
  sub->add_flag("--bytes", append->syntax.bytes, "The data is a bin");
  sub->add_flag("--literal", append->syntax.literal, "A leading @ and a lone - mean themselves");
  sub->add_flag("--prepend", append->prepend, "Put the data in front");

  const auto touch = Add<TouchCommand>(app, parsed, "touch", "Change a TTL", &sub);
  sub->add_option("KEY", touch->key)->required();
  sub->add_option("TTL", touch->ttl, kDurationHelp);
  sub->add_flag("--permanent", touch->permanent, "The entry does not expire any more");

  const auto mget = Add<GetManyCommand>(app, parsed, "mget", "Read entries at one instant", &sub);
  sub->add_option("KEY", mget->keys)->required();
}

void AddQuerySyntax(CLI::App* sub, QuerySyntax& query) {
  sub->add_option("--equals", query.equals, "Values that are equal to this")
      ->each([&query](const std::string&) { query.has_equals = true; });
  sub->add_option("--from", query.from, "Values from this one on");
  sub->add_option("--to", query.to, "Values before this one");
  sub->add_flag("--json", query.json, "--equals, --from and --to are JSON: numbers, true, null");
}

void AddSearches(CLI::App& app, Parsed& parsed) {
  CLI::App* sub = nullptr;
  const auto find =
      Add<FindCommand>(app, parsed, "find", "Entries by the start of their value", &sub);
  sub->add_option("PREFIX", find->query.prefix, "What the values begin with")
      ->each([find](const std::string&) { find->query.has_prefix = true; });
  AddQuerySyntax(sub, find->query);
  sub->add_option("--key-prefix", find->key_prefix, "Only keys that begin so");
  sub->add_option("--limit", find->limit, "Entries to print at most");
  sub->add_flag("--keys", find->keys, "Print keys only");
  sub->add_flag("--desc", find->descending, "From the last to the first");

  const auto scan =
      Add<ScanCommand>(app, parsed, "scan", "Entries by the start of their key", &sub);
  sub->add_option("PREFIX", scan->prefix, "What the keys begin with");
  sub->add_option("--limit", scan->limit, "Entries to print at most");
  sub->add_flag("--keys", scan->keys, "Print keys only");
  sub->add_flag("--desc", scan->descending, "From the last to the first");

  const auto count = Add<CountCommand>(app, parsed, "count", "How many entries", &sub);
  sub->add_option("KEY_PREFIX", count->key_prefix, "Only keys that begin so");
  sub->add_option("--value-prefix", count->query.prefix, "Only values that begin so")
      ->each([count](const std::string&) { count->query.has_prefix = true; });
  AddQuerySyntax(sub, count->query);
}

void AddWatching(CLI::App& app, Parsed& parsed) {
  CLI::App* sub = nullptr;
  const auto watch = Add<WatchCommand>(app, parsed, "watch", "Print what changes, for ever", &sub);
  sub->add_option("PREFIX", watch->prefix, "Only keys that begin so");
  sub->add_option("--query", watch->query.prefix, "Only values that begin so")
      ->each([watch](const std::string&) { watch->query.has_prefix = true; });
  AddQuerySyntax(sub, watch->query);
  sub->add_option("--since", watch->since, "From this token on: HISTORY:REVISION");
  sub->add_flag("--no-snapshot", watch->no_snapshot, "Without the entries that are there");
  sub->add_flag("--keys", watch->keys, "Without values");
  sub->add_option("--exec", watch->command, "Run this for each event: the value is on its stdin");
  sub->add_option("--count", watch->count, "End after so many events")->check(CLI::PositiveNumber);

  const auto changes =
      Add<ChangesCommand>(app, parsed, "changes", "Print what has changed since a token", &sub);
  sub->add_option("PREFIX", changes->prefix, "Only keys that begin so");
  sub->add_option("--since", changes->since, "HISTORY:REVISION; left out, print the present one");
  sub->add_option("--wait", changes->wait, "How long to wait for a next change");
  sub->add_flag("--keys", changes->keys, "Without values");
}

void AddRest(CLI::App& app, Parsed& parsed) {
  const std::map<std::string, FileFormat> file_formats = {{"jsonl", FileFormat::kJsonLines},
                                                          {"csv", FileFormat::kCsv}};
  CLI::App* sub = nullptr;
  Add<StatsCommand>(app, parsed, "stats", "The server's figures", &sub);
  Add<SaveCommand>(app, parsed, "save", "Have the server write a snapshot", &sub);

  const auto backup = Add<BackupCommand>(app, parsed, "backup", "Have the server back up", &sub);
  sub->add_option("DEST", backup->destination, "An empty or new folder on the server's machine")
      ->required();

  const auto ping = Add<PingCommand>(app, parsed, "ping", "Whether the server answers", &sub);
  sub->add_option("--count", ping->count, "How often")->check(CLI::PositiveNumber);

  const auto import = Add<ImportCommand>(app, parsed, "import", "Store a file's entries", &sub);
  sub->add_option("FILE", import->file, "JSON lines with key and value; - or nothing for stdin");
  AddChoice(sub, "--format", file_formats, "jsonl or csv", import->format);
  sub->add_option("--prefix", import->prefix, "Put in front of every key");
  sub->add_option("--ttl", import->ttl, "Of entries that name none");

  const auto exporting = Add<ExportCommand>(app, parsed, "export", "Write entries to a file", &sub);
  sub->add_option("PREFIX", exporting->prefix, "Only keys that begin so");
  sub->add_option("--file", exporting->file, "- or nothing for stdout");
  AddChoice(sub, "--format", file_formats, "jsonl or csv", exporting->format);
  sub->add_flag("--ttl", exporting->with_ttl, "With what is left of each TTL");

  const auto raw = Add<RawCommand>(app, parsed, "raw", "Send requests and show the frames", &sub);
  sub->add_option("REQUEST", raw->requests, "[\"method\", [params...]] in JSON");
  sub->add_option("--hex", raw->hex, "The body in hex, in place of requests");
}

std::unique_ptr<CLI::App> MakeApp(Parsed& parsed) {
  const std::map<std::string, Format> formats = {{"plain", Format::kPlain},
                                                 {"json", Format::kJson},
                                                 {"jsonl", Format::kJsonLines},
                                                 {"csv", Format::kCsv}};
  auto app = std::make_unique<CLI::App>(kDescription, "entrepot");
  app->failure_message([](const CLI::App*, const CLI::Error& error) {
    return "entrepot: " + std::string(error.what()) + " (see entrepot --help)\n";
  });
  AddChoice(app.get(), "-o,--output", formats, "plain, json, jsonl or csv", parsed.format);
  AddReadsAndWrites(*app, parsed);
  AddSearches(*app, parsed);
  AddWatching(*app, parsed);
  AddRest(*app, parsed);
  return app;
}

// CLI11 takes a word in brackets apart, as a list. Here such a word is JSON or a key: it gets a
// guard in front of it, which every option takes off again.
constexpr char kBracketGuard = '\x01';

std::string TakeOffGuard(std::string word) {
  return !word.empty() && word.front() == kBracketGuard ? word.substr(1) : word;
}

void GuardBrackets(CLI::App& app, std::vector<std::string>& words) {
  for (std::string& word : words) {
    if (word.starts_with('[') || word.starts_with(kBracketGuard)) word.insert(0, 1, kBracketGuard);
  }
  for (CLI::App* command : app.get_subcommands([](CLI::App*) { return true; })) {
    for (CLI::Option* option : command->get_options()) option->transform(TakeOffGuard);
  }
}

// Understands the words; gives a status where there is nothing to run: help, or a mistake.
std::optional<ExitStatus> Parse(CLI::App& app, std::vector<std::string> words) {
  GuardBrackets(app, words);
  std::reverse(words.begin(), words.end());  // CLI11 takes them from the back.
  try {
    app.parse(std::move(words));
    // Not by require_subcommand(), which does not name a word that is no command.
    if (app.get_subcommands().empty()) throw CLI::RequiredError("A command");
    return std::nullopt;
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? ExitStatus::kOk : ExitStatus::kUsage;
  }
}

}  // namespace

ExitStatus RunProgram(const std::vector<std::string>& arguments) {
  Parsed parsed;
  const std::unique_ptr<CLI::App> app = MakeApp(parsed);
  app->set_version_flag("--version", "entrepot " ENTREPOT_VERSION);
  app->add_option("-s,--server", parsed.server,
                  "Endpoint; $ENTREPOT_SERVER or tcp://127.0.0.1:5555");
  app->add_option("-t,--timeout", parsed.timeout, "Of one call; 5s if left out");
  app->add_option("--retries", parsed.retries, "Of one call; 3 if left out")
      ->check(CLI::NonNegativeNumber)
      ->option_text("NUMBER");
  CLI::App* sub = nullptr;
  Add<ShellCommand>(*app, parsed, "shell", "A prompt with history and completion", &sub);
  if (const std::optional<ExitStatus> status = Parse(*app, arguments)) return *status;

  const Result<int64_t> timeout_ms = ParseDuration(parsed.timeout);
  Client client(parsed.server);
  Session session{.client = client,
                  .format = parsed.format,
                  .call = {.timeout_ms = timeout_ms.value_or(0), .retries = parsed.retries},
                  .console = Console::OfProcess()};
  if (!timeout_ms.ok()) return session.Usage(timeout_ms.status().message());
  if (!client.status().ok()) return session.Usage(client.status().message());
  ExitStatus status = parsed.run(session);
  const bool written =
      std::fflush(session.console.out) == 0 && std::ferror(session.console.out) == 0;
  if (!written && status == ExitStatus::kOk) {
    status = session.Fail(ExitStatus::kServerError, "the output could not be written");
  }
  return status;
}

ExitStatus RunLine(const std::vector<std::string>& words, Session& session) {
  Parsed parsed;
  parsed.format = session.format;
  const std::unique_ptr<CLI::App> app = MakeApp(parsed);
  if (const std::optional<ExitStatus> status = Parse(*app, words)) return *status;
  Session line_session = session;
  line_session.format = parsed.format;
  return parsed.run(line_session);
}

std::vector<std::string> CommandNames() {
  Parsed parsed;
  const std::unique_ptr<CLI::App> app = MakeApp(parsed);
  std::vector<std::string> names;
  for (const CLI::App* command : app->get_subcommands([](CLI::App*) { return true; })) {
    names.push_back(command->get_name());
  }
  return names;
}

}  // namespace entrepot::cli
