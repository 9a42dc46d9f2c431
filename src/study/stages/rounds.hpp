#pragma once

#include "study_run.hpp"

#include <cstddef>
#include <optional>

/// Rounds of searching, pruning and fine-tuning, each from the network that the one before chose.
/// A genome counts channels, so it means the same network in every round: costs, latencies and
/// surrogates are always those of the study's own network. Private to the module.
namespace hdap::study {

/// The folder of a round's files: the run directory itself where there is one round.
std::filesystem::path round_folder(const std::filesystem::path& run_directory,
                                   const Settings& settings, std::int64_t round);

/// Whether every round has an output of that stage of its own, or all of them share one.
bool is_of_each_round(const Settings& settings, Stage stage);

/// "round-03": what the chosen network of a round is called.
std::string round_name(std::int64_t round);

/// The seed of a round's search; that of the first is the study's.
std::uint64_t round_seed(const Settings& settings, std::int64_t round);

/// What a round may choose that starts from `start`: of every group at least what
/// search.max_step leaves, and never less than the study as a whole may.
network::SearchSpace round_space(const StudyInputs& inputs, const network::Prunable& start);

/// Throws InfeasibleError when the smallest network that the rounds can reach misses the target, or
/// the smallest of the first round a constraint. Of both only what follows from the costs. On the
/// root.
void refuse_unreachable(const StudyInputs& inputs);

/// The same of a target on latencies, which the first round's surrogates predict, unless every
/// round has its own. On the root.
void refuse_unreachable_target(const StudyRun& run);

/// The candidate that the next round starts from, as a row of the evaluation log: of those on the
/// front that meet the target the most accurate; where none does the nearest to it; where there is
/// no target the best by the first objective. Nothing where all of the front is what the round
/// started from. On the root.
std::optional<std::size_t> choose_network(const StudyRun& run);

/// How the round ends that chose this. On the root.
RoundEnd end_of_round(const StudyRun& run, std::optional<std::size_t> chosen);

/// Says how the rounds ended. Where the last one had no front, the report before it becomes the
/// study's. Throws InfeasibleError when there is a target that was not met. On the root.
void end_rounds(const StudyRun& run);

} // namespace hdap::study
