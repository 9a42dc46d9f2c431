#include "hdap/core/error.hpp"
#include "hdap/search/regret.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <string>

namespace hdap::search {
namespace {

const std::string group = "/regret/";

/// The numbers of a view, as data sets.
struct RegretField {
    const char* name;
    double& (*value)(ViewRegret& view);
};

constexpr RegretField fields[] = {
    {"mean", [](ViewRegret& view) -> double& { return view.regret.mean; }},
    {"lower", [](ViewRegret& view) -> double& { return view.regret.interval.lower; }},
    {"upper", [](ViewRegret& view) -> double& { return view.regret.interval.upper; }},
    {"worst_mean", [](ViewRegret& view) -> double& { return view.worst_draw.mean; }},
    {"worst_lower", [](ViewRegret& view) -> double& { return view.worst_draw.interval.lower; }},
    {"worst_upper", [](ViewRegret& view) -> double& { return view.worst_draw.interval.upper; }}};

} // namespace

void write_regrets(storage::Hdf5Writer& file, const std::vector<ObjectiveRegret>& regrets) {
    if (regrets.empty()) return;
    std::vector<std::string> objectives;
    std::vector<std::string> views;
    std::vector<std::int64_t> clusters;
    for (const ViewRegret& view : regrets.front().views) {
        views.push_back(view.view);
        clusters.push_back(static_cast<std::int64_t>(view.clusters));
    }
    for (const ObjectiveRegret& of : regrets)
        objectives.push_back(of.objective);
    file.write_strings(group + "objective", objectives);
    file.write_strings(group + "view", views);
    file.write(group + "clusters", clusters);
    for (const RegretField& field : fields) {
        std::vector<double> values;
        for (ObjectiveRegret of : regrets)
            for (ViewRegret& view : of.views)
                values.push_back(field.value(view));
        file.write(group + field.name, values, {objectives.size(), views.size()});
    }
}

std::vector<ObjectiveRegret> read_regrets(const storage::Hdf5Reader& file) {
    if (!file.contains("/regret")) return {};
    const auto objectives = file.read_strings(group + "objective");
    const auto views = file.read_strings(group + "view");
    const auto clusters = file.read<std::int64_t>(group + "clusters", {views.size()});
    std::vector<ObjectiveRegret> regrets;
    for (const std::string& objective : objectives) {
        ObjectiveRegret& of = regrets.emplace_back(ObjectiveRegret{objective, {}});
        for (std::size_t v = 0; v < views.size(); ++v)
            of.views.push_back(
                {.view = views[v],
                 .clusters = static_cast<std::size_t>(std::max<std::int64_t>(0, clusters[v])),
                 .regret = {},
                 .worst_draw = {}});
    }
    for (const RegretField& field : fields) {
        const std::string path = group + field.name;
        const auto values = file.read<double>(path, {objectives.size(), views.size()});
        for (std::size_t i = 0; i < values.size(); ++i) {
            if (!std::isfinite(values[i]))
                throw core::DataError(
                    fmt::format("{}: {}: the value at {} is {}", file.name(), path, i, values[i]));
            field.value(regrets[i / views.size()].views[i % views.size()]) = values[i];
        }
    }
    return regrets;
}

} // namespace hdap::search
