#include "hdap/ablation/plan.hpp"

#include "hdap/core/csv.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/hash.hpp"
#include "hdap/core/settings.hpp"

#include <fstream>
#include <iterator>
#include <set>

namespace hdap::ablation {
namespace {

namespace fs = std::filesystem;

struct PlanFile {
    std::string name = "ablation";
    std::string base;
    std::vector<std::string> axes;
};

/// One axis: a key and the values that it takes.
struct Axis {
    std::string key;
    std::vector<std::string> values;
};

std::string trimmed(const std::string& text) {
    const auto first = text.find_first_not_of(" \t");
    if (first == std::string::npos) return "";
    return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::string read_text(const fs::path& file) {
    std::ifstream stream(file, std::ios::binary);
    if (!stream || fs::is_directory(file))
        throw core::ConfigError("cannot read the plan " + file.string() +
                                ": no such file, or not readable");
    return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

PlanFile read_plan_file(const fs::path& file) {
    PlanFile plan;
    core::load_settings(read_text(file), file.string(), {}, [&](core::SettingVisitor& visitor) {
        visitor.section("ablation", "A grid of studies");
        visitor.text("name", plan.name, {}, "Names the folder of its studies");
        visitor.text("base", plan.base, {}, "Configuration that every cell begins with");
        visitor.text_list("axes", plan.axes, "\"KEY = VALUE | VALUE …\"");
    });
    if (plan.base.empty()) throw core::ConfigError(file.string() + ": ablation.base is missing");
    if (plan.axes.empty()) throw core::ConfigError(file.string() + ": ablation.axes is empty");
    return plan;
}

Axis parse_axis(const std::string& text, const fs::path& file) {
    const auto fail = [&](const std::string& what) {
        throw core::ConfigError(file.string() + ": ablation.axes: '" + text + "' " + what +
                                "; expected \"KEY = VALUE | VALUE …\"");
    };
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos) fail("has no '='");
    Axis axis{.key = trimmed(text.substr(0, equals)), .values = {}};
    std::string rest = text.substr(equals + 1);
    for (std::size_t bar = rest.find('|');; bar = rest.find('|')) {
        axis.values.push_back(trimmed(rest.substr(0, bar)));
        if (axis.key.empty() || axis.values.back().empty()) fail("has an empty part");
        if (bar == std::string::npos) return axis;
        rest = rest.substr(bar + 1);
    }
}

std::size_t cell_count(const std::vector<Axis>& axes, const fs::path& file) {
    std::size_t count = 1;
    for (const Axis& axis : axes) {
        count *= axis.values.size();
        if (count > most_cells)
            throw core::ConfigError(file.string() + ": the axes span more than " +
                                    std::to_string(most_cells) + " cells; shorten them");
    }
    return count;
}

/// The overrides of cell `index` of the grid.
std::vector<std::string> overrides_of(const std::vector<Axis>& axes, std::size_t index) {
    std::vector<std::string> overrides(axes.size());
    for (std::size_t a = axes.size(); a-- > 0;) {
        overrides[a] = axes[a].key + "=" + axes[a].values[index % axes[a].values.size()];
        index /= axes[a].values.size();
    }
    return overrides;
}

} // namespace

study::Settings cell_settings(const Plan& plan, const Cell& cell) {
    return study::load_settings_file(plan.base, cell.overrides);
}

Plan read_plan(const fs::path& file) {
    const PlanFile text = read_plan_file(file);
    Plan plan{.name = text.name,
              .base = fs::absolute(file).parent_path() / text.base,
              .axis_names = {},
              .cells = {},
              .comparison = {}};
    std::vector<Axis> axes;
    for (const std::string& axis : text.axes) {
        axes.push_back(parse_axis(axis, file));
        plan.axis_names.push_back(axes.back().key);
    }
    std::set<std::string> ids;
    const std::size_t count = cell_count(axes, file);
    for (std::size_t i = 0; i < count; ++i) {
        Cell cell{.id = "", .labels = {}, .overrides = overrides_of(axes, i)};
        for (const std::string& override_text : cell.overrides)
            cell.labels.push_back(override_text.substr(override_text.find('=') + 1));
        const auto lines = study::settings_lines(cell_settings(plan, cell), {""});
        cell.id = core::sha256_hex(std::string_view(lines)).substr(0, 12);
        if (!ids.insert(cell.id).second)
            throw core::ConfigError(file.string() + ": two cells have equal settings: " +
                                    cell.overrides.back() + " occurs twice, or changes nothing");
        plan.cells.push_back(std::move(cell));
    }
    return plan;
}

std::string manifest_csv(const Plan& plan) {
    std::string text = "id";
    for (const std::string& name : plan.axis_names)
        text += "," + core::csv_field(name);
    text += "\n";
    for (const Cell& cell : plan.cells) {
        text += cell.id;
        for (const std::string& override_text : cell.overrides)
            text += "," + core::csv_field(override_text.substr(override_text.find('=') + 1));
        text += "\n";
    }
    return text;
}

} // namespace hdap::ablation
