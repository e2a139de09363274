// One row of the table of options: how its value is read from text, checked, and written as text.
//
// A row does not know where the text came from; config.cc puts the flag, the variable or the place
// in the file in front of the error.
//
// Thread safety: none needed.
//
//    number := digit+                    size     := number ("KiB" | "MiB" | "GiB")?
//    switch := "true" | "false"          endpoint := "tcp://" host ":" port
//                                                  | "ipc://" path | "inproc://" name
#pragma once

#include <algorithm>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/status.h"
#include "server/config.h"

namespace entrepot {

// The value of an option: one text, or for a list any number of them.
using Texts = std::vector<std::string>;

struct Option {
  enum class Kind { kText, kNumber, kSwitch, kList };

  std::string name;      // As the flag has it, without dashes.
  Kind kind;             // How it stands in a file, and whether the flag takes an argument.
  std::string argument;  // The argument's name in --help.
  std::string help;
  // Sets the field, or says what was expected. One text, unless it is a list.
  std::function<Status(const Texts&, Config&)> read;
  // What read() would read back.
  std::function<Texts(const Config&)> write;
};

// What a number may be; both ends belong to it.
struct Range {
  uint64_t minimum;
  uint64_t maximum;
  bool power_of_two = false;
};

Result<uint64_t> ParseNumber(std::string_view text, Range range);
// In bytes.
Result<uint64_t> ParseSize(std::string_view text, Range range);
// `bytes` as ParseSize() reads it, with the largest unit that fits exactly.
std::string FormatSize(uint64_t bytes);

Status CheckEndpoint(const std::string& endpoint);
// Whether only programs of this machine reach what listens there; requires CheckEndpoint() to pass.
bool IsLocalEndpoint(std::string_view endpoint);

// --- The feed's endpoint: an endpoint, "off", or "auto" ---

Status CheckFeed(const std::string& feed);
// Where the feed listens if requests are to arrive at `listen`; empty: nowhere. "auto" is the port
// after that of the first listener at a loopback address, a free one if that takes a free one, and
// nowhere when there is no such listener.
std::string FeedEndpoint(const std::string& feed, const std::vector<std::string>& listen);
// Why the server does not start, with what to do about it.
Status FeedRefused(const Status& status);

inline Status Expected(std::string_view what, std::string_view text) {
  return Status(Code::kInvalidArgument, fmt::format("expects {}, not \"{}\"", what, text));
}

// The makers of rows. `field` gives the field of a Config, const or not.

template <typename Field>
Option NumberOption(std::string name, Field field, Range range, std::string help) {
  return {std::move(name),
          Option::Kind::kNumber,
          "NUMBER",
          std::move(help),
          [=](const Texts& texts, Config& config) {
            const Result<uint64_t> number = ParseNumber(texts.at(0), range);
            if (number.ok()) field(config) = static_cast<uint32_t>(*number);
            return number.status();
          },
          [=](const Config& config) { return Texts{fmt::to_string(field(config))}; }};
}

template <typename Field>
Option SizeOption(std::string name, Field field, Range range, std::string help) {
  return {std::move(name),
          Option::Kind::kNumber,
          "SIZE",
          std::move(help),
          [=](const Texts& texts, Config& config) {
            const Result<uint64_t> bytes = ParseSize(texts.at(0), range);
            if (bytes.ok()) field(config) = *bytes;
            return bytes.status();
          },
          [=](const Config& config) { return Texts{FormatSize(field(config))}; }};
}

// The names of an enumeration's values.
template <typename Value>
using Choices = std::vector<std::pair<std::string, Value>>;

template <typename Field, typename Value>
Option ChoiceOption(std::string name, Field field, Choices<Value> choices, std::string help) {
  Texts names;
  for (const auto& [choice, value] : choices) names.push_back(choice);
  return {std::move(name),
          Option::Kind::kText,
          fmt::format("{}", fmt::join(names, "|")),
          std::move(help),
          [=](const Texts& texts, Config& config) {
            for (const auto& [choice, value] : choices) {
              if (choice != texts.at(0)) continue;
              field(config) = value;
              return Status();
            }
            return Expected(fmt::format("{}", fmt::join(names, " or ")), texts.at(0));
          },
          [=](const Config& config) {
            const auto chosen =
                std::find_if(choices.begin(), choices.end(),
                             [&](const auto& choice) { return choice.second == field(config); });
            CHECK(chosen != choices.end());
            return Texts{chosen->first};
          }};
}

// A text; `check` is given it and says what was expected.
template <typename Field, typename Check>
Option TextOption(std::string name, Field field, Check check, std::string argument,
                  std::string help) {
  return {std::move(name),
          Option::Kind::kText,
          std::move(argument),
          std::move(help),
          [=](const Texts& texts, Config& config) {
            Status status = check(texts.at(0));
            if (status.ok()) field(config) = texts.at(0);
            return status;
          },
          [=](const Config& config) { return Texts{field(config)}; }};
}

// One text or more, each of which `check` is given.
template <typename Field, typename Check>
Option ListOption(std::string name, Field field, Check check, std::string argument,
                  std::string help) {
  return {std::move(name),
          Option::Kind::kList,
          std::move(argument),
          std::move(help),
          [=](const Texts& texts, Config& config) {
            if (texts.empty()) return Status(Code::kInvalidArgument, "expects one or more");
            for (const std::string& text : texts) {
              if (Status status = check(text); !status.ok()) return status;
            }
            field(config) = texts;
            return Status();
          },
          [=](const Config& config) { return field(config); }};
}

template <typename Field>
Option SwitchOption(std::string name, Field field, std::string help) {
  return {std::move(name),
          Option::Kind::kSwitch,
          "",
          std::move(help),
          [=](const Texts& texts, Config& config) {
            if (texts.at(0) != "true" && texts.at(0) != "false") {
              return Expected("true or false", texts.at(0));
            }
            field(config) = texts.at(0) == "true";
            return Status();
          },
          [=](const Config& config) { return Texts{field(config) ? "true" : "false"}; }};
}

}  // namespace entrepot
