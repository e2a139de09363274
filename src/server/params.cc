#include "server/params.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace entrepot {

namespace {

// Below 2^53: every language reads it exactly.
constexpr uint64_t kIntegerMax = (uint64_t{1} << 53) - 1;

// Bits, so that the options of a method are one number.
enum Option : uint32_t {
  kTtl = 1 << 0,
  kExpiresAt = 1 << 1,
  kKeepTtl = 1 << 2,
  kIfVersion = 1 << 3,
  kIfAbsent = 1 << 4,
  kIfPresent = 1 << 5,
  kPrevious = 1 << 6,
  kAck = 1 << 7,
  kOnce = 1 << 8,
  kUnlessVersion = 1 << 9,
  kInitial = 1 << 10,
  kMin = 1 << 11,
  kMax = 1 << 12,
  kKeyPrefix = 1 << 13,
  kLimit = 1 << 14,
  kCursor = 1 << 15,
  kValues = 1 << 16,
  kOrder = 1 << 17,
  kQuery = 1 << 18,
  kSession = 1 << 19,
  kSince = 1 << 20,
  kSnapshot = 1 << 21,
  kCredit = 1 << 22,
  kWait = 1 << 23,
};

uint32_t OptionsOf(Method method) {
  switch (method) {
    case Method::kHello:
      return kSession;
    case Method::kSet:
      return kTtl | kExpiresAt | kKeepTtl | kIfVersion | kIfAbsent | kIfPresent | kPrevious | kAck |
             kOnce;
    case Method::kGet:
      return kUnlessVersion | kAck;
    case Method::kDelete:
      return kIfVersion | kPrevious | kAck | kOnce;
    case Method::kIncrement:
      return kInitial | kMin | kMax | kTtl | kAck | kOnce;
    case Method::kAppend:
    case Method::kPrepend:
    case Method::kTouch:
    case Method::kTransact:
      return kAck | kOnce;
    case Method::kGetMany:
      return kAck;
    case Method::kFind:
      return kKeyPrefix | kLimit | kCursor | kValues | kOrder | kAck;
    case Method::kScan:
      return kLimit | kCursor | kValues | kOrder | kAck;
    case Method::kCount:
      return kKeyPrefix | kQuery | kAck;
    case Method::kDeletePrefix:
      return kLimit | kAck | kOnce;
    case Method::kWatch:
      return kKeyPrefix | kQuery | kSince | kSnapshot | kValues | kCredit;
    case Method::kChanges:
      return kKeyPrefix | kLimit | kWait | kValues;
    default:
      return 0;
  }
}

struct OptionName {
  std::string_view name;
  Option option;
};
constexpr OptionName kOptionNames[] = {
    {"ttl_ms", kTtl},
    {"expires_at_ms", kExpiresAt},
    {"keep_ttl", kKeepTtl},
    {"if_version", kIfVersion},
    {"if_absent", kIfAbsent},
    {"if_present", kIfPresent},
    {"previous", kPrevious},
    {"ack", kAck},
    {"once", kOnce},
    {"unless_version", kUnlessVersion},
    {"initial", kInitial},
    {"min", kMin},
    {"max", kMax},
    {"key_prefix", kKeyPrefix},
    {"limit", kLimit},
    {"cursor", kCursor},
    {"values", kValues},
    {"order", kOrder},
    {"query", kQuery},
    {"session", kSession},
    {"since", kSince},
    {"snapshot", kSnapshot},
    {"credit", kCredit},
    {"wait_ms", kWait},
};

Status Invalid(std::string message) { return Status(Code::kInvalidArgument, std::move(message)); }

Status ReadInteger(std::string_view name, const Token& token, uint64_t least,
                   std::optional<uint64_t>* to) {
  if (token.type != Token::kUnsigned || token.number < least || token.number > kIntegerMax) {
    return Invalid(fmt::format("{} is to be an integer from {} to 2^53 - 1", name, least));
  }
  *to = token.number;
  return Status();
}

Status ReadBool(std::string_view name, const Token& token, bool* to) {
  if (token.type != Token::kTrue && token.type != Token::kFalse) {
    return Invalid(fmt::format("{} is to be true or false", name));
  }
  *to = token.type == Token::kTrue;
  return Status();
}

Status ReadNumber(std::string_view name, const Token& token, Number* to) {
  if (token.type == Token::kFloat && std::isfinite(token.real)) {
    *to = token.real;
  } else if (token.type == Token::kNegative ||
             (token.type == Token::kUnsigned && token.number <= uint64_t{INT64_MAX})) {
    *to = static_cast<int64_t>(token.number);
  } else {
    return Invalid(fmt::format("{} is to be a 64-bit signed integer or a finite float", name));
  }
  return Status();
}

Status ReadOnce(std::string_view encoded, std::optional<Once>* to) {
  const auto bad = [] {
    return Invalid("once is to be [session, number from 1, done], as hello gave the session");
  };
  MsgpackReader reader(encoded);
  Token token;
  Once once;
  if (!reader.Next(&token) || token.type != Token::kArray || token.count != 3) return bad();
  if (!reader.Next(&token) || token.type != Token::kString) return bad();
  const std::string_view session = token.bytes;
  if (!reader.Next(&token) || token.type != Token::kUnsigned || token.number == 0 ||
      token.number > kIntegerMax) {
    return bad();
  }
  once.number = token.number;
  if (!reader.Next(&token) || token.type != Token::kUnsigned || token.number > kIntegerMax) {
    return bad();
  }
  once.done = token.number;
  if (!SessionId::Parse(session, &once.session)) {
    return Status(Code::kSessionExpired,
                  fmt::format("the session {} is not known; nothing ran", Quoted(session)));
  }
  *to = once;
  return Status();
}

Status ReadWord(std::string_view name, const Token& token, std::string_view first,
                std::string_view second, bool* is_second) {
  if (token.type != Token::kString || (token.bytes != first && token.bytes != second)) {
    return Invalid(fmt::format("{} is to be \"{}\" or \"{}\"", name, first, second));
  }
  *is_second = token.bytes == second;
  return Status();
}

// `encoded` is the option's whole value, `token` its head.
Status ReadOption(Option option, std::string_view name, std::string_view encoded,
                  const Token& token, ParamOptions* options) {
  const auto number = [&](std::optional<Number>* to) {
    Number value;
    Status status = ReadNumber(name, token, &value);
    if (status.ok()) *to = value;
    return status;
  };
  const auto text = [&](std::optional<std::string_view>* to) {
    if (!token.IsText()) return Invalid(fmt::format("{} is to be a str or a bin", name));
    *to = token.bytes;
    return Status();
  };
  bool second = false;
  Status status;
  switch (option) {
    case kTtl:
      return ReadInteger(name, token, 1, &options->ttl_ms);
    case kExpiresAt:
      return ReadInteger(name, token, 0, &options->expires_at_ms);
    case kIfVersion:
      return ReadInteger(name, token, 0, &options->if_version);
    case kUnlessVersion:
      return ReadInteger(name, token, 0, &options->unless_version);
    case kLimit:
      return ReadInteger(name, token, 1, &options->limit);
    case kKeepTtl:
      return ReadBool(name, token, &options->keep_ttl);
    case kIfAbsent:
      return ReadBool(name, token, &options->if_absent);
    case kIfPresent:
      return ReadBool(name, token, &options->if_present);
    case kPrevious:
      return ReadBool(name, token, &options->previous);
    case kValues:
      return ReadBool(name, token, &options->values);
    case kSession:
      return ReadBool(name, token, &options->session);
    case kSnapshot:
      return ReadBool(name, token, &options->snapshot);
    case kCredit:
      return ReadInteger(name, token, 0, &options->credit);
    case kWait:
      return ReadInteger(name, token, 0, &options->wait_ms);
    case kSince:
      return ReadHistoryToken(encoded, &options->since.emplace());
    case kInitial:
      return number(&options->initial);
    case kMin:
      return number(&options->min);
    case kMax:
      return number(&options->max);
    case kKeyPrefix:
      return text(&options->key_prefix);
    case kCursor:
      return text(&options->cursor);
    case kOnce:
      return ReadOnce(encoded, &options->once);
    case kQuery:
      options->query = encoded;
      return Status();
    case kAck:
      status = ReadWord(name, token, "applied", "durable", &second);
      options->ack = second ? Acknowledge::kDurable : Acknowledge::kApplied;
      return status;
    case kOrder:
      status = ReadWord(name, token, "asc", "desc", &second);
      options->order = second ? Direction::kDescending : Direction::kAscending;
      return status;
  }
  return status;
}

// The bytes of a str or a bin; empty where the item is neither.
std::string_view TextOf(std::string_view encoded) {
  Token token;
  CHECK(MsgpackReader(encoded).Next(&token));
  return token.IsText() ? token.bytes : std::string_view();
}

// Takes one item off `reader`.
std::string_view TakeItem(MsgpackReader* reader) {
  const char* const begin = reader->at();
  // The decoder has passed all of it already, so it is whole.
  CHECK(reader->Skip(SIZE_MAX) == MsgpackReader::Skipped::kWhole);
  return {begin, static_cast<size_t>(reader->at() - begin)};
}

Status CheckValue(std::string_view value, const Limits& limits) {
  if (value.size() <= limits.value_bytes) return Status();
  return Status(Code::kTooLarge, fmt::format("the value has {} bytes, over the limit of {}",
                                             value.size(), limits.value_bytes));
}

Status ReadExpiry(const ParamOptions& options, Operation* operation) {
  if (options.ttl_ms && options.expires_at_ms) {
    return Invalid("ttl_ms and expires_at_ms exclude one another");
  }
  // So large a TTL means for ever; the sum stays below 2^53.
  if (options.ttl_ms) {
    operation->ttl_ms = static_cast<int64_t>(std::min(*options.ttl_ms, kIntegerMax / 2));
  }
  // 0 stands for "never" in an entry; the first millisecond of 1970 is as long past as the second.
  if (options.expires_at_ms) {
    operation->expires_at_ms = static_cast<int64_t>(std::max<uint64_t>(*options.expires_at_ms, 1));
  }
  return Status();
}

// What `method` takes before its options.
size_t RequiredParams(Method method) {
  return method == Method::kGet || method == Method::kDelete ? 1 : 2;
}

Status ReadCondition(std::string_view encoded, const Limits& limits, const HashFunction& hash,
                     Condition* condition) {
  const auto bad = [] {
    return Invalid(
        "a condition is to be [key, \"version\"/\"exists\"/\"value\", \"=\"/\"!=\"/\"<\"/\">\", "
        "operand]");
  };
  MsgpackReader reader(encoded);
  Token token;
  if (!reader.Next(&token) || token.type != Token::kArray || token.count != 4) return bad();
  if (Status status = ReadKey(TakeItem(&reader), limits, /*to_write=*/false, &condition->key);
      !status.ok()) {
    return status;
  }
  condition->hash = hash(condition->key);
  if (!reader.Next(&token) || token.type != Token::kString) return bad();
  const std::string_view field = token.bytes;
  if (!reader.Next(&token) || token.type != Token::kString) return bad();
  using Comparison = Condition::Comparison;
  if (token.bytes == "=") {
    condition->comparison = Comparison::kEqual;
  } else if (token.bytes == "!=") {
    condition->comparison = Comparison::kNotEqual;
  } else if (token.bytes == "<") {
    condition->comparison = Comparison::kLess;
  } else if (token.bytes == ">") {
    condition->comparison = Comparison::kGreater;
  } else {
    return bad();
  }
  const std::string_view operand = TakeItem(&reader);
  Token head;
  CHECK(MsgpackReader(operand).Next(&head));
  if (field == "version") {
    condition->field = Condition::Field::kVersion;
    if (head.type != Token::kUnsigned) return Invalid("a version is to be an integer from 0");
    condition->version = head.number;
  } else if (field == "exists") {
    condition->field = Condition::Field::kExists;
    if (condition->comparison == Comparison::kLess ||
        condition->comparison == Comparison::kGreater) {
      return Invalid("exists takes = and != only");
    }
    return ReadBool("exists", head, &condition->exists);
  } else if (field == "value") {
    condition->field = Condition::Field::kValue;
    condition->value = operand;
  } else {
    return bad();
  }
  return Status();
}

Status ReadBranch(std::string_view name, std::string_view encoded, const Limits& limits,
                  const HashFunction& hash, std::vector<Operation>* branch) {
  MsgpackReader reader(encoded);
  Token token;
  if (!reader.Next(&token) || token.type != Token::kArray) {
    return Invalid(fmt::format("{} is to be an array of [method, params]", name));
  }
  if (token.count > limits.transact_operations) {
    return Status(Code::kTooLarge, fmt::format("{} has {} operations, over the limit of {}", name,
                                               token.count, limits.transact_operations));
  }
  const uint32_t count = token.count;
  branch->reserve(count);
  for (uint32_t i = 0; i < count; ++i) {
    Request request;
    if (!reader.Next(&token) || token.type != Token::kArray || token.count != 2 ||
        !reader.Next(&token) || token.type != Token::kString) {
      return Invalid(fmt::format("operation {} of {} is to be [method, params]", i, name));
    }
    request.method_name = token.bytes;
    request.method = MethodByName(token.bytes);
    if (!TakesKey(request.method)) {
      return Invalid(
          fmt::format("a transaction cannot hold the method {}", Quoted(request.method_name)));
    }
    if (!reader.Next(&token) || token.type != Token::kArray) {
      return Invalid(fmt::format("operation {} of {} is to be [method, params]", i, name));
    }
    if (token.count > kParamsMax) {
      return Invalid(fmt::format("{} has too many params", request.method_name));
    }
    request.param_count = static_cast<uint8_t>(token.count);
    for (uint32_t param = 0; param < request.param_count; ++param) {
      request.params[param] = TakeItem(&reader);
    }
    if (request.param_count > 0) request.key = TextOf(request.params[0]);
    if (request.method == Method::kSet && request.param_count > 1 &&
        MsgpackReader(request.params[1]).Skip(limits.nesting) != MsgpackReader::Skipped::kWhole) {
      return Status(Code::kMalformed, fmt::format("a value nests deeper than {}", limits.nesting));
    }
    Operation operation;
    ParamOptions options;
    if (Status status = ReadOperation(request, limits, &operation, &options); !status.ok()) {
      return status;
    }
    if (options.once || options.ack != Acknowledge::kDefault) {
      return Invalid("ack and once belong to the transaction, not to an operation in it");
    }
    operation.hash = hash(operation.key);
    branch->push_back(operation);
  }
  std::vector<std::string_view> written;
  for (const Operation& operation : *branch) {
    if (operation.IsWrite()) written.push_back(operation.key);
  }
  std::sort(written.begin(), written.end());
  const auto twice = std::adjacent_find(written.begin(), written.end());
  if (twice != written.end()) {
    return Invalid(fmt::format("{} writes the key {} twice", name, Quoted(*twice)));
  }
  return Status();
}

}  // namespace

