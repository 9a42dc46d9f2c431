#pragma once

#include "hdap/study/settings.hpp"

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace hdap::ablation {

/// One study of an ablation.
struct Cell {
    std::string id;                     ///< 12 hexadecimal digits: a hash of its resolved settings
    std::vector<std::string> labels;    ///< [axis] what tables show
    std::vector<std::string> overrides; ///< "key=value": all that turns the base into this study
    bool operator==(const Cell&) const = default;
};

/// How the cells are compared with each other once they are complete.
struct Comparison {
    std::string axis;                ///< its labels are compared; empty: nothing is
    std::string baseline;            ///< the label that the others are compared with
    std::vector<std::string> within; ///< axes whose labels are kept apart; the others are pairs
    /// The axis whose labels are fleets, a sample of those that there might be: what is said over
    /// all of them counts a fleet once, however many cells it has. Empty: there is none.
    std::string fleets{};
    bool operator==(const Comparison&) const = default;
};

/// An ablation: a base configuration, and the studies that vary it.
struct Plan {
    std::string name;
    std::filesystem::path base;          ///< the configuration that every cell begins with
    std::vector<std::string> axis_names; ///< in the order of the plan
    std::vector<Cell> cells;             ///< the grid, its last axis fastest; then the list
    Comparison comparison;
};

/// The most cells that a plan may have: a slip of the pen must not fill a file system.
inline constexpr std::size_t most_cells = 100'000;

/// Reads a plan (TOML):
///
///     [ablation]
///     name = "clustering"
///     base = "../configs/quickstart.toml"     # relative to the plan's folder, as all paths
///     compare = "method"                      # an axis; with a baseline, one of its labels
///     baseline = "single"
///     within = ["devices"]                    # optional
///     fleets = "fleet"                        # optional: the axis whose labels are fleets, or
///                                             # none; else the one that sets fleet.file or
///                                             # fleet.recorded.file, unless compared or within
///
///     [settings]                              # of every cell
///     "search.generations" = 20
///
///     [[axis]]                                # axes are crossed
///     name = "devices"                        # optional: the key's last word
///     key = "fleet.synthetic.devices"
///     values = [100, 1000]
///
///     [[axis]]
///     name = "population"
///     keys = ["search.population", "search.generations"]   # set together
///     values = [[16, 32], [32, 16]]
///
///     [[axis]]
///     key = "study.seed"
///     seeds = 5                               # 1 … 5; or { first = 10, count = 5 }
///
///     [[axis]]
///     key = "fleet.file"
///     files = "fleets/*.h5"                   # sorted; at least one must match
///
///     [[axis]]
///     name = "method"
///     [axis.points.single]                    # labels and what they set, in this order
///     "clusters.method" = "single_device"
///     [axis.points.dbscan]
///     "clusters.method" = "dbscan"
///
///     [[cell]]                                # further cells: a label for every axis
///     labels = { devices = "100", population = "huge", seed = "1", file = "a", method = "none" }
///     settings = { "search.population" = 128 }
///
/// `labels = [...]` beside `values`, `seeds` or `files` replaces what tables show of them. Later
/// settings win over earlier ones: those of the plan, of the axes in their order, of the cell.
///
/// A cell's id depends on its settings alone, so cells keep their ids, and their results, when
/// axes grow. Every cell's settings are checked.
/// Throws ConfigError with file, line and what to do: a misspelt key, a value out of its range,
/// two cells of equal settings, too many cells.
Plan read_plan(const std::filesystem::path& file);

/// The same of a text; `file` names it in messages, and paths are relative to its folder.
Plan parse_plan(const std::string& text, const std::filesystem::path& file);

/// The settings of one cell. Throws ConfigError.
study::Settings cell_settings(const Plan& plan, const Cell& cell);

/// The labels of an axis, each once, in the order of the cells.
std::vector<std::string> labels_of(const Plan& plan, std::size_t axis);

/// The cells as CSV (RFC 4180): index (from 1), id, one column per axis, and the overrides,
/// separated by blanks.
std::string manifest_csv(const Plan& plan);

} // namespace hdap::ablation
