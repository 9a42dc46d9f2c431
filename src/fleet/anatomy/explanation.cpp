#include "hdap/fleet/explanation.hpp"

#include "fleet/anatomy/log_ratios.hpp"
#include "hdap/core/random.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

namespace hdap::fleet {
namespace {

constexpr std::size_t most_devices = 5'000;
constexpr double most_operations = 5e9;
constexpr std::size_t permutations = 499;
constexpr std::size_t intervals = 8;

/// Devices in groups.
struct Grouping {
    std::string name;
    bool numeric = false;
    std::vector<Eigen::Index> devices;  ///< that know it
    std::vector<Eigen::Index> group_of; ///< [of devices]
    std::size_t groups = 0;
};

bool can_explain(const Grouping& grouping) {
    return grouping.groups >= 2 && 2 * grouping.groups <= grouping.devices.size() &&
           grouping.devices.size() >= fewest_explained_devices;
}

Grouping grouping_of(const DeviceLabel& label, std::span<const std::size_t> sample) {
    Grouping grouping{.name = label.name, .numeric = false, .devices = {}, .group_of = {}};
    std::map<std::string, Eigen::Index> groups;
    for (std::size_t i = 0; i < sample.size(); ++i) {
        const std::string& value = label.values[sample[i]];
        if (value.empty()) continue;
        const auto next = static_cast<Eigen::Index>(groups.size());
        grouping.devices.push_back(static_cast<Eigen::Index>(i));
        grouping.group_of.push_back(groups.emplace(value, next).first->second);
    }
    grouping.groups = groups.size();
    return grouping;
}

/// Where intervals begin: at the values themselves where these are few.
std::vector<double> interval_starts(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    std::vector<double> distinct = values;
    distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
    if (distinct.size() <= intervals) return distinct;
    std::vector<double> starts;
    for (std::size_t k = 0; k < intervals; ++k)
        starts.push_back(values[k * values.size() / intervals]);
    starts.erase(std::unique(starts.begin(), starts.end()), starts.end());
    return starts;
}

Grouping grouping_of(const DeviceAttribute& attribute, std::span<const std::size_t> sample) {
    Grouping grouping{.name = attribute.name, .numeric = true, .devices = {}, .group_of = {}};
    std::vector<double> values;
    for (std::size_t i = 0; i < sample.size(); ++i) {
        if (std::isnan(attribute.values[sample[i]])) continue;
        grouping.devices.push_back(static_cast<Eigen::Index>(i));
        values.push_back(attribute.values[sample[i]]);
    }
    const std::vector<double> starts = interval_starts(values);
    for (const double value : values)
        grouping.group_of.push_back(std::upper_bound(starts.begin(), starts.end(), value) -
                                    starts.begin() - 1);
    grouping.groups = starts.size();
    return grouping;
}

std::vector<Grouping> groupings_of(const Fleet& fleet, std::span<const std::size_t> sample) {
    std::vector<Grouping> all;
    for (const DeviceLabel& label : fleet.labels)
        all.push_back(grouping_of(label, sample));
    for (const DeviceAttribute& attribute : fleet.attributes)
        all.push_back(grouping_of(attribute, sample));
    std::erase_if(all, [](const Grouping& grouping) { return !can_explain(grouping); });
    return all;
}

/// Shares of speed and shape.
using Shares = std::array<double, 2>;

double omega_squared(double between, double all, double groups, double devices) {
    const double within = (all - between) / (devices - groups);
    const double share = (between - (groups - 1.0) * within) / (all + within);
    return all > 0.0 && !std::isnan(share) ? share : 0.0;
}

/// `traits`: [device] its speed, then its shape. Device i has those of `order`[i].
Shares shares_of(const Grouping& grouping, const LogTable& traits,
                 const std::vector<std::size_t>& order) {
    const auto groups = static_cast<Eigen::Index>(grouping.groups);
    LogTable sums = LogTable::Zero(groups, traits.cols());
    Eigen::ArrayXd sizes = Eigen::ArrayXd::Zero(groups);
    Eigen::RowVectorXd squares = Eigen::RowVectorXd::Zero(traits.cols());
    for (std::size_t i = 0; i < grouping.devices.size(); ++i) {
        const auto from = order[static_cast<std::size_t>(grouping.devices[i])];
        const auto row = traits.row(static_cast<Eigen::Index>(from));
        sums.row(grouping.group_of[i]) += row;
        squares += row.cwiseAbs2();
        sizes(grouping.group_of[i]) += 1.0;
    }
    const auto devices = static_cast<double>(grouping.devices.size());
    const Eigen::RowVectorXd of_mean = sums.colwise().sum().cwiseAbs2() / devices;
    const Eigen::RowVectorXd between =
        (sums.array().square().colwise() / sizes.max(1.0)).colwise().sum().matrix() - of_mean;
    const Eigen::RowVectorXd all = squares - of_mean;
    const auto rest = traits.cols() - 1;
    const auto count = static_cast<double>(grouping.groups);
    return {omega_squared(between(0), all(0), count, devices),
            omega_squared(between.tail(rest).sum(), all.tail(rest).sum(), count, devices)};
}

/// What chance brings: [permutation][grouping].
std::vector<std::vector<Shares>> shares_by_chance(const std::vector<Grouping>& groupings,
                                                  const LogTable& traits) {
    std::vector<std::vector<Shares>> chance(permutations);
#pragma omp parallel for schedule(dynamic) if (traits.size() > worth_threads)
    for (std::size_t p = 0; p < permutations; ++p) {
        core::RandomStream random(0, core::StreamId::label_permutation,
                                  static_cast<std::uint32_t>(p));
        const auto order = random.permutation(static_cast<std::size_t>(traits.rows()));
        for (const Grouping& grouping : groupings)
            chance[p].push_back(shares_of(grouping, traits, order));
    }
    return chance;
}

/// How far a share is above what chance brings, in standard deviations of that.
struct Standard {
    double mean = 0.0;
    double deviation = 0.0;

