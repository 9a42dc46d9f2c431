#include "hdap/core/error.hpp"
#include "hdap/search/regret.hpp"

#include <fmt/core.h>

#include <cmath>
#include <limits>
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

/// Throws DataError for a name of no kind.
ViewKind kind_of(const std::string& name, const std::string& file) {
    for (const ViewKind kind : {ViewKind::one_device, ViewKind::largest_clusters,
                                ViewKind::equal_weights, ViewKind::all_clusters})
        if (name == name_of(kind)) return kind;
    throw core::DataError(fmt::format("{}: {}view: '{}' is no view of a fleet", file, group, name));
}

/// The views of a file, without their numbers.
std::vector<ViewRegret> read_views(const storage::Hdf5Reader& file) {
    const auto names = file.read_strings(group + "view");
    const auto clusters = file.read<std::int64_t>(group + "clusters", {names.size()});
    std::vector<ViewRegret> views;
    for (std::size_t v = 0; v < names.size(); ++v) {
        if (clusters[v] < 1 || clusters[v] > std::numeric_limits<std::int32_t>::max())
            throw core::DataError(fmt::format("{}: {}clusters: a view of {} clusters", file.name(),
                                              group, clusters[v]));
        views.push_back({.kind = kind_of(names[v], file.name()),
                         .clusters = static_cast<std::size_t>(clusters[v]),
                         .regret = {},
                         .worst_draw = {}});
    }
    return views;
}

} // namespace

void write_regrets(storage::Hdf5Writer& file, const std::vector<ObjectiveRegret>& regrets) {
    if (regrets.empty()) return;
    std::vector<std::string> objectives;
    std::vector<std::string> views;
    std::vector<std::int64_t> clusters;
    for (const ViewRegret& view : regrets.front().views) {
        views.emplace_back(name_of(view.kind));
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
    const std::vector<ViewRegret> views = read_views(file);
    if (objectives.empty())
        throw core::DataError(
            fmt::format("{}: {}objective: 0 objectives, expected 1 or more", file.name(), group));
    if (views.empty() || views.front().kind != ViewKind::one_device ||
        views.back().kind != ViewKind::all_clusters)
        throw core::DataError(
            fmt::format("{}: {}view: views begin with one_device and end with all_clusters",
                        file.name(), group));
    std::vector<ObjectiveRegret> regrets;
    for (const std::string& objective : objectives)
        regrets.push_back({objective, views});
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
