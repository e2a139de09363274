#include "server/config.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>

#include <fmt/format.h>
#include <toml++/toml.h>
#include <CLI/CLI.hpp>

#include "server/option.h"
#include "zmtp/limits.h"

namespace entrepot {
namespace {

constexpr std::string_view kProgram = "entrepot-server";
constexpr std::string_view kEnvironmentPrefix = "ENTREPOT_";

// What an operator may set; the ends of keys and values are those of an entry's header.
constexpr uint64_t kMessageBytesFloor = 4096;  // Below this not even `hello` could be answered.
constexpr Range kIoThreads = {1, zmtp::kIoThreadsMax};
constexpr Range kWorkers = {0, kWorkersMax};
constexpr Range kStripes = {kStripesMin, kStripesMax, /*power_of_two=*/true};
constexpr Range kKeyBytes = {1, kKeyBytesMax};
constexpr Range kValueBytes = {1, kValueBytesCeiling};
constexpr Range kBodyBytes = {kMessageBytesFloor, kInputBytesInAll};
constexpr Range kReplyBytes = {kMessageBytesFloor, Limits().reply_bytes};
constexpr Range kNesting = {1, kNestingMax};
constexpr Range kLogKeepBytes = {0, uint64_t{1} << 50};
constexpr Range kRequests = {1, uint64_t{1} << 20};
constexpr Range kHeldTogether = {1, 10'000};  // Stripes that one request may lock at once.
static_assert(Limits().reply_bytes < kOutputBytesOfPeerHard, "the largest reply can be sent");

Status Anything(const std::string&) { return Status(); }

Status CheckSync(const std::string& text) { return ReadSyncPolicy(text).status(); }
Status CheckKeepTime(const std::string& text) { return ReadKeepTime(text).status(); }

// Accepts one text only; `why` is told with every other one.
auto Only(std::string_view only, std::string_view why) {
  return [=](const std::string& text) {
    if (text == only) return Status();
    return Status(Code::kInvalidArgument,
                  fmt::format("expects {}, not \"{}\": {}", only, text, why));
  };
}

#define FIELD(path) \
  [](auto& config) -> auto& { return config.path; }

// All options, in the order of --help.
std::vector<Option> MakeOptionTable() {
  const Choices<TransportKind> transports = {{"zmq", TransportKind::kZmq},
                                             {"native", TransportKind::kNative}};
  const Choices<DispatchMode> modes = {{"inline", DispatchMode::kInline},
                                       {"workers", DispatchMode::kWorkers}};
  const Choices<IndexMode> index_modes = {{"auto", IndexMode::kAuto}, {"off", IndexMode::kOff}};
  const Choices<LogLevel> levels = {{"debug", LogLevel::kDebug},
                                    {"info", LogLevel::kInfo},
                                    {"warning", LogLevel::kWarning},
                                    {"error", LogLevel::kError}};
  return {
      ListOption("listen", FIELD(options.listen), CheckEndpoint, "ENDPOINT",
                 "Where requests arrive: tcp://HOST:PORT (port 0 takes a free one), ipc://PATH."),
      TextOption("feed", FIELD(options.feed), CheckFeed, "ENDPOINT|auto|off",
                 "Where changes are published to SUB sockets; auto is the port after that of the "
                 "first listener at a loopback address."),
      TextOption("admin", FIELD(options.admin), Only("off", "this server has no such endpoint"),
                 "off", "Where operators look, by HTTP."),
      TextOption(
          "data", FIELD(options.data), Anything, "FOLDER",
          "Where data is kept, made if need be; with none it is gone when the server stops."),
      TextOption(
          "sync", FIELD(options.sync), CheckSync, "always|DURATION|never",
          "When the log is synced, and so what an acknowledged write can lose: nothing, what "
          "was written within that time (100ms, 1s), or what the system has not written yet."),
      SizeOption("log-keep-bytes", FIELD(options.log_keep_bytes), kLogKeepBytes,
                 "Of log that no start needs any more, kept for watchers that were away."),
      TextOption("log-keep-time", FIELD(options.log_keep_time), CheckKeepTime, "DURATION",
                 "How long it is kept at most: 90s, 15m, 24h, 7d."),
      ChoiceOption("transport", FIELD(options.transport), transports,
                   "What speaks to the network: libzmq, or this program itself."),
      NumberOption("io-threads", FIELD(options.io_threads), kIoThreads,
                   "Threads of the native transport that receive requests."),
      ChoiceOption("dispatch", FIELD(options.dispatch), modes,
                   "Where short requests run: where they arrive, or on the workers."),
      NumberOption("workers", FIELD(options.workers), kWorkers,
                   "Threads for long requests; 0 is one a core, and at least 2."),
      NumberOption("stripes", FIELD(options.stripes), kStripes,
                   "Parts of the store, each with a lock of its own."),
      ChoiceOption("key-index", FIELD(options.key_index), index_modes,
                   "The order by key: kept from the first scan or count on, or never."),
      ChoiceOption("value-index", FIELD(options.value_index), index_modes,
                   "The order by value: kept from the first find on, or never."),
      SizeOption("max-key-bytes", FIELD(options.limits.key_bytes), kKeyBytes, "Of a key."),
      SizeOption("max-value-bytes", FIELD(options.limits.value_bytes), kValueBytes,
                 "Of a value, as msgpack."),
      SizeOption("max-body-bytes", FIELD(options.limits.body_bytes), kBodyBytes,
                 "Of a message's requests together."),
      SizeOption("max-reply-bytes", FIELD(options.limits.reply_bytes), kReplyBytes,
                 "Of a message's responses together."),
      NumberOption("max-nesting", FIELD(options.limits.nesting), kNesting,
                   "Arrays and maps within each other in a value."),
      NumberOption("max-requests", FIELD(options.limits.requests), kRequests,
                   "Requests in a message."),
      NumberOption("max-get-many-keys", FIELD(options.limits.get_many_keys), kHeldTogether,
                   "Keys of a get_many."),
      NumberOption("max-transact-operations", FIELD(options.limits.transact_operations),
                   kHeldTogether, "Operations of a transact."),
      TextOption("ports-file", FIELD(ports_file), Anything, "FILE",
                 "Written when the server is ready: its endpoints, as JSON."),
      ChoiceOption("log-level", FIELD(log_level), levels, "The least that is logged."),
      SwitchOption("insecure", FIELD(options.insecure),
                   "Allows listeners that other machines reach: there is no access control yet."),
  };
}

#undef FIELD

const std::vector<Option>& OptionTable() {
  static const std::vector<Option> table = MakeOptionTable();
  return table;
}

const Option* FindOption(std::string_view name) {
  const auto row = std::find_if(OptionTable().begin(), OptionTable().end(),
                                [&](const Option& option) { return option.name == name; });
  return row == OptionTable().end() ? nullptr : &*row;
}

// max-key-bytes is ENTREPOT_MAX_KEY_BYTES.
std::string VariableName(std::string_view option_name) {
  std::string name(kEnvironmentPrefix);
  for (const char c : option_name) {
    name.push_back(c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c))));
  }
  return name;
}