    [[nodiscard]] double of(double share) const {
        return deviation > 0.0 ? (share - mean) / deviation : 0.0;
    }
};

Standard standard_of(const std::vector<std::vector<Shares>>& chance, std::size_t grouping,
                     std::size_t which) {
    const auto count = static_cast<double>(chance.size());
    Standard standard;
    for (const auto& shares : chance)
        standard.mean += shares[grouping][which] / count;
    for (const auto& shares : chance)
        standard.deviation +=
            std::pow(shares[grouping][which] - standard.mean, 2.0) / (count - 1.0);
    standard.deviation = std::sqrt(standard.deviation);
    return standard;
}

/// [grouping][speed, shape] how often chance alone is as good.
std::vector<Shares> probabilities(const std::vector<Shares>& observed,
                                  const std::vector<std::vector<Shares>>& chance) {
    std::vector<double> largest(chance.size(), -std::numeric_limits<double>::infinity());
    std::vector<Shares> standardised(observed.size());
    for (std::size_t g = 0; g < observed.size(); ++g)
        for (std::size_t which = 0; which < 2; ++which) {
            const Standard standard = standard_of(chance, g, which);
            standardised[g][which] = standard.of(observed[g][which]);
            for (std::size_t p = 0; p < chance.size(); ++p)
                largest[p] = std::max(largest[p], standard.of(chance[p][g][which]));
        }
    std::vector<Shares> result(observed.size());
    for (std::size_t g = 0; g < observed.size(); ++g)
        for (std::size_t which = 0; which < 2; ++which) {
            const auto as_good = std::count_if(largest.begin(), largest.end(), [&](double value) {
                return value >= standardised[g][which];
            });
            result[g][which] =
                (1.0 + static_cast<double>(as_good)) / (1.0 + static_cast<double>(chance.size()));
        }
    return result;
}

LogTable traits_of(const LogTable& table) {
    const Eigen::VectorXd speed = speeds(table);
    const LogTable shape = shapes(table, speed);
    LogTable traits(table.rows(), table.cols() + 1);
    traits.col(0) = speed;
    traits.rightCols(table.cols()) = shape.array().isNaN().select(0.0, shape.array());
    return traits;
}

bool goes_before(const Explanation& a, const Explanation& b) {
    const auto key = [](const Explanation& of) {
        const double speed = of.explains_speed() ? of.speed : 0.0;
        const double shape = of.explains_shape() ? of.shape : 0.0;
        return std::pair(std::max(speed, shape), std::max(of.speed, of.shape));
    };
    return key(a) > key(b);
}

} // namespace

std::vector<Explanation> explanations(const Fleet& fleet) {
    const auto known = static_cast<double>(fleet.labels.size() + fleet.attributes.size());
    if (known == 0.0) return {};
    const double of_device =
        known * static_cast<double>(permutations) * static_cast<double>(fleet.benchmarks() + 1);
    const double most = std::min(static_cast<double>(most_devices), most_operations / of_device);
    const auto sample = evenly_spaced(fleet.devices(), static_cast<std::size_t>(most));
    const std::vector<Grouping> groupings = groupings_of(fleet, sample);
    if (groupings.empty()) return {};
    const LogTable traits = traits_of(log_ratios(fleet, sample));
    std::vector<std::size_t> as_they_are(sample.size());
    std::iota(as_they_are.begin(), as_they_are.end(), std::size_t{0});
    std::vector<Shares> observed;
    observed.reserve(groupings.size());
    for (const Grouping& grouping : groupings)
        observed.push_back(shares_of(grouping, traits, as_they_are));
    const auto p = probabilities(observed, shares_by_chance(groupings, traits));
    std::vector<Explanation> result;
    for (std::size_t g = 0; g < groupings.size(); ++g)
        result.push_back({.name = groupings[g].name,
                          .numeric = groupings[g].numeric,
                          .devices = groupings[g].devices.size(),
                          .groups = groupings[g].groups,
                          .speed = std::clamp(observed[g][0], 0.0, 1.0),
                          .shape = std::clamp(observed[g][1], 0.0, 1.0),
                          .speed_p = p[g][0],
                          .shape_p = p[g][1]});
    std::stable_sort(result.begin(), result.end(), goes_before);
    return result;
}

} // namespace hdap::fleet
