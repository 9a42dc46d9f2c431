#include "covering.hpp"

#include "fleet/grouping_judge.hpp"
#include "fleet/representatives.hpp"
#include "fleet/sample.hpp"
#include "hdap/core/statistics.hpp"
#include "hdap/fleet/effective_dimension.hpp"
#include "hdap/fleet/variance_split.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <utility>

namespace hdap::fleet {
namespace {

constexpr std::size_t most_covered = 8'000;
constexpr std::size_t most_candidates = 1'000;

/// Of the devices, that may be in no group; and that a group must add, to be worth its
/// measurements.
constexpr double uncovered_share = 0.01;
constexpr double smallest_group_share = 1.0 / 400.0;

/// The radii that are tried: from the widest on, two to each halving.
constexpr double widest_radius = 0.5;
constexpr double narrowest_radius = 0.002;

/// Which of the sample each candidate covers, as bits.
class Cover {
  public:
    Cover(PointView signatures, std::span<const std::int32_t> sample,
          std::span<const std::int32_t> candidates, double squared_radius)
        : words_((sample.size() + 63) / 64), covered_(words_ * candidates.size(), 0) {
#pragma omp parallel for schedule(static)
        for (std::size_t c = 0; c < candidates.size(); ++c)
            for (std::size_t s = 0; s < sample.size(); ++s)
                if (squared_distance(signatures[static_cast<std::size_t>(sample[s])],
                                     signatures[static_cast<std::size_t>(candidates[c])],
                                     signatures.dimension) <= squared_radius)
                    covered_[c * words_ + s / 64] |= std::uint64_t{1} << (s % 64);
    }

    /// How many of `left` a candidate covers.
    [[nodiscard]] std::size_t gain(std::size_t candidate,
                                   const std::vector<std::uint64_t>& left) const {
        std::size_t gain = 0;
        for (std::size_t w = 0; w < words_; ++w)
            gain +=
                static_cast<std::size_t>(std::popcount(covered_[candidate * words_ + w] & left[w]));
        return gain;
    }

    [[nodiscard]] std::size_t candidates() const {
        return covered_.size() / words_;
    }

