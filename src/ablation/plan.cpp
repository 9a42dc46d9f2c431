#include "hdap/ablation/plan.hpp"

#include "hdap/core/csv.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/hash.hpp"
#include "hdap/core/text.hpp"
#include "plan_file.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <fstream>
#include <map>

namespace hdap::ablation {
namespace {

namespace fs = std::filesystem;
using Settings = std::vector<PlannedSetting>;

std::string read_text(const fs::path& file) {
    constexpr std::size_t most_bytes = std::size_t{16} << 20U;
    std::ifstream stream(file, std::ios::binary);
    if (!stream || fs::is_directory(file))
        throw core::ConfigError(
            fmt::format("cannot read the plan {}: no such file, or not readable", file.string()));
    std::string text(most_bytes + 1, '\0');
    stream.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(stream.gcount()));
    if (text.size() > most_bytes)
        throw core::ConfigError(file.string() + ": larger than 16 MiB; is it a plan?");
    return text;
}

std::size_t grid_size(const std::vector<Axis>& axes, const fs::path& file) {
    if (axes.empty()) return 0;
    std::size_t count = 1;
    for (const Axis& axis : axes) {
        count *= axis.levels.size();
        if (count > most_cells)
            throw core::ConfigError(fmt::format(
                "{}: the axes span more than {} cells; shorten them", file.string(), most_cells));
    }
    return count;
}

/// A cell before its settings are checked.
struct Draft {
    std::vector<std::string> labels;
    Settings settings; ///< a key occurs once
};

/// Later settings win over earlier ones of the same key.
void add(Settings& settings, const Settings& more) {
    for (const PlannedSetting& setting : more) {
        std::erase_if(settings, [&](const PlannedSetting& s) { return s.key == setting.key; });
        settings.push_back(setting);
    }
}

/// Point `index` of the grid; the last axis varies fastest.
Draft grid_point(const PlanFile& plan, std::size_t index) {
    std::vector<const Level*> levels(plan.axes.size());
    for (std::size_t a = plan.axes.size(); a-- > 0;) {
        const std::vector<Level>& choices = plan.axes[a].levels;
        levels[a] = &choices[index % choices.size()];
        index /= choices.size();
    }
    Draft draft{.labels = {}, .settings = plan.settings};
    for (const Level* level : levels) {
        draft.labels.push_back(level->label);
        add(draft.settings, level->settings);
    }
    return draft;
}

std::vector<Draft> drafts_of(const PlanFile& plan, const fs::path& file) {
    std::vector<Draft> drafts;
    const std::size_t count = grid_size(plan.axes, file);
    drafts.reserve(count + plan.listed.size());
    for (std::size_t i = 0; i < count; ++i)
        drafts.push_back(grid_point(plan, i));
    for (const ListedCell& listed : plan.listed) {
        drafts.push_back({.labels = listed.labels, .settings = plan.settings});
        add(drafts.back().settings, listed.settings);
    }
    return drafts;
}

/// "devices=100, seed=2"
std::string cell_name(const std::vector<std::string>& axes,
                      const std::vector<std::string>& labels) {
    std::vector<std::string> words;
    for (std::size_t a = 0; a < axes.size(); ++a)
        words.push_back(axes[a] + "=" + labels[a]);
    return words.empty() ? "the only one" : core::join(words);
}

/// Turns drafts into cells.
class CellMaker {
  public:
    CellMaker(const PlanFile& plan, const fs::path& file)
        : base_(plan.base), axes_(plan.axis_names), file_(file.string()) {}

    Cell make(const Draft& draft) {
        Cell cell{.id = "", .labels = draft.labels, .overrides = {}};
        for (const PlannedSetting& setting : draft.settings)
            cell.overrides.push_back(setting.key + "=" + setting.value);
        const std::string name = cell_name(axes_, cell.labels);
        cell.id = core::sha256_hex(std::string_view(lines(draft, cell, name))).substr(0, 12);
        const auto [first, is_new] = names_.emplace(cell.id, name);
        if (!is_new)
            throw core::ConfigError(
                fmt::format("{}: cell ({}) has the same settings as cell ({}); remove one of them",
                            file_, name, first->second));
        return cell;
    }

  private:
    std::string lines(const Draft& draft, const Cell& cell, const std::string& name) const {
        try {
            return study::settings_lines(base_.with(cell.overrides));
        } catch (const core::ConfigError& error) {
            throw core::ConfigError(fmt::format("{}{}: cell ({}): {}", file_,
                                                line(draft, error.what()), name, error.what()));
        }
    }

    /// ":7", the line of the setting that a message is about.
    static std::string line(const Draft& draft, const std::string& message) {
        for (const PlannedSetting& setting : draft.settings)
            if (message.starts_with(fmt::format("--set {}={}:", setting.key, setting.value)))
                return ":" + std::to_string(setting.line);
        return "";
    }

