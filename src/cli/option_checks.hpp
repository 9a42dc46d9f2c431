#pragma once

#include "hdap/fleet/latency_unit.hpp"

#include <CLI/CLI.hpp>

#include <string>
#include <vector>

namespace hdap::cli {

/// Accepts finite numbers in [low, high]. (CLI::Range lets not-a-number pass.)
CLI::Validator within(double low, double high);

/// "us" as a unit. Throws UsageError for another text.
fleet::LatencyUnit unit_option(const std::string& text);

/// Throws UsageError unless `file`, which `option` names, can become a file without harm: its
/// folder must be there, it must not be a folder itself, and none of `inputs`, which writing it
/// would destroy. Inputs that are empty or not there do not count.
void check_output_file(const std::string& option, const std::string& file,
                       const std::vector<std::string>& inputs);

} // namespace hdap::cli
