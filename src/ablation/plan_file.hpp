#pragma once

#include "hdap/ablation/plan.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

/// What a plan's text says, before it is spread out to cells; private to the module.
namespace hdap::ablation {

/// One setting that a plan makes.
struct PlannedSetting {
    std::string key;
    std::string value;     ///< TOML
    std::int64_t line = 0; ///< of the plan
    bool operator==(const PlannedSetting&) const = default;
};

/// A point of an axis.
struct Level {
    std::string label;
    std::vector<PlannedSetting> settings;
};

struct Axis {
    std::string name;
    std::vector<Level> levels; ///< at least one; their labels differ
};

/// A cell that is no point of the grid.
struct ListedCell {
    std::vector<std::string> labels; ///< [axis]
    std::vector<PlannedSetting> settings;
};

struct PlanFile {
    std::string name;
    std::filesystem::path base;
    Comparison comparison;
    std::vector<PlannedSetting> settings; ///< of every cell
    std::vector<std::string> axis_names;  ///< of the axes, or of the listed cells without any
    std::vector<Axis> axes;
    std::vector<ListedCell> listed;
};

/// Reads the text of a plan; see read_plan for its format. The comparison is not checked yet.
/// Throws ConfigError with file and line.
PlanFile parse_plan_file(const std::string& text, const std::filesystem::path& file);

} // namespace hdap::ablation
