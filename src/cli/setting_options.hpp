#pragma once

#include "hdap/core/settings.hpp"

#include <CLI/CLI.hpp>

#include <vector>

namespace hdap::cli {

/// An option for each setting, with its comment, its range or choices, and its value now as the
/// default: "min_points" becomes --min-points; a boolean "augment" becomes --augment and
/// --no-augment. What the settings point to must outlive the parsing of the command line.
void add_setting_options(CLI::App& command, const std::vector<core::Setting>& settings);

} // namespace hdap::cli
