// The figures of a program run as one JSON document: docs/benchmarks/schema.json says its form.
//
// Everything shown to people (table, page, comparison, objectives) is made from this document, so
// that a file written earlier can be shown as well as a run that has just ended.
//
// Thread safety: values.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bench/options.h"
#include "bench/run/runner.h"

namespace entrepot::bench {

inline constexpr const char* kSchemaName = "entrepot-bench/1";

// The document without rows.
nlohmann::json MakeDocument(const Options& options);

// Appends a row for each group of `result`. `options` are those of this run, the swept one applied;
// `swept` names the point, for instance {"clients": 10}, or is empty.
void AppendRows(const Options& options, const nlohmann::json& swept, const RunResult& result,
                nlohmann::json* document);

// The file's document. kInvalidArgument when it cannot be read or is of another schema.
Result<nlohmann::json> ReadDocument(const std::string& path);

// Writes `text` to `path`, whole or not at all. ErrnoStatus() when it cannot.
Status WriteTextFile(const std::string& path, const std::string& text);

}  // namespace entrepot::bench