// A list in a variable: endpoints hold no commas.
Texts SplitAtCommas(std::string_view text) {
  Texts parts;
  for (size_t comma = text.find(','); comma != text.npos; comma = text.find(',')) {
    parts.emplace_back(text.substr(0, comma));
    text.remove_prefix(comma + 1);
  }
  parts.emplace_back(text);
  return parts;
}

Status Invalid(std::string_view where, std::string_view what) {
  return Status(Code::kInvalidArgument, fmt::format("{}: {}", where, what));
}

Status Read(const Option& option, const Texts& texts, std::string_view where, Config& config) {
  const Status status = option.read(texts, config);
  return status.ok() ? status : Invalid(where, status.message());
}

// --- The file ---------------------------------------------------------------------------------

std::string Place(const std::string& path, const toml::source_region& source) {
  return fmt::format("{}:{}:{}", path, source.begin.line, source.begin.column);
}

// A scalar as text: numbers and switches may be written as strings too, as in the environment.
std::optional<std::string> ScalarText(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) return fmt::to_string(number->get());
  if (const auto* flag = node.as_boolean()) return flag->get() ? "true" : "false";
  return std::nullopt;
}

std::optional<Texts> NodeTexts(const Option& option, const toml::node& node) {
  Texts texts;
  const toml::array* const array = node.as_array();
  if (array == nullptr || option.kind != Option::Kind::kList) {
    std::optional<std::string> text = ScalarText(node);
    if (!text) return std::nullopt;
    return Texts{*std::move(text)};
  }
  for (const toml::node& element : *array) {
    std::optional<std::string> text = ScalarText(element);
    if (!text) return std::nullopt;
    texts.push_back(*std::move(text));
  }
  return texts;
}

std::string_view KindName(Option::Kind kind) {
  switch (kind) {
    case Option::Kind::kText:
      return "a string";
    case Option::Kind::kNumber:
      return "a whole number, or a string such as \"64KiB\"";
    case Option::Kind::kSwitch:
      return "true or false";
    case Option::Kind::kList:
      return "an array of strings";
  }
  return "something else";
}

Status ReadTable(const toml::table& table, const std::string& path, Config& config) {
  for (const auto& [key, node] : table) {
    const Option* const option = FindOption(key.str());
    if (option == nullptr) {
      return Invalid(Place(path, key.source()), fmt::format("unknown key \"{}\"", key.str()));
    }
    const std::string where = fmt::format("{}: {}", Place(path, node.source()), option->name);
    const std::optional<Texts> texts = NodeTexts(*option, node);
    if (!texts) return Invalid(where, fmt::format("expects {}", KindName(option->kind)));
    if (Status status = Read(*option, *texts, where, config); !status.ok()) return status;
  }
  return Status();
}

