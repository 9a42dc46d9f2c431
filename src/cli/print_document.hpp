#pragma once

#include <nlohmann/json.hpp>

namespace hdap::cli {

/// Prints JSON to stdout. What is not UTF-8 in its texts, as names of files need not be, becomes
/// U+FFFD.
void print_document(const nlohmann::ordered_json& document);

} // namespace hdap::cli