    study::BaseSettings base_;
    std::vector<std::string> axes_;
    std::string file_;
    std::map<std::string, std::string> names_; ///< by id
};

/// Whether each label of an axis stands for a fleet of its own.
bool is_over_fleets(const Axis& axis) {
    return std::ranges::all_of(axis.levels, [](const Level& level) {
        return std::ranges::any_of(level.settings, [](const PlannedSetting& setting) {
            return setting.key == "fleet.file" || setting.key == "fleet.recorded.file";
        });
    });
}

/// The axis that is over fleets, where the plan does not name it.
std::string fleet_axis(const PlanFile& plan, const fs::path& file) {
    const Comparison& comparison = plan.comparison;
    if (comparison.fleets == "none") return "";
    if (!comparison.fleets.empty()) return comparison.fleets;
    std::vector<std::string> found;
    for (const Axis& axis : plan.axes)
        if (is_over_fleets(axis) && axis.name != comparison.axis &&
            std::ranges::find(comparison.within, axis.name) == comparison.within.end())
            found.push_back(axis.name);
    if (found.size() > 1)
        throw core::ConfigError(
            fmt::format("{}: ablation: several axes are over fleets ({}); say which one counts "
                        "fleets by fleets = \"{}\", or none",
                        file.string(), core::join(found), found.front()));
    return found.empty() ? "" : found.front();
}

void check_comparison(const Plan& plan, const fs::path& file) {
    const auto axis_index = [&](const std::string& axis) {
        const auto found = std::find(plan.axis_names.begin(), plan.axis_names.end(), axis);
        if (found == plan.axis_names.end())
            throw core::ConfigError(fmt::format(
                "{}: ablation: no axis is named '{}'{}; the axes are {}", file.string(), axis,
                core::did_you_mean(axis, plan.axis_names), core::join(plan.axis_names)));
        return static_cast<std::size_t>(found - plan.axis_names.begin());
    };
    for (const std::string& axis : plan.comparison.within) {
        axis_index(axis);
        if (axis == plan.comparison.axis)
            throw core::ConfigError(fmt::format(
                "{}: ablation.within holds '{}', the axis that is compared", file.string(), axis));
    }
    const std::string& fleets = plan.comparison.fleets;
    if (!fleets.empty()) {
        axis_index(fleets);
        const auto& within = plan.comparison.within;
        if (fleets == plan.comparison.axis || std::ranges::find(within, fleets) != within.end())
            throw core::ConfigError(fmt::format("{}: ablation.fleets = '{}' is the axis that is "
                                                "compared, or one of within",
                                                file.string(), fleets));
    }
    if (plan.comparison.axis.empty()) return;
    const auto labels = labels_of(plan, axis_index(plan.comparison.axis));
    if (std::find(labels.begin(), labels.end(), plan.comparison.baseline) == labels.end())
        throw core::ConfigError(fmt::format(
            "{}: ablation.baseline = '{}' is no label of {}; its labels are {}", file.string(),
            plan.comparison.baseline, plan.comparison.axis, core::join(labels)));
}

} // namespace

Plan parse_plan(const std::string& text, const fs::path& file) {
    const PlanFile parsed = parse_plan_file(text, file);
    Plan plan{.name = parsed.name,
              .base = parsed.base,
              .axis_names = parsed.axis_names,
              .cells = {},
              .comparison = parsed.comparison};
    CellMaker maker(parsed, file);
    plan.comparison.fleets = fleet_axis(parsed, file);
    for (const Draft& draft : drafts_of(parsed, file))
        plan.cells.push_back(maker.make(draft));
    check_comparison(plan, file);
    return plan;
}

Plan read_plan(const fs::path& file) {
    return parse_plan(read_text(file), file);
}

study::Settings cell_settings(const Plan& plan, const Cell& cell) {
    return study::load_settings_file(plan.base, cell.overrides);
}

std::vector<std::string> labels_of(const Plan& plan, std::size_t axis) {
    std::vector<std::string> labels;
    for (const Cell& cell : plan.cells)
        if (std::find(labels.begin(), labels.end(), cell.labels[axis]) == labels.end())
            labels.push_back(cell.labels[axis]);
    return labels;
}

std::string manifest_csv(const Plan& plan) {
    std::string text = "index,id";
    for (const std::string& name : plan.axis_names)
        text += "," + core::csv_field(name);
    text += ",overrides\n";
    for (std::size_t i = 0; i < plan.cells.size(); ++i) {
        const Cell& cell = plan.cells[i];
        text += std::to_string(i + 1) + "," + cell.id;
        for (const std::string& label : cell.labels)
            text += "," + core::csv_field(label);
        text += fmt::format(",{}\n", core::csv_field(core::join(cell.overrides, " ")));
    }
    return text;
}

} // namespace hdap::ablation