Status ReadFile(const std::string& path, Config& config) {
  errno = 0;
  std::ifstream file(path);
  std::ostringstream content;
  if (!file || (file.peek() != std::ifstream::traits_type::eof() && !(content << file.rdbuf())) ||
      file.bad()) {
    return Invalid(path, fmt::format("cannot be read: {}", std::strerror(errno)));
  }
  try {
    return ReadTable(toml::parse(content.str(), path), path, config);
  } catch (const toml::parse_error& error) {
    return Invalid(Place(path, error.source()), error.description());
  }
}

// --- The environment --------------------------------------------------------------------------

// An empty variable is as if it was not there.
std::string Variable(const Environment& environment, std::string_view option_name) {
  const char* const text = environment(VariableName(option_name).c_str());
  return text == nullptr ? "" : text;
}

Status ReadVariables(const Environment& environment, Config& config) {
  for (const Option& option : OptionTable()) {
    const std::string text = Variable(environment, option.name);
    if (text.empty()) continue;
    const Texts texts = option.kind == Option::Kind::kList ? SplitAtCommas(text) : Texts{text};
    if (Status status = Read(option, texts, VariableName(option.name), config); !status.ok()) {
      return status;
    }
  }
  return Status();
}

// --- Flags ------------------------------------------------------------------------------------

// What the command line holds, before it is looked at in detail.
struct CommandLine {
  std::map<std::string, Texts> given;  // By the option's name.
  std::string config_file;
  bool check_config = false;
  bool print_config = false;
  std::optional<std::string> answer;  // For --help and --version.
};

// Makes `app` keep in `given` what is said of the options of the table.
void AddOptions(CLI::App& app, std::map<std::string, Texts>& given) {
  const Config defaults;
  for (const Option& option : OptionTable()) {
    const auto keep = [&given, name = option.name](const CLI::results_t& results) {
      given[name] = results;
      return true;
    };
    const std::string value = fmt::format("{}", fmt::join(option.write(defaults), " "));
    CLI::Option* const flag =
        app.add_option("--" + option.name, keep,
                       value.empty() ? option.help : fmt::format("{} [{}]", option.help, value));
    flag->type_name(option.argument);
    if (option.kind == Option::Kind::kSwitch) flag->expected(0);
    if (option.kind == Option::Kind::kList) {
      flag->expected(1, CLI::detail::expected_max_vector_size)->allow_extra_args(false);
    }
  }
}

Result<CommandLine> ParseCommandLine(std::span<const char* const> arguments,
                                     std::string_view version) {
  CommandLine line;
  CLI::App app("Entrepôt: a key-value store that ZeroMQ programs speak to in msgpack.",
               std::string(kProgram));
  app.set_help_flag("--help", "Prints this.");
  app.set_version_flag("--version", fmt::format("{} {}", kProgram, version), "Prints the version.");
  app.add_option("--config", line.config_file, "A file of options, as --print-config writes it.")
      ->type_name("FILE");
  app.add_flag("--check-config", line.check_config, "Checks the configuration, and ends.");
  app.add_flag("--print-config", line.print_config, "Prints the configuration, and ends.");
  app.footer(
      fmt::format("Each option can also be set as a key of the file, or as an environment "
                  "variable ({}).\nFlags beat variables, variables beat the file.\n\n"
                  "For a data folder that no server uses: {} verify|repair|dump DIR, backup DIR "
                  "DEST,\nrestore BACKUP DIR.",
                  VariableName("max-value-bytes"), kProgram));
  app.allow_extras();
  AddOptions(app, line.given);
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::CallForHelp&) {
    line.answer = app.help();
  } catch (const CLI::CallForVersion& version_text) {
    line.answer = fmt::format("{}\n", version_text.what());
  } catch (const CLI::ParseError& error) {
    return Status(Code::kInvalidArgument, fmt::format("{} (see --help)", error.what()));
  }
  // What follows it may be its value.
  if (const std::vector<std::string> unknown = app.remaining(); !unknown.empty()) {
    return Status(Code::kInvalidArgument,
                  fmt::format("there is no option {} (see --help)", unknown.front()));
  }
  return line;
}

Status ReadFlags(const std::map<std::string, Texts>& given, Config& config) {
  for (const Option& option : OptionTable()) {
    const auto flag = given.find(option.name);
    if (flag == given.end()) continue;
    if (Status status = Read(option, flag->second, "--" + option.name, config); !status.ok()) {
      return status;
    }
  }
  return Status();
}

