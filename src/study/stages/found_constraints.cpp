#include "found_constraints.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace hdap::study {
namespace {

constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

bool is_of_latencies(const search::Constraint& constraint) {
    return constraint.metric.follows_from_latencies();
}

} // namespace

FoundConstraints::FoundConstraints(const search::SearchProblem& problem, const FleetTruth& truth,
                                   const network::Genome& unpruned)
    : problem_(problem), truth_(truth),
      bounds_latencies_(std::ranges::any_of(problem.goal.constraints, is_of_latencies)) {
    // Whatever its accuracy is: no bound is relative to one.
    const std::vector<double> whole = found(unpruned, {1.0, 1.0});
    for (std::size_t i = 0; i < constraints().size(); ++i)
        limits_.push_back(std::isnan(whole[i]) ? unknown
                                               : search::limit(constraints()[i], whole[i]));
}

bool FoundConstraints::is_doubtful(const search::Constraint& constraint) {
    return constraint.metric.needs_accuracy() || constraint.metric.follows_from_latencies();
}

std::vector<double> FoundConstraints::found(const network::Genome& genome,
                                            const FinalAccuracy& accuracy) const {
    const auto latencies = bounds_latencies_ ? truth_.found_latencies(genome) : std::nullopt;
    const search::CandidateFacts facts = search::facts_of(problem_, genome, {}, accuracy.value);
    search::CandidateFacts unpruned = facts;
    unpruned.accuracy = accuracy.unpruned;
    std::vector<double> values;
    for (const search::Constraint& constraint : constraints()) {
        const search::Metric& metric = constraint.metric;
        if (!metric.follows_from_latencies())
            values.push_back(metric.value(facts, unpruned, problem_.fleet));
        else
            values.push_back(latencies ? metric.value_on_devices(*latencies) : unknown);
    }
    return values;
}

bool FoundConstraints::breaks(const network::Genome& genome) const {
    if (!bounds_latencies_) return false;
    const std::vector<double> values = found(genome, {unknown, unknown});
    for (std::size_t i = 0; i < values.size(); ++i)
        if (values[i] > limits_[i]) return true;
    return false;
}

} // namespace hdap::study
