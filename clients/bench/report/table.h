// The document of a run for people: a table, and what there is to say beneath it.
//
// Thread safety: pure functions.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace entrepot::bench {

// "clients=10 · background": what tells one row from the others.
std::string RowLabel(const nlohmann::json& row);

// "812 ns", "1.25 ms": three digits that count.
std::string FormatDuration(double nanoseconds);

// One line a row, then notes: void rows, errors by name, wrong answers.
std::string FormatTable(const nlohmann::json& document);

// Each row of `now` beside the row of the same label in `before`, with the change in per cent.
std::string FormatComparison(const nlohmann::json& before, const nlohmann::json& now);

}  // namespace entrepot::bench