// --- Durations --------------------------------------------------------------------------------

constexpr int64_t kSecondMs = 1000;
constexpr int64_t kHourMs = 3600 * kSecondMs;
constexpr int64_t kKeepTimeMaxMs = 10 * 365 * 24 * kHourMs;

struct DurationUnit {
  std::string_view name;
  int64_t ms;
};

// A whole number of at least 1 and one of `units`, together at most `ms_max`; in milliseconds.
std::optional<int64_t> ParseDuration(std::string_view text, std::span<const DurationUnit> units,
                                     int64_t ms_max) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string_view name = text.substr(static_cast<size_t>(end - text.data()));
  for (const DurationUnit& unit : units) {
    if (unit.name != name || error != std::errc()) continue;
    if (number >= 1 && number <= ms_max / unit.ms) return number * unit.ms;
  }
  return std::nullopt;
}

// --- The whole --------------------------------------------------------------------------------

std::string TomlValue(const Option& option, const Texts& texts) {
  const auto one = [&](const std::string& text) {
    const bool bare = option.kind == Option::Kind::kSwitch ||
                      (option.kind == Option::Kind::kNumber &&
                       text.find_first_not_of("0123456789") == std::string::npos);
    if (bare) return text;
    std::ostringstream quoted;
    quoted << toml::value<std::string>(text);
    return quoted.str();
  };
  if (option.kind != Option::Kind::kList) return one(texts.at(0));
  Texts elements;
  for (const std::string& text : texts) elements.push_back(one(text));
  return fmt::format("[{}]", fmt::join(elements, ", "));
}

Status CheckListeners(const Options& options) {
  if (options.insecure) return Status();
  const auto check = [](std::string_view option, const std::string& endpoint) {
    if (IsLocalEndpoint(endpoint)) return Status();
    return Invalid(option, fmt::format("other machines reach {}, and there is no access control "
                                       "yet; --insecure allows it",
                                       endpoint));
  };
  for (const std::string& endpoint : options.listen) {
    if (Status status = check("listen", endpoint); !status.ok()) return status;
  }
  return check("feed", options.feed);
}

}  // namespace

Result<Config> ReadConfig(std::span<const char* const> arguments, const Environment& environment,
                          std::string_view version) {
  Result<CommandLine> line = ParseCommandLine(arguments, version);
  if (!line.ok()) return line.status();
  Config config;
  if (line->answer) {
    config.answer = std::move(line->answer);
    return config;
  }
  const std::string file =
      line->config_file.empty() ? Variable(environment, "config") : line->config_file;
  if (!file.empty()) {
    if (Status status = ReadFile(file, config); !status.ok()) return status;
  }
  if (Status status = ReadVariables(environment, config); !status.ok()) return status;
  if (Status status = ReadFlags(line->given, config); !status.ok()) return status;
  if (Status status = CheckListeners(config.options); !status.ok()) return status;
  if (line->check_config) config.answer = "The configuration is valid.\n";
  if (line->print_config) config.answer = ConfigAsToml(config);
  return config;
}

Result<SyncPolicy> ReadSyncPolicy(std::string_view text) {
  if (text == "always") return SyncPolicy{SyncPolicy::kAlways};
  if (text == "never") return SyncPolicy{SyncPolicy::kNever};
  constexpr DurationUnit kUnits[] = {{"ms", 1}, {"s", kSecondMs}};
  if (const std::optional<int64_t> interval_ms = ParseDuration(text, kUnits, kHourMs)) {
    return SyncPolicy{SyncPolicy::kInterval, *interval_ms};
  }
  return Status(
      Code::kInvalidArgument,
      fmt::format("expects always, never or a duration such as 100ms or 1s, not \"{}\"", text));
}

Result<int64_t> ReadKeepTime(std::string_view text) {
  constexpr DurationUnit kUnits[] = {
      {"s", kSecondMs}, {"m", 60 * kSecondMs}, {"h", kHourMs}, {"d", 24 * kHourMs}};
  if (const std::optional<int64_t> time_ms = ParseDuration(text, kUnits, kKeepTimeMaxMs)) {
    return *time_ms;
  }
  return Status(Code::kInvalidArgument,
                fmt::format("expects a duration such as 90s, 15m, 24h or 7d, not \"{}\"", text));
}

Status CheckOptions(const Options& options) {
  Config config;
  config.options = options;
  for (const Option& option : OptionTable()) {
    if (Status status = Read(option, option.write(config), option.name, config); !status.ok()) {
      return status;
    }
  }
  return CheckListeners(options);
}

std::string ConfigAsToml(const Config& config) {
  std::string text;
  for (const Option& option : OptionTable()) {
    text += fmt::format("# {}\n{} = {}\n", option.help, option.name,
                        TomlValue(option, option.write(config)));
  }
  return text;
}

}  // namespace entrepot
