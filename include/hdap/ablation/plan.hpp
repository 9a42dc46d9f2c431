#pragma once

#include "hdap/study/settings.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace hdap::ablation {

/// One study of an ablation.
struct Cell {
    std::string id;                     ///< 12 hexadecimal digits: a hash of its resolved settings
    std::vector<std::string> overrides; ///< "key=value", one per axis, in the order of the axes
};

/// A grid of studies: a base configuration and axes along which settings vary.
struct Plan {
    std::string name;
    std::filesystem::path base;          ///< the configuration that every cell begins with
    std::vector<std::string> axis_names; ///< the settings' keys
    std::vector<Cell> cells;             ///< the last axis varies fastest
};

/// The most cells that a plan may have: a slip of the pen must not fill a file system.
inline constexpr std::size_t most_cells = 100'000;

/// Reads a plan:
///
///     [ablation]
///     name = "population"
///     base = "../configs/quickstart.toml"          # relative to the plan's folder
///     axes = ["search.population = 16 | 32", "study.seed = 1 | 2 | 3"]
///
/// A cell's id depends on its settings alone, so cells keep their ids, and their results, when
/// axes grow. Every cell's settings are checked.
/// Throws ConfigError: a value out of range, two cells of equal settings, too many cells.
Plan read_plan(const std::filesystem::path& file);

/// The settings of one cell.
study::Settings cell_settings(const Plan& plan, const Cell& cell);

/// The manifest as CSV (RFC 4180): id, then one column per axis.
std::string manifest_csv(const Plan& plan);

} // namespace hdap::ablation
