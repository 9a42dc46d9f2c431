#pragma once

#include "hdap/search/evaluation_log.hpp"
#include "hdap/search/metrics.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace hdap::search {

/// What a search is after. Its functions are about entries of a log that has all its metrics, and
/// the reference where a constraint is relative; they throw InternalError for another log.
struct Goal {
    std::vector<Metric> objectives; ///< at least one
    std::vector<Constraint> constraints;

    /// [entry][objective], row-major.
    [[nodiscard]] std::vector<double> objectives_of(const EvaluationLog& log,
                                                    std::span<const std::int32_t> entries) const;

    /// The sum of the violations, in the order of the constraints; 0 means feasible. Infinite for
    /// what could not be measured: nobody knows whether it meets any.
    [[nodiscard]] double violation_of(const EvaluationLog& log, std::size_t entry) const;

    /// [entry]
    [[nodiscard]] std::vector<double> violations_of(const EvaluationLog& log,
                                                    std::span<const std::int32_t> entries) const;

    /// The entries that meet all constraints and that no other such entry dominates: indices
    /// sorted by the first objective, then by the others. Of entries with equal objectives only
    /// the first is kept.
    [[nodiscard]] std::vector<std::size_t> front(const EvaluationLog& log) const;
};

/// The metrics that a study logs: plain_metrics(), but where nothing measures accuracies without
/// those that need them, and the others that the goal names.
/// Throws ConfigError when the goal needs accuracies and nothing measures them.
std::vector<Metric> study_metrics(const Goal& goal, bool has_accuracy);

} // namespace hdap::search
