#include "grouping.hpp"

#include "baselines.hpp"
#include "covering.hpp"
#include "dbscan_grouping.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/unknown_name.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace hdap::fleet {
namespace {

/// Every method, the standard one first. Another one is a row here.
constexpr std::array methods{
    GroupingMethod{"covering", "few groups, of devices within a radius of their representative",
                   &group_by_covering, SignatureMetric::shape},
    GroupingMethod{"dbscan", "dense groups, as published", &group_by_density,
                   SignatureMetric::level},
    GroupingMethod{"single_device", "one group, for which one device stands: a baseline",
                   &group_for_single_device, SignatureMetric::shape},
    GroupingMethod{"whole_fleet", "one group: a baseline", &group_as_whole, SignatureMetric::shape},
    GroupingMethod{"per_device", "every device for itself: what groups are held against",
                   &group_per_device, SignatureMetric::shape},
};

} // namespace

const GroupingMethod& grouping_method(const std::string& name) {
    const auto found = std::ranges::find(methods, std::string_view(name), &GroupingMethod::name);
    if (found != methods.end()) return *found;
    throw core::ConfigError(core::unknown_name("clusters.method", name, grouping_method_names()));
}

std::vector<std::string> grouping_method_names() {
    std::vector<std::string> names;
    for (const GroupingMethod& method : methods)
        names.emplace_back(method.name);
    return names;
}

std::string grouping_methods_text() {
    std::string text;
    for (const GroupingMethod& method : methods)
        text += fmt::format("{}{}: {}", text.empty() ? "" : "; ", method.name, method.comment);
    return text;
}

} // namespace hdap::fleet
