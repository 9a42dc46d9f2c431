#pragma once

#include <array>
#include <span>
#include <string>

namespace hdap::search {

/// What an evaluation tells about a candidate. All latencies are predictions over the fleet.
struct CandidateFigures {
    double latency_mean_ms = 0;          ///< mean over all devices, clusters by their weight
    double latency_worst_cluster_ms = 0; ///< the slowest cluster's
    double accuracy = 0;                 ///< share of images classified correctly; [0, 1]
    double accuracy_drop = 0; ///< accuracy of the unpruned network − accuracy; [−1, 1]
    double flops = 0;         ///< multiply-accumulates for one image
    double params = 0;        ///< parameters
    double memory_peak = 0;   ///< activation elements, the peak over the layers
    bool operator==(const CandidateFigures&) const = default;
};

/// The figures that can be an objective or be bounded by a constraint. All are minimised.
enum class Figure {
    latency_mean,
    latency_worst_cluster,
    accuracy_drop,
    flops,
    params,
    memory_peak
};

/// Every figure, in the order in which messages list them.
inline constexpr std::array all_figures{Figure::latency_mean,  Figure::latency_worst_cluster,
                                        Figure::accuracy_drop, Figure::flops,
                                        Figure::params,        Figure::memory_peak};

/// The name in configurations: "latency.mean", "latency.worst_cluster", "accuracy_drop", "flops",
/// "params", "memory.peak".
std::string name_of(Figure figure);

/// The inverse of name_of. Throws ConfigError, which names the nearest known figure and all of
/// them, for any other text.
Figure parse_figure(const std::string& name);

double value_of(const CandidateFigures& figures, Figure figure);

/// An upper bound that a candidate must keep to.
struct Constraint {
    Figure figure = Figure::flops;
    double bound = 1;      ///< finite, positive
    bool relative = false; ///< whether `bound` multiplies the unpruned network's figure
    std::string text;      ///< as the user wrote it
};

/// Parses "FIGURE <= NUMBER" or "FIGURE <= NUMBERx", e.g. "flops <= 0.5x" (half of what the
/// unpruned network needs), "accuracy_drop <= 0.05", "latency.mean <= 12.5" (ms). Blanks around
/// the parts are optional. An accuracy drop is a share in (0, 1] and cannot be relative, as the
/// unpruned network's is 0.
/// Throws ConfigError with the text, the position (from 1) and what was expected there.
Constraint parse_constraint(const std::string& text);

/// By how much `figures` misses the constraint, relative to the bound: 0 when the constraint is
/// met, else value ÷ bound − 1, the bound being in the figure's unit. Being free of units, the
/// violations of different constraints can be added.
/// Throws InternalError when a figure is not a number, or the unpruned network's figure is not
/// positive where the constraint is relative to it.
double violation(const Constraint& constraint, const CandidateFigures& figures,
                 const CandidateFigures& unpruned);

/// The sum of the violations, in the order of `constraints`; 0 means feasible.
double total_violation(std::span<const Constraint> constraints, const CandidateFigures& figures,
                       const CandidateFigures& unpruned);

} // namespace hdap::search
