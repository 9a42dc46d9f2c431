#include "fleet_regret.hpp"

#include "stage_table.hpp"

#include <iterator>
#include <utility>

namespace hdap::study {

std::vector<search::ObjectiveRegret>
fleet_regrets(const StudyRun& run, const fleet::Profile& profile, const std::string& kind) {
    if (profile.clusters < 2 || profile.candidates() < search::fewest_for_regret) return {};
    const auto distribution =
        fleet::read_distribution(open_stage(run.output(Stage::clusters), fleet::clusters_schema));
    surrogate::SurrogateParameters parameters = run.settings().surrogate;
    parameters.kind = kind;
    const auto regrets = [&](const fleet::Profile& of, std::vector<search::Metric> objectives) {
        return search::regrets_of({.network = predicted_network(run),
                                   .fleet = distribution,
                                   .profile = of,
                                   .surrogate = parameters,
                                   .objectives = std::move(objectives),
                                   .seed = static_cast<std::uint64_t>(run.settings().seed),
                                   .threads = run.job.threads});
    };
    const search::Metric mean = search::parse_metric("latency.mean");
    auto all = regrets(profile, {mean, search::parse_metric("latency.p95"),
                                 search::parse_metric("latency.worst_cluster")});
    constexpr auto sustained = fleet::Quantity::sustained_latency;
    if (!profile.others.contains(sustained)) return all;
    auto of_sustained = regrets(fleet::profile_of_quantity(profile, sustained), {mean});
    of_sustained.front().objective = fleet::row_of(sustained).metric;
    all.push_back(std::move(of_sustained.front()));
    return all;
}

} // namespace hdap::study
