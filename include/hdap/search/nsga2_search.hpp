#pragma once

#include "hdap/accuracy/evaluator.hpp"
#include "hdap/core/progress.hpp"
#include "hdap/network/costs.hpp"
#include "hdap/network/search_space.hpp"
#include "hdap/parallel/communicator.hpp"
#include "hdap/search/evaluation_log.hpp"
#include "hdap/search/nsga2.hpp"
#include "hdap/search/objectives.hpp"
#include "hdap/storage/hdf5.hpp"
#include "hdap/surrogate/cluster_surrogates.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace hdap::search {

inline constexpr const char* search_schema = "hdap-search/1";

/// What is searched: the same on every rank.
struct SearchProblem {
    network::SearchSpace space;
    network::CostModel costs;
    surrogate::ClusterSurrogates surrogates;
    std::vector<double> cluster_weight;     ///< [cluster], sums to 1
    std::vector<double> cluster_mean_ratio; ///< [cluster] devices' mean latency ÷ representatives'
    /// Accuracy of a candidate; nothing when `cancelled` was requested meanwhile. It may be given
    /// up by the rule. Thread-safe, and the same bits in any thread and rank.
    std::function<std::optional<accuracy::CandidateAccuracy>(
        const network::Genome&, const accuracy::EarlyStop& rule, const std::stop_token& cancelled)>
        accuracy;
    double chance_accuracy = 0.0; ///< of guessing: where the hypervolume's accuracy axis begins
    std::vector<Figure> objectives;
    std::vector<Constraint> constraints;
};

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

/// All that a search knows; lives on the root. What a checkpoint holds, and all that it needs to.
struct SearchState {
    std::int64_t generations_done = 0;
    bool complete = false;
    std::vector<std::int32_t> population; ///< log indices of the present parents
    EvaluationLog log;                    ///< entry 0 is the unpruned network
    std::vector<GenerationRecord> history;
    std::vector<PendingAccuracy> pending;
    std::vector<GenerationCost> costs; ///< of each generation, summed over interruptions
};

/// What the search asks of its surroundings. Empty functions are not called.
struct SearchHooks {
    std::function<bool()> should_stop;   ///< every rank: end early with a checkpoint
    std::function<bool()> should_cancel; ///< every rank: give up evaluations under way, too
    /// Root: an accuracy that is known already, from another study of the same network and images.
    /// Not asked where candidates are given up early, as results would depend on what is known.
    std::function<std::optional<double>(const network::Genome&)> known_accuracy;
    std::function<void(double seconds)> evaluated;            ///< root: how long an accuracy took
    std::function<bool()> checkpoint_requested;               ///< every rank: write one soon
    std::function<bool()> checkpoint_due;                     ///< root: asked often
    std::function<void(const SearchState&)> checkpoint;       ///< root: write it
    std::function<void(const core::ProgressState&)> progress; ///< root
};

enum class SearchOutcome { complete, stopped };

/// Runs NSGA-II from `state` (a new one, or one from a checkpoint) until `parameters.generations`
/// are done. Every rank evaluates its share of each generation on the surrogates of all clusters
/// with `threads` threads; accuracies are handed out dynamically over all threads of all ranks;
/// the root selects. With `parameters.give_up_confidence`, a candidate's evaluation ends early once
/// it is that certain to be dominated by the front of the generations before. The state after the
/// last generation has the same bits for any number of ranks and threads, and however often it was
/// stopped and continued. Collective.
///
/// Throws (an AgreedError of the kind of) InfeasibleError when a constraint lies below what the
/// smallest candidate needs, before anything is evaluated.
SearchOutcome run_nsga2(const parallel::Communicator& communicator, const SearchProblem& problem,
                        const Nsga2Parameters& parameters, int threads, SearchState& state,
                        const SearchHooks& hooks);

/// The figures of one candidate from its costs, its latency on each cluster and its accuracies.
CandidateFigures candidate_figures(const SearchProblem& problem, const network::Genome& genome,
                                   std::span<const double> cluster_latency_ms, double accuracy,
                                   double unpruned_accuracy);

/// Latency of each genome on each cluster's representatives, [genome][cluster], in ms.
std::vector<double> cluster_latencies_ms(const SearchProblem& problem,
                                         std::span<const network::Genome> genomes, int threads);

/// The indices of the log's feasible non-dominated entries, sorted by the first objective.
std::vector<std::size_t> current_front(const SearchProblem& problem, const EvaluationLog& log);

/// The share of the box between zero and the reference point that `front` dominates. The
/// reference is the unpruned network's figure, for the accuracy drop that of guessing.
double normalised_hypervolume(const SearchProblem& problem, const EvaluationLog& log,
                              std::span<const std::size_t> front);

/// By how much the log's least violating candidate misses each constraint, in words.
std::string infeasibility_report(const SearchProblem& problem, const EvaluationLog& log);

/// Layout: /log/…, /population, /history/…, /pending/…, /timing/…; see docs/file-formats.md.
void write_search_state(storage::Hdf5Writer& file, const SearchState& state, std::size_t genes);
/// Throws DataError when the content is inconsistent.
SearchState read_search_state(const storage::Hdf5Reader& file);

} // namespace hdap::search
