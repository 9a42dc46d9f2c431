#include "hdap/search/goal.hpp"

#include "hdap/core/error.hpp"
#include "hdap/search/non_dominated_sort.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <limits>

namespace hdap::search {

std::vector<double> Goal::objectives_of(const EvaluationLog& log,
                                        std::span<const std::int32_t> entries) const {
    std::vector<double> values;
    for (const std::int32_t entry : entries)
        for (const Metric& objective : objectives)
            values.push_back(log.value(static_cast<std::size_t>(entry), objective));
    return values;
}

double Goal::violation_of(const EvaluationLog& log, std::size_t entry) const {
    if (log[entry].failed) return std::numeric_limits<double>::infinity();
    double total = 0;
    for (const Constraint& constraint : constraints)
        total += violation(constraint, log.value(entry, constraint.metric),
                           constraint.relative ? log.reference(constraint.metric) : 0.0);
    return total;
}

std::vector<double> Goal::violations_of(const EvaluationLog& log,
                                        std::span<const std::int32_t> entries) const {
    std::vector<double> violations;
    for (const std::int32_t entry : entries)
        violations.push_back(violation_of(log, static_cast<std::size_t>(entry)));
    return violations;
}

std::vector<std::size_t> Goal::front(const EvaluationLog& log) const {
    if (objectives.empty()) throw core::InternalError("a front needs an objective");
    const std::size_t m = objectives.size();
    std::vector<std::int32_t> feasible;
    for (std::size_t i = 0; i < log.size(); ++i)
        if (violation_of(log, i) <= 0) feasible.push_back(static_cast<std::int32_t>(i));
    const std::vector<double> values = objectives_of(log, feasible);
    const std::vector<std::int32_t> ranks = non_dominated_rank(values, m, {});
    std::vector<std::size_t> front; // into `feasible`
    for (std::size_t i = 0; i < ranks.size(); ++i)
        if (ranks[i] == 0) front.push_back(i);
    const auto row = [&](std::size_t i) { return std::span(values).subspan(i * m, m); };
    std::ranges::stable_sort(front, [&](std::size_t a, std::size_t b) {
        return std::ranges::lexicographical_compare(row(a), row(b));
    });
    const auto repeated = std::ranges::unique(
        front, [&](std::size_t a, std::size_t b) { return std::ranges::equal(row(a), row(b)); });
    front.erase(repeated.begin(), repeated.end());
    std::ranges::transform(front, front.begin(),
                           [&](std::size_t i) { return static_cast<std::size_t>(feasible[i]); });
    return front;
}

std::vector<Metric> study_metrics(const Goal& goal, bool has_accuracy) {
    std::vector<Metric> metrics = plain_metrics();
    if (!has_accuracy) std::erase_if(metrics, [](const Metric& m) { return m.needs_accuracy(); });
    const auto add = [&](const Metric& metric) {
        if (metric.needs_accuracy() && !has_accuracy)
            throw core::ConfigError(
                fmt::format("{} needs accuracies, but nothing measures them", metric.name()));
        if (std::ranges::find(metrics, metric) == metrics.end()) metrics.push_back(metric);
    };
    std::ranges::for_each(goal.objectives, add);
    for (const Constraint& constraint : goal.constraints)
        add(constraint.metric);
    return metrics;
}

} // namespace hdap::search
