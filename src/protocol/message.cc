#include "protocol/message.h"

namespace entrepot {

namespace {

constexpr std::array<std::string_view, kMethods> kMethodNames = {
    "unknown", "hello", "ping",     "set",      "get",    "delete",  "increment", "append",
    "prepend", "touch", "get_many", "transact", "find",   "scan",    "count",     "delete_prefix",
    "sync",    "stats", "watch",    "unwatch",  "credit", "changes", "save",      "backup",
};

}  // namespace

std::string_view MethodName(Method method) { return kMethodNames[static_cast<size_t>(method)]; }

Method MethodByName(std::string_view name) {
  // The methods of almost every request first: each comparison is of a constant.
  if (name == "get") return Method::kGet;
  if (name == "set") return Method::kSet;
  for (size_t i = 1; i < kMethods; ++i) {
    if (kMethodNames[i] == name) return static_cast<Method>(i);
  }
  return Method::kUnknown;
}

}  // namespace entrepot
