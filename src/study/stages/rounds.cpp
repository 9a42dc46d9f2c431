#include "rounds.hpp"

#include "hdap/core/text.hpp"
#include "hdap/search/metrics.hpp"
#include "stage_table.hpp"

#include <fmt/format.h>

namespace hdap::study {
namespace {

using search::CandidateFacts;
using search::Constraint;
using search::Metric;

/// The smallest network after `rounds` rounds.
network::Genome smallest_after(const StudyInputs& inputs, std::int64_t rounds) {
    const double max_step = inputs.request.settings.search.parameters.max_step;
    network::Genome genome = inputs.network.space.unpruned();
    for (std::int64_t round = 0; round < rounds; ++round)
        genome = inputs.network.space.step_below(genome, max_step);
    return genome;
}

/// What follows from the costs of a network.
CandidateFacts costs_of(const StudyInputs& inputs, const network::Genome& genome) {
    return {.costs = inputs.network.costs.total(genome), .cluster_latency_ms = {}};
}

/// Throws InfeasibleError when `least`, the value of the smallest network, misses the target.
void refuse_if_missed(const StudyInputs& inputs, const Constraint& target, double least,
                      double unpruned) {
    if (search::violation(target, least, unpruned) <= 0.0) return;
    const Settings& settings = inputs.request.settings;
    throw core::InfeasibleError(fmt::format(
        "study.target '{}' is out of reach: the smallest network of {} has {} ({}x of the unpruned "
        "network's); raise study.rounds or search.max_step = {}, lower network.min_keep = {}, or "
        "aim at {}x",
        target.text, core::counted(settings.rounds, "round"), core::significant(least),
        core::significant(least / unpruned), core::shortest(settings.search.parameters.max_step),
        core::shortest(settings.network.space.min_keep), core::significant(least / unpruned, 3)));
}

void refuse_constraint_of_first_round(const StudyInputs& inputs, const Constraint& constraint) {
    const fleet::FleetDistribution no_fleet;
    const CandidateFacts unpruned = costs_of(inputs, inputs.network.space.unpruned());
    const CandidateFacts smallest = costs_of(inputs, smallest_after(inputs, 1));
    const double least = constraint.metric.value(smallest, unpruned, no_fleet);
    const double whole = constraint.metric.value(unpruned, unpruned, no_fleet);
    if (search::violation(constraint, least, whole) <= 0.0) return;
    throw core::InfeasibleError(fmt::format(
        "constraint '{}' cannot be met in the first of {} rounds, whose smallest network has {} "
        "({}x of the unpruned network's): constraints hold in every round; what the last one is to "
        "reach is study.target",
        constraint.text, inputs.request.settings.rounds, core::significant(least),
        core::significant(least / whole)));
}

/// The metric of an entry of the log.
double value_of(const StudyRun& run, std::size_t entry, const Metric& metric) {
    return metric.value(search::facts_of(*run.problem, run.found.log[entry]), *run.found.reference,
                        run.problem->fleet);
}

bool meets(const StudyRun& run, std::size_t entry, const Constraint& target) {
    const double unpruned =
        target.metric.value(*run.found.reference, *run.found.reference, run.problem->fleet);
    return search::violation(target, value_of(run, entry, target.metric), unpruned) <= 0.0;
}

/// "; the round started at an accuracy of 71.2 %"
std::string accuracy_of_start(const StudyRun& run) {
    return fmt::format("; the round started at an accuracy of {} %",
                       core::significant(100.0 * run.found.log[0].accuracy));
}

} // namespace

std::filesystem::path StudyRun::file(const std::string& name) const {
    return round_folder(inputs.request.run_directory, settings(), round) / name;
}

std::filesystem::path StudyRun::output(Stage stage) const {
    const std::string name(row_of(stage).file);
    return is_of_each_round(settings(), stage) ? file(name) : inputs.request.run_directory / name;
}

surrogate::PredictedNetwork predicted_network(const StudyRun& run) {
    return {run.own().space, run.own().costs, run.settings().fleet.batch};
}

std::filesystem::path round_folder(const std::filesystem::path& run_directory,
                                   const Settings& settings, std::int64_t round) {
    return settings.rounds == 1 ? run_directory : run_directory / round_name(round);
}

bool is_of_each_round(const Settings& settings, Stage stage) {
    if (stage == Stage::profile || stage == Stage::surrogates) return settings.profile.every_round;
    return stage >= Stage::search;
}

std::string round_name(std::int64_t round) {
    return fmt::format("round-{:02}", round);
}

std::uint64_t round_seed(const Settings& settings, std::int64_t round) {
    // An odd number far from small ones, so that no round of a study has the seed of another study.
    constexpr std::uint64_t apart = 0x9E3779B97F4A7C15;
    return static_cast<std::uint64_t>(settings.seed) +
           apart * static_cast<std::uint64_t>(round - 1);
}

network::SearchSpace round_space(const StudyInputs& inputs, const network::Prunable& start) {
    return start.space.from(inputs.network.space.step_below(
        start.space.unpruned(), inputs.request.settings.search.parameters.max_step));
}

void refuse_unreachable(const StudyInputs& inputs) {
    const Settings& settings = inputs.request.settings;
    if (settings.rounds == 1) return;
    for (const Constraint& constraint : goal_of(settings).constraints)
        if (constraint.metric.follows_from_costs())
            refuse_constraint_of_first_round(inputs, constraint);
    const auto target = target_of(settings);
    if (!target || !target->metric.follows_from_costs()) return;
    const fleet::FleetDistribution no_fleet;
    const CandidateFacts unpruned = costs_of(inputs, inputs.network.space.unpruned());
    const CandidateFacts smallest = costs_of(inputs, smallest_after(inputs, settings.rounds));
    refuse_if_missed(inputs, *target, target->metric.value(smallest, unpruned, no_fleet),
                     target->metric.value(unpruned, unpruned, no_fleet));
}

void refuse_unreachable_target(const StudyRun& run) {
    const auto target = target_of(run.settings());
    if (!target || run.round > 1 || target->metric.follows_from_costs()) return;
    // Surrogates of one round know nothing of what later ones reach.
    if (run.settings().profile.every_round) return;
    const CandidateFacts unpruned = predicted_facts(*run.problem, run.own().space.unpruned());
    const CandidateFacts smallest =
        predicted_facts(*run.problem, smallest_after(run.inputs, run.settings().rounds));
    refuse_if_missed(run.inputs, *target,
                     target->metric.value(smallest, unpruned, run.problem->fleet),
                     target->metric.value(unpruned, unpruned, run.problem->fleet));
}

std::optional<std::size_t> choose_network(const StudyRun& run) {
    const auto target = target_of(run.settings());
    // Front and tests of `better` are in the order of the first objective, so of equals the first
    // stays.
    std::optional<std::size_t> chosen;
    bool chosen_meets = false;
    for (const std::size_t entry : search::current_front(*run.problem, run.found)) {
        const search::Evaluation& candidate = run.found.log[entry];
        if (candidate.genome == run.space.unpruned()) continue;
        const bool meets_target = target && meets(run, entry, *target);
        bool better = !chosen || (meets_target && !chosen_meets);
        if (chosen && meets_target && chosen_meets)
            better = candidate.accuracy > run.found.log[*chosen].accuracy;
        else if (chosen && target && !meets_target && !chosen_meets)
            better = value_of(run, entry, target->metric) < value_of(run, *chosen, target->metric);
        if (!better) continue;
        chosen = entry;
        chosen_meets = meets_target;
    }
    return chosen;
}

void end_rounds(const StudyRun& run) {
    const Settings& settings = run.settings();
    if (settings.rounds == 1) return;
    if (run.inputs.reported_round < run.round) publish_report(run.inputs);
    const std::string where = fmt::format("round {} of {}", run.round, settings.rounds);
    if (run.end == RoundEnd::target_met) {
        run.job.log.info(fmt::format("{}: the target '{}' is met", where, settings.target));
        return;
    }
    const std::string why =
        run.end == RoundEnd::no_progress
            ? fmt::format("{} chose nothing smaller: no network that search.max_step = {} and "
                          "network.channel_divisor = {} allow meets the constraints{}",
                          where, core::shortest(settings.search.parameters.max_step),
                          settings.network.space.divisor, accuracy_of_start(run))
            : fmt::format("{} was the last one", where);
    if (!settings.target.empty())
        throw core::InfeasibleError(
            fmt::format("the target '{}' was not met: {}. What there is, is in {}", settings.target,
                        why, (run.inputs.request.run_directory / "front.csv").string()));
    if (run.end == RoundEnd::no_progress) run.job.log.warning(why);
}

RoundEnd end_of_round(const StudyRun& run, std::optional<std::size_t> chosen) {
    if (!chosen) return RoundEnd::no_progress;
    const auto target = target_of(run.settings());
    if (target && meets(run, *chosen, *target)) return RoundEnd::target_met;
    return run.round == run.settings().rounds ? RoundEnd::last_round : RoundEnd::goes_on;
}

} // namespace hdap::study
