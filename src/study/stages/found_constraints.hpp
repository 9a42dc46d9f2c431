#pragma once

#include "fleet_truth.hpp"
#include "hdap/search/search_problem.hpp"

#include <vector>

namespace hdap::study {

/// What a network gets right in the end, and the unpruned one on the same images; [0, 1], NaN where
/// not known.
struct FinalAccuracy {
    double value;
    double unpruned;
};

/// The constraints of a study held against what is found of networks beyond the predictions that
/// the search went by: latencies on the devices, and what follows from the costs. "0.7x" is 0.7 of
/// what the unpruned network is found to take on the same devices: predicted and found latencies
/// are never divided by each other.
class FoundConstraints {
  public:
    /// `problem` and `truth` must stay where they are. `unpruned`: the study's own network.
    FoundConstraints(const search::SearchProblem& problem, const FleetTruth& truth,
                     const network::Genome& unpruned);

    [[nodiscard]] const std::vector<search::Constraint>& constraints() const noexcept {
        return problem_.goal.constraints;
    }

    /// Whether a search knows the metric by predictions only, or by a part of the images.
    [[nodiscard]] static bool is_doubtful(const search::Constraint& constraint);

    /// [constraint] the bound in the metric's unit; NaN where what it is relative to is not known.
    [[nodiscard]] const std::vector<double>& limits() const noexcept { return limits_; }

    /// [constraint] the metrics of a network; NaN where not known.
    [[nodiscard]] std::vector<double> found(const network::Genome& genome,
                                            const FinalAccuracy& accuracy) const;

    /// Whether a network is found to break a constraint, whatever its accuracy. Costs nothing where
    /// no constraint is on latencies.
    [[nodiscard]] bool breaks(const network::Genome& genome) const;

  private:
    const search::SearchProblem& problem_;
    const FleetTruth& truth_;
    bool bounds_latencies_;
    std::vector<double> limits_;
};

} // namespace hdap::study
