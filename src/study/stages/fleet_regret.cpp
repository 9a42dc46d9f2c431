#include "fleet_regret.hpp"

#include "stage_table.hpp"

#include <iterator>
#include <utility>

namespace hdap::study {

std::vector<search::ObjectiveRegret> fleet_regrets(const StudyRun& run,
                                                   const fleet::Profile& profile) {
    if (profile.clusters < 2 || profile.candidates() < search::fewest_for_regret) return {};
    const auto distribution =
        fleet::read_distribution(open_stage(run.output(Stage::clusters), fleet::clusters_schema));
    const auto regrets = [&](const fleet::Profile& of, std::vector<search::Metric> objectives) {
        return search::regrets_of({.space = run.own().space,
                                   .fleet = distribution,
                                   .profile = of,
                                   .surrogate = run.settings().surrogate,
                                   .objectives = std::move(objectives),
                                   .seed = static_cast<std::uint64_t>(run.settings().seed),
                                   .threads = run.job.threads});
    };
    const search::Metric mean = search::parse_metric("latency.mean");
    auto all = regrets(profile, {mean, search::parse_metric("latency.p95"),
                                 search::parse_metric("latency.worst_cluster")});
    if (profile.sustained_ms.empty()) return all;
    auto sustained = regrets(fleet::sustained_profile(profile), {mean});
    sustained.front().objective = "latency.sustained";
    all.push_back(std::move(sustained.front()));
    return all;
}

} // namespace hdap::study
