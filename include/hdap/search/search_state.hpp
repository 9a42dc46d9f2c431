#pragma once

#include "hdap/accuracy/evaluation.hpp"
#include "hdap/network/search_space.hpp"
#include "hdap/search/algorithm.hpp"
#include "hdap/search/evaluation_log.hpp"
#include "hdap/search/metrics.hpp"
#include "hdap/search/search_problem.hpp"
#include "hdap/storage/hdf5.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace hdap::search {

inline constexpr const char* search_schema = "hdap-search/2";

/// What one generation brought.
struct GenerationRecord {
    std::int32_t generation = 0;
    std::int32_t evaluations = 0; ///< entries of the evaluation log so far
    std::int32_t feasible = 0;    ///< of these, how many meet all constraints
    std::int32_t front_size = 0;
    double hypervolume = 0.0; ///< see normalised_hypervolume
    bool operator==(const GenerationRecord&) const = default;
};

/// What one generation took. Not the same from run to run.
struct GenerationCost {
    double wall_seconds = 0.0;
    double accuracy_seconds = 0.0; ///< of evaluating threads, over all ranks
    std::int32_t accuracies_measured = 0;
};

/// An accuracy that was measured in a generation that is not complete yet.
struct PendingAccuracy {
    network::Genome genome;
    accuracy::CandidateAccuracy accuracy;
};

/// All that a search knows, but for its algorithm's state; lives on the root. What a checkpoint
/// holds, and all that it needs to.
struct SearchState {
    /// A new search, which logs these metrics.
    explicit SearchState(std::vector<Metric> metrics) : log(std::move(metrics)) {}

    std::int64_t generations_done = 0;       ///< the first one, 0, counts
    std::optional<CandidateFacts> reference; ///< there once generation 0 is done
    EvaluationLog log;                       ///< entry 0 is the unpruned network
    std::vector<GenerationRecord> history;
    std::vector<PendingAccuracy> pending;
    std::vector<GenerationCost> costs; ///< of each generation, summed over interruptions
};

/// The indices of the log's feasible non-dominated entries, sorted by the first objective.
std::vector<std::size_t> current_front(const SearchProblem& problem, const SearchState& state);

/// The share of the box between zero and every objective's Metric::worst that the entries `front`
/// of the log dominate. Throws InternalError before there is a reference.
double normalised_hypervolume(const SearchProblem& problem, const SearchState& state,
                              std::span<const std::size_t> front);

/// By how much the log's least violating candidate misses each constraint, in words.
std::string infeasibility_report(const SearchProblem& problem, const SearchState& state);

/// Layout: /log/…, /reference/…, /history/…, /pending/…, /timing/…, /algorithm/…; see
/// docs/file-formats.md. `genes`: of every genome.
void write_search_state(storage::Hdf5Writer& file, const SearchState& state, std::size_t genes,
                        const Algorithm& algorithm);

/// Reads what the write_search_state of a search that logs `metrics` wrote, but for the algorithm's
/// state, which Algorithm::restore reads with the log of the result.
/// Throws DataError when the content is inconsistent.
SearchState read_search_state(const storage::Hdf5Reader& file, std::vector<Metric> metrics);

} // namespace hdap::search