  private:
    std::size_t words_;
    std::vector<std::uint64_t> covered_; ///< [candidate][word]
};

/// The nearest of the centres, the first of equally near ones.
struct Nearest {
    std::size_t centre = 0;
    double squared_distance = std::numeric_limits<double>::infinity();
};

Nearest nearest_centre(PointView signatures, std::size_t device,
                       std::span<const std::int32_t> centres) {
    Nearest nearest;
    for (std::size_t c = 0; c < centres.size(); ++c) {
        const double distance =
            squared_distance(signatures[device], signatures[static_cast<std::size_t>(centres[c])],
                             signatures.dimension);
        if (distance < nearest.squared_distance) nearest = {c, distance};
    }
    return nearest;
}

/// [device of `devices`] its nearest centre.
std::vector<Nearest> nearest_centres(PointView signatures, std::span<const std::int32_t> devices,
                                     std::span<const std::int32_t> centres) {
    std::vector<Nearest> nearest(devices.size());
#pragma omp parallel for schedule(static)
    for (std::size_t i = 0; i < devices.size(); ++i)
        nearest[i] = nearest_centre(signatures, static_cast<std::size_t>(devices[i]), centres);
    return nearest;
}

/// The same as numbers, −1 beyond a radius.
std::vector<std::int32_t> groups_of(const std::vector<Nearest>& nearest, double squared_radius) {
    std::vector<std::int32_t> groups;
    groups.reserve(nearest.size());
    for (const Nearest& of : nearest)
        groups.push_back(
            of.squared_distance <= squared_radius ? static_cast<std::int32_t>(of.centre) : -1);
    return groups;
}

/// What centres are chosen by.
struct CoverTask {
    PointView signatures;
    std::vector<std::int32_t> sample;     ///< devices that are to be covered
    std::vector<std::int32_t> candidates; ///< devices that may be centres
    std::size_t most = 1;
};

CoverTask cover_task(const GroupingTask& task) {
    const std::vector<std::int32_t> all = numbers_below(task.fleet.devices());
    CoverTask cover{.signatures = task.signatures,
                    .sample = evenly_spaced(all, most_covered),
                    .candidates = {},
                    .most = static_cast<std::size_t>(task.parameters.most_clusters)};
    cover.candidates =
        evenly_spaced(well_measured(cover.sample, measured_benchmarks(task.fleet), most_candidates),
                      most_candidates);
    return cover;
}

/// Each centre moved to the candidate in the middle of its group: a device between two groups would
/// cover more of both, but is like neither.
std::vector<std::int32_t> moved_inwards(const CoverTask& task,
                                        const std::vector<std::int32_t>& centres,
                                        double squared_radius) {
    const auto group =
        groups_of(nearest_centres(task.signatures, task.sample, centres), squared_radius);
    std::vector<std::vector<std::int32_t>> members(centres.size());
    for (std::size_t s = 0; s < group.size(); ++s)
        if (group[s] >= 0) members[static_cast<std::size_t>(group[s])].push_back(task.sample[s]);
    std::vector<std::int32_t> moved;
    for (std::size_t c = 0; c < centres.size(); ++c)
        moved.push_back(members[c].empty()
                            ? centres[c]
                            : nearest_to(centre_of(task.signatures, members[c]).data(),
                                         task.signatures, task.candidates, 1)
                                  .front());
    return moved;
}

/// What no centre covers of the sample, as bits.
std::vector<std::uint64_t> left_by(const CoverTask& task, const std::vector<std::int32_t>& centres,
                                   double squared_radius) {
    std::vector<std::uint64_t> left((task.sample.size() + 63) / 64, 0);
    const auto group =
        groups_of(nearest_centres(task.signatures, task.sample, centres), squared_radius);
    for (std::size_t s = 0; s < group.size(); ++s)
        if (group[s] < 0) left[s / 64] |= std::uint64_t{1} << (s % 64);
    return left;
}

std::size_t count_of(const std::vector<std::uint64_t>& bits) {
    std::size_t count = 0;
    for (const std::uint64_t word : bits)
        count += static_cast<std::size_t>(std::popcount(word));
    return count;
}

/// The candidate that covers most of `left`, the first of several, and how much.
std::pair<std::size_t, std::size_t> best_candidate(const Cover& cover,
                                                   const std::vector<std::uint64_t>& left) {
    std::pair<std::size_t, std::size_t> best{0, 0};
    for (std::size_t c = 0; c < cover.candidates(); ++c)
        if (const std::size_t gain = cover.gain(c, left); gain > best.second) best = {c, gain};
    return best;
}

std::vector<std::int32_t> centres_within(const CoverTask& task, double squared_radius) {
    const Cover cover(task.signatures, task.sample, task.candidates, squared_radius);
    const auto devices = static_cast<double>(task.sample.size());
    std::vector<std::int32_t> centres;
    while (centres.size() < task.most) {
        const auto left = left_by(task, centres, squared_radius);
        const bool is_enough = static_cast<double>(count_of(left)) <= uncovered_share * devices;
        const auto [best, gain] = best_candidate(cover, left);
        const bool is_worth_it =
            static_cast<double>(gain) >= std::max(1.0, smallest_group_share * devices);
        if (!centres.empty() && (is_enough || !is_worth_it)) break;
        centres.push_back(task.candidates[best]);
        centres = moved_inwards(task, centres, squared_radius);
    }
    return centres;
}

/// Of the devices at the centre of a group, those whose overall speed is the most usual one in it:
/// a throttled device may have the shape of the others, and takes longer to measure.
std::vector<std::int32_t> typical(const GroupingTask& task, const std::vector<double>& mean_log,
                                  const std::vector<std::int32_t>& members,
                                  std::span<const std::int32_t> candidates, std::int32_t centre) {
    const auto wanted = static_cast<std::size_t>(task.parameters.representatives);
    constexpr std::size_t choice = 8; ///< for each that is wanted
    const std::size_t central = std::max(wanted, std::min(choice * wanted, members.size() / 4));
    std::vector<std::int32_t> near = nearest_to(task.signatures[static_cast<std::size_t>(centre)],
                                                task.signatures, candidates, central);
    std::vector<double> speeds;
    for (const std::int32_t device : members)
        speeds.push_back(mean_log[static_cast<std::size_t>(device)]);
    const double usual = core::median(std::move(speeds));
    std::ranges::stable_sort(near, {}, [&](std::int32_t device) {
        return std::abs(mean_log[static_cast<std::size_t>(device)] - usual);
    });
    near.resize(std::min(near.size(), wanted));
    return near;
}

/// [group] who is measured on its behalf; groups without devices are left out.
std::vector<std::vector<std::int32_t>> around(const GroupingTask& task,
                                              const std::vector<std::int32_t>& group_of_device,
                                              const std::vector<std::int32_t>& centres) {
    const auto wanted = static_cast<std::size_t>(task.parameters.representatives);
    const std::vector<std::size_t> measured = measured_benchmarks(task.fleet);
    const auto mean_log = mean_log_latency(task.complete_ms, task.fleet.benchmarks());
    const auto members = members_of(group_of_device, centres.size());
    std::vector<std::vector<std::int32_t>> representatives;
    for (std::size_t k = 0; k < centres.size(); ++k)
        if (!members[k].empty())
            representatives.push_back(typical(task, mean_log, members[k],
                                              well_measured(members[k], measured, wanted),
                                              centres[k]));
    return representatives;
}

double squared(double radius, std::size_t benchmarks) {
    return radius * radius * static_cast<double>(benchmarks);
}

Grouping groups_within(const GroupingTask& task, double radius) {
    const double squared_radius = squared(radius, task.fleet.benchmarks());
    const auto centres = centres_within(cover_task(task), squared_radius);
    const std::vector<std::int32_t> all = numbers_below(task.fleet.devices());
    Grouping grouping;
    grouping.facts.radius = radius;
    grouping.representatives = around(
        task, groups_of(nearest_centres(task.signatures, all, centres), squared_radius), centres);
    grouping.groups = grouping.representatives.size();
    // The radius is around the first representative, whoever that is.
    std::vector<std::int32_t> first;
    for (const auto& devices : grouping.representatives)
        first.push_back(devices.front());
    const auto nearest = nearest_centres(task.signatures, all, first);
    grouping.group_of_device = groups_of(nearest, squared_radius);
    grouping.nearest_group = groups_of(nearest, std::numeric_limits<double>::infinity());
    for (std::size_t k = 0; k < grouping.groups; ++k)
        std::erase_if(grouping.representatives[k], [&](std::int32_t device) {
            return grouping.group_of_device[static_cast<std::size_t>(device)] !=
                   static_cast<std::int32_t>(k);
        });
    number_by_size(grouping);
    return grouping;
}

/// Whether nothing tells devices apart but their speed, for which each has its ratio, and noise.
/// Groups of noise make a fleet's figures as wide as noise makes them, and would be taken for good.
bool is_shape_noise(const GroupingTask& task) {
    if (task.metric != SignatureMetric::shape) return false;
    std::optional<Noise> noise = noise_of_runs(task.fleet);
    // Of two benchmarks either one's own shape would count as noise.
    constexpr std::size_t fewest_benchmarks = 3;
    if (!noise && task.fleet.benchmarks() >= fewest_benchmarks)
        noise = unpredicted_noise(effective_dimension(task.fleet));
    return noise && shape_is_noise(variance_split(task.fleet, *noise));
}

Grouping one_group(const GroupingTask& task) {
    ClusteringParameters one = task.parameters;
    one.most_clusters = 1;
    Grouping grouping = groups_within({.fleet = task.fleet,
                                       .complete_ms = task.complete_ms,
                                       .metric = task.metric,
                                       .signatures = task.signatures,
                                       .parameters = one},
                                      widest_radius);
    grouping.facts.shape_is_noise = true;
    return grouping;
}

/// A radius that was tried, and its errors one by one.
struct Tried {
    RadiusTrial trial;
    std::vector<double> decisive; ///< [held-out benchmark]
};

/// Errors at ever smaller radii, until they are as wanted or cannot become so.
std::vector<Tried> tried_radii(const GroupingTask& task) {
    const GroupingJudge judge(task);
    const CoverTask cover = cover_task(task);
    std::vector<Tried> tried;
    for (double radius = widest_radius; radius >= narrowest_radius; radius *= std::sqrt(0.5)) {
        const auto clusters = static_cast<std::int64_t>(
            centres_within(cover, squared(radius, task.fleet.benchmarks())).size());
        // The same groups make the same errors.
        if (!tried.empty() && clusters == tried.back().trial.clusters) continue;
        ClusteringParameters parameters = task.parameters;
        parameters.radius = radius;
        auto judged = judge.judge(&group_by_covering, parameters);
        if (!judged) break;
        tried.push_back({{radius, clusters, judged->errors}, std::move(judged->decisive)});
        const bool is_enough = decisive_error(judged->errors) <= parameters.error;
        if (is_enough || clusters >= parameters.most_clusters) break;
    }
    return tried;
}

/// The widest radius of an error as wanted; without one, of an error that is not seen to be worse
/// than the smallest. Everywhere where nothing could be tried.
double chosen_radius(const std::vector<Tried>& tried, double wanted_error) {
    if (tried.empty()) return widest_radius;
    const auto error = [](const Tried& of) { return decisive_error(of.trial.errors); };
    const Tried& best = *std::ranges::min_element(tried, {}, error);
    const bool is_reached = error(best) <= wanted_error;
    return std::ranges::find_if(tried,
                                [&](const Tried& of) {
                                    return is_reached ? error(of) <= wanted_error
                                                      : !is_worse(of.decisive, best.decisive);
                                })
        ->trial.radius;
}

} // namespace

Grouping group_by_covering(const GroupingTask& task) {
    if (task.parameters.radius > 0.0) return groups_within(task, task.parameters.radius);
    if (is_shape_noise(task)) return one_group(task);
    const std::vector<Tried> tried = tried_radii(task);
    Grouping grouping = groups_within(task, chosen_radius(tried, task.parameters.error));
    for (const Tried& of : tried)
        grouping.facts.trials.push_back(of.trial);
    return grouping;
}

} // namespace hdap::fleet
