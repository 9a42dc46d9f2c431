#include "grouping.hpp"

#include "baselines.hpp"
#include "covering.hpp"
#include "dbscan_grouping.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/unknown_name.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>
#include <numeric>
#include <utility>

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

/// The groups with devices, the largest first.
std::vector<std::size_t> groups_by_size(const Grouping& grouping) {
    std::vector<std::size_t> size(grouping.groups, 0);
    for (const std::int32_t group : grouping.group_of_device)
        if (group >= 0) ++size[static_cast<std::size_t>(group)];
    std::vector<std::size_t> order(grouping.groups);
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::erase_if(order, [&](std::size_t group) { return size[group] == 0; });
    std::ranges::stable_sort(order, std::ranges::greater{},
                             [&](std::size_t group) { return size[group]; });
    return order;
}

/// The values of these groups; none where there are none.
template <class T>
std::vector<T> in_order(std::vector<T>& of_group, const std::vector<std::size_t>& order) {
    std::vector<T> ordered;
    if (of_group.empty()) return ordered;
    for (const std::size_t group : order)
        ordered.push_back(std::move(of_group[group]));
    return ordered;
}

} // namespace

void number_by_size(Grouping& grouping) {
    const std::vector<std::size_t> order = groups_by_size(grouping);
    std::vector<std::int32_t> number(grouping.groups, -1);
    for (std::size_t place = 0; place < order.size(); ++place)
        number[order[place]] = static_cast<std::int32_t>(place);
    for (auto* groups : {&grouping.group_of_device, &grouping.nearest_group})
        for (std::int32_t& group : *groups)
            if (group >= 0) group = number[static_cast<std::size_t>(group)];
    grouping.groups = order.size();
    grouping.representatives = in_order(grouping.representatives, order);
    grouping.former = in_order(grouping.former, order);
    grouping.level = in_order(grouping.level, order);
}

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