std::string Quoted(std::string_view text) {
  constexpr size_t kShown = 64;
  std::string quoted = "\"";
  for (const char c : text.substr(0, kShown)) quoted += c >= ' ' && c <= '~' ? c : '?';
  return quoted + (text.size() > kShown ? "…\"" : "\"");
}

Status ReadOptions(Method method, std::string_view encoded, ParamOptions* options) {
  if (encoded.empty()) return Status();
  MsgpackReader reader(encoded);
  Token token;
  if (!reader.Next(&token) || token.type != Token::kMap) {
    return Invalid(fmt::format("the options of {} are to be a map", MethodName(method)));
  }
  const uint32_t allowed = OptionsOf(method);
  uint32_t seen = 0;
  for (uint32_t left = token.count; left > 0; --left) {
    Token name;
    if (!reader.Next(&name) || name.type != Token::kString) {
      return Invalid("the name of an option is to be a str");
    }
    const std::string_view value = TakeItem(&reader);
    const auto* const known =
        std::find_if(std::begin(kOptionNames), std::end(kOptionNames),
                     [&](const OptionName& option) { return option.name == name.bytes; });
    if (known == std::end(kOptionNames) || (allowed & known->option) == 0) {
      // A new client may greet an old server.
      if (method == Method::kHello) continue;
      return Invalid(fmt::format("{} has no option {}", MethodName(method), Quoted(name.bytes)));
    }
    if ((seen & known->option) != 0) {
      return Invalid(fmt::format("the option {} is given twice", known->name));
    }
    seen |= known->option;
    Token head;
    CHECK(MsgpackReader(value).Next(&head));
    if (head.type == Token::kNil) {
      // For a query nil would be a scalar; as an option's value it is none.
      return Invalid(fmt::format("the option {} is nil", known->name));
    }
    if (head.type == Token::kFalse) {
      // As if left out; but watchers get values unless they ask for none.
      options->no_values |= known->option == kValues;
      continue;
    }
    if (Status status = ReadOption(known->option, known->name, value, head, options);
        !status.ok()) {
      return status;
    }
  }
  return Status();
}

