#pragma once

#include "hdap/core/settings.hpp"
#include "hdap/network/search_space.hpp"
#include "hdap/parallel/job.hpp"
#include "hdap/search/algorithm.hpp"
#include "hdap/search/search_problem.hpp"
#include "hdap/search/search_state.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

namespace hdap::search {

/// How far a search goes.
struct SearchParameters {
    std::int64_t generations = 20; ///< after the first; [0, 1000000]
    /// That a candidate whose evaluation is given up is dominated; 0: none is given up; [0, 1)
    double give_up_confidence = 0;
    /// Share of the latest 20 candidates, or of a generation's where these are more, that may fail
    /// before the search ends; [0, 1]
    double max_failures = 0.5;
};

/// Throws ConfigError for a parameter out of its range: names it, its value and the range.
void validate(const SearchParameters& parameters);

/// The settings of `parameters`, which must outlive them.
std::vector<core::Setting> settings_of(SearchParameters& parameters);

/// What the search asks of its surroundings, on the root. Empty functions are not called.
struct SearchHooks {
    /// What the progress calls the search.
    std::string name = "search";
    /// An accuracy that is known already, from another study of the same network and images. Not
    /// asked where candidates are given up early, as results would depend on what is known.
    std::function<std::optional<double>(const network::Genome&)> known_accuracy = {};
    /// The candidate that is to be this entry of the log could not be measured.
    std::function<void(std::size_t entry, const network::Genome&, const accuracy::FailureEvidence&)>
        failed = {};
    /// Whether it is time to write a checkpoint; asked often.
    std::function<bool()> checkpoint_due = {};
    /// Writes the present states of the search and of its algorithm.
    std::function<void()> checkpoint = {};
};

enum class SearchOutcome { complete, stopped };

/// Whether all generations are done. With more of them a search that was complete goes on.
bool is_complete(const SearchState& state, const SearchParameters& parameters) noexcept;

/// Runs `algorithm` from `state` (a new one, or one from a checkpoint, together with the
/// algorithm's own) until `parameters.generations` are done. State, algorithm and hooks are the
/// root's; those of other ranks are not looked at.
///
/// Every rank predicts the latencies of its share of each generation with its threads; accuracies
/// are handed out dynamically over all threads of all ranks; the root logs them and tells the
/// algorithm. Generation 0 begins with the unpruned network, whether the algorithm asks for it or
/// not. With `parameters.give_up_confidence`, and an evaluator that can, a candidate's evaluation
/// ends early once it is that certain to be dominated by the front of the generations before. The
/// state after the last generation has the same bits for any number of ranks and threads, and
/// however often the search was stopped and continued.
///
/// A candidate that the evaluator cannot measure is logged as failed, and meets no constraint. It
/// is not noted before its generation is complete: a search that goes on tries it again.
///
/// A checkpoint is written when one is due or asked for by a signal, at the end, and when the job's
/// control asks to stop: then the evaluations under way are finished, or at a second such request
/// cancelled, and the search ends early. Collective.
///
/// Throws (an AgreedError of the kind of) InfeasibleError as refuse_impossible_constraints, before
/// anything is evaluated, ConfigError as `validate`, DataError when the unpruned network or more
/// than `parameters.max_failures` fail, and what surrogate, evaluator and algorithm throw.
SearchOutcome run_search(const parallel::Job& job, const SearchProblem& problem,
                         Algorithm& algorithm, const SearchParameters& parameters,
                         SearchState& state, const SearchHooks& hooks);

} // namespace hdap::search