Status ReadCount(std::string_view name, std::string_view encoded, uint64_t* to) {
  Token token;
  std::optional<uint64_t> number;
  CHECK(MsgpackReader(encoded).Next(&token));
  Status status = ReadInteger(name, token, 0, &number);
  if (status.ok()) *to = *number;
  return status;
}

Status ReadHistoryToken(std::string_view encoded, HistoryToken* to) {
  MsgpackReader reader(encoded);
  Token array, history, revision;
  if (!reader.Next(&array) || array.type != Token::kArray || array.count != 2 ||
      !reader.Next(&history) || history.type != Token::kString || !reader.Next(&revision) ||
      revision.type != Token::kUnsigned || revision.number > kIntegerMax) {
    return Invalid("a position in the history is to be [history, revision]");
  }
  *to = {history.bytes, revision.number};
  return Status();
}

Status ReadParams(const Request& request, size_t required, ParamOptions* options) {
  if (request.param_count < required || request.param_count > required + 1) {
    return Invalid(fmt::format("{} takes {} params and a map of options, not {}",
                               MethodName(request.method), required, request.param_count));
  }
  return ReadOptions(request.method,
                     request.param_count > required ? request.params[required] : std::string_view(),
                     options);
}

Status CheckKey(std::string_view key, const Limits& limits, bool to_write) {
  if (key.empty()) return Invalid("a key is to be a str or a bin of at least one byte");
  if (key.size() > limits.key_bytes) {
    return Status(Code::kTooLarge, fmt::format("the key has {} bytes, over the limit of {}",
                                               key.size(), limits.key_bytes));
  }
  if (to_write && key.front() == '$') {
    return Status(Code::kDenied, "keys that start with $ belong to the system");
  }
  return Status();
}

Status ReadKey(std::string_view encoded, const Limits& limits, bool to_write,
               std::string_view* key) {
  *key = TextOf(encoded);
  return CheckKey(*key, limits, to_write);
}

Status ReadPrefix(std::string_view encoded, std::string_view* prefix) {
  Token token;
  if (!MsgpackReader(encoded).Next(&token) || !token.IsText()) {
    return Invalid("a key prefix is to be a str or a bin");
  }
  *prefix = token.bytes;
  return Status();
}

Status ReadOperation(const Request& request, const Limits& limits, Operation* operation,
                     ParamOptions* options) {
  const size_t required = RequiredParams(request.method);
  if (Status status = ReadParams(request, required, options); !status.ok()) return status;
  operation->method = request.method;
  operation->hash = request.hash;
  operation->key = request.key;  // Empty where it is no text.
  if (Status status = CheckKey(operation->key, limits, operation->IsWrite()); !status.ok()) {
    return status;
  }
  operation->if_version = options->if_version;
  operation->unless_version = options->unless_version;
  operation->previous = options->previous;
  switch (request.method) {
    case Method::kSet:
      operation->value = request.params[1];
      operation->keep_ttl = options->keep_ttl;
      operation->if_absent = options->if_absent;
      operation->if_present = options->if_present;
      if (options->if_absent && options->if_present) {
        return Invalid("if_absent and if_present exclude one another");
      }
      if (options->keep_ttl && (options->ttl_ms || options->expires_at_ms)) {
        return Invalid("keep_ttl excludes ttl_ms and expires_at_ms");
      }
      if (Status status = CheckValue(operation->value, limits); !status.ok()) return status;
      return ReadExpiry(*options, operation);
    case Method::kIncrement: {
      Token token;
      CHECK(MsgpackReader(request.params[1]).Next(&token));
      if (Status status = ReadNumber("the increment", token, &operation->by); !status.ok()) {
        return status;
      }
      if (options->initial) operation->initial = *options->initial;
      operation->min = options->min;
      operation->max = options->max;
      return ReadExpiry(*options, operation);
    }
    case Method::kAppend:
    case Method::kPrepend: {
      Token token;
      CHECK(MsgpackReader(request.params[1]).Next(&token));
      if (!token.IsText()) {
        return Invalid(fmt::format("{} takes a str or a bin", MethodName(request.method)));
      }
      operation->value = request.params[1];
      return CheckValue(operation->value, limits);
    }
    case Method::kTouch: {
      Token token;
      CHECK(MsgpackReader(request.params[1]).Next(&token));
      if (token.type == Token::kNil) return Status();
      if (Status status = ReadInteger("ttl_ms", token, 1, &options->ttl_ms); !status.ok()) {
        return status;
      }
      return ReadExpiry(*options, operation);
    }
    default:
      return Status();
  }
}

Status ReadTransaction(const Request& request, const Limits& limits, const HashFunction& hash,
                       Transaction* transaction, ParamOptions* options) {
  if (Status status = ReadParams(request, 1, options); !status.ok()) return status;
  MsgpackReader reader(request.params[0]);
  Token token;
  if (!reader.Next(&token) || token.type != Token::kMap) {
    return Invalid("transact takes a map of if, then and else");
  }
  bool seen_if = false, seen_then = false, seen_else = false;
  for (uint32_t left = token.count; left > 0; --left) {
    Token name;
    if (!reader.Next(&name) || name.type != Token::kString) {
      return Invalid("transact takes a map of if, then and else");
    }
    const std::string_view part = TakeItem(&reader);
    bool* const seen = name.bytes == "if"     ? &seen_if
                       : name.bytes == "then" ? &seen_then
                       : name.bytes == "else" ? &seen_else
                                              : nullptr;
    if (seen == nullptr) {
      return Invalid(fmt::format("transact has no part {}", Quoted(name.bytes)));
    }
    if (std::exchange(*seen, true)) {
      return Invalid(fmt::format("transact has two parts {}", name.bytes));
    }
    Status status;
    if (seen == &seen_if) {
      MsgpackReader conditions(part);
      Token array;
      if (!conditions.Next(&array) || array.type != Token::kArray) {
        return Invalid("if is to be an array of conditions");
      }
      if (array.count > limits.transact_operations) {
        return Status(Code::kTooLarge, fmt::format("if has {} conditions, over the limit of {}",
                                                   array.count, limits.transact_operations));
      }
      transaction->conditions.resize(array.count);
      for (Condition& condition : transaction->conditions) {
        status = ReadCondition(TakeItem(&conditions), limits, hash, &condition);
        if (!status.ok()) return status;
      }
    } else {
      status = ReadBranch(
          name.bytes, part, limits, hash,
          seen == &seen_then ? &transaction->then_operations : &transaction->else_operations);
    }
    if (!status.ok()) return status;
  }
  return Status();
}

}  // namespace entrepot
