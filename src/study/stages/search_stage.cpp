#include "hdap/core/text.hpp"
#include "hdap/fleet/distribution.hpp"
#include "hdap/search/algorithm.hpp"
#include "hdap/study/checkpoint.hpp"
#include "hdap/study/on_every_rank.hpp"
#include "hdap/surrogate/surrogate.hpp"
#include "rounds.hpp"
#include "stage_table.hpp"
#include "study/failed_candidates.hpp"

#include <fmt/format.h>

#include <chrono>
#include <limits>
#include <memory>
#include <optional>

namespace hdap::study {
namespace {

using Clock = std::chrono::steady_clock;

/// The accuracy of the study's own network, which the first round measured. Collective.
double unpruned_accuracy(const StudyRun& run) {
    std::vector<double> accuracy;
    if (run.communicator().is_root() && run.round > 1) accuracy = {*run.inputs.unpruned_accuracy};
    run.communicator().broadcast(accuracy);
    return accuracy.empty() ? std::numeric_limits<double>::quiet_NaN() : accuracy.front();
}

/// The search problem of a study. Every rank gets of the fleet what a search needs: not its
/// devices. Collective.
search::SearchProblem make_problem(const StudyRun& run) {
    const auto distribution =
        make_on_every_rank(run.communicator(), "clusters.h5", [&](storage::Hdf5Writer& writer) {
            const auto file = open_stage(run.output(Stage::clusters), fleet::clusters_schema);
            fleet::write_distribution(writer, fleet::read_distribution(file));
        });
    const auto surrogate = open_on_every_rank(
        run.communicator(), run.output(Stage::surrogates).string(), storage::Seal::required);
    std::optional<search::SearchProblem> problem;
    const double accuracy = unpruned_accuracy(run);
    const surrogate::PredictedNetwork network = predicted_network(run);
    run.communicator().on_every_rank([&] {
        problem.emplace(
            search::SearchProblem{.space = run.space,
                                  .costs = run.own().costs,
                                  .surrogate = surrogate::read_surrogate(surrogate, network),
                                  .evaluator = run.evaluator.get(),
                                  .fleet = fleet::read_distribution(distribution),
                                  .goal = goal_of(run.settings())});
        for (const fleet::QuantityRow& row : fleet::other_quantities())
            if (const std::string path(row.surrogate_path); surrogate.contains(path))
                problem->others[row.quantity] = surrogate::read_surrogate(surrogate, network, path);
        if (run.round == 1) return;
        problem->reference = predicted_facts(*problem, run.own().space.unpruned());
        problem->reference->accuracy = accuracy;
    });
    return std::move(*problem);
}

/// The state to go on from: that of search.h5, else of search.prev.h5, else a new one.
search::SearchState resume(StudyRun& run, search::Algorithm& algorithm) {
    const auto metrics = search::study_metrics(run.problem->goal, run.evaluator != nullptr);
    search::SearchState state(metrics);
    newest_checkpoint(run.file("search.h5"), run.file("search.prev.h5"),
                      identity_of(run, Stage::search), another_run_directory, run.job.log,
                      [&](const storage::Hdf5Reader& reader) {
                          state = search::read_search_state(reader, metrics);
                          algorithm.restore(reader, state.log);
                      });
    const std::int64_t done = state.generations_done - 1;
    const std::int64_t wanted = run.settings().search.length.generations;
    if (done > wanted)
        throw core::ConfigError(
            fmt::format("{}: has done {} already, and search.generations = {} asks for "
                        "fewer; choose another run directory with --out",
                        run.file("search.h5").string(), core::counted(done, "generation"), wanted));
    run.inputs.directory->lengthen(run.settings(), done, run.job.log);
    if (done >= 0 && done < wanted)
        run.job.log.info(fmt::format("search: continuing after generation {}", done));
    return state;
}

/// All accuracies that a search knows, without those that it gave up and those that failed.
Accuracies accuracies_of(const search::SearchState& state) {
    Accuracies accuracies;
    for (std::size_t i = 0; i < state.log.size(); ++i)
        if (state.log[i].given_up_after == 0 && !state.log[i].failed)
            accuracies[state.log[i].genome] = state.log[i].accuracy;
    for (const search::PendingAccuracy& pending : state.pending)
        if (pending.accuracy.given_up_after == 0)
            accuracies[pending.genome] = pending.accuracy.value;
    return accuracies;
}

std::string front_summary(const search::SearchProblem& problem, const search::SearchState& state) {
    const search::GenerationRecord& last = state.history.back();
    std::size_t given_up = 0;
    for (std::size_t i = 0; i < state.log.size(); ++i)
        given_up += state.log[i].given_up_after > 0 ? 1 : 0;
    std::string text =
        fmt::format("search: {} evaluated", core::counted(state.log.size(), "candidate"));
    if (given_up > 0) text += fmt::format(" ({} given up early)", core::grouped(given_up));
    if (const std::size_t failed = state.log.failures(); failed > 0)
        text += fmt::format(" ({} failed)", core::grouped(failed));
    text += fmt::format(", front of {}, hypervolume {}", last.front_size,
                        core::significant(last.hypervolume));
    if (!problem.goal.constraints.empty())
        text += fmt::format(", {} meet the constraints", last.feasible);
    return text;
}

/// What warn_of_other_images cannot see beforehand, as a program of the user's has the images.
void warn_of_useless_command(const StudyRun& run) {
    if (evaluator_of(run.settings()) != "command") return;
    const double unpruned = run.found.reference->accuracy;
    if (unpruned <= 0.01)
        run.job.log.warning(fmt::format("the unpruned network has an accuracy of {} % by {}: do "
                                        "weights, images and labels belong together?",
                                        core::significant(100.0 * unpruned),
                                        run.settings().accuracy.command.command));
}

void warn_of_failures(const StudyRun& run) {
    const std::size_t failed = run.found.log.failures();
    if (failed > 0)
        run.job.log.warning(
            fmt::format("{} of {} could not be measured (logged as infeasible, with accuracy 0); "
                        "what is left of them is in {}",
                        core::grouped(failed), core::counted(run.found.log.size(), "candidate"),
                        run.file("failed").string()));
}

/// Writes the checkpoints of a search. Used on the root.
class Checkpoints {
  public:
    Checkpoints(const StudyRun& run, const search::Algorithm& algorithm)
        : run_(run), algorithm_(algorithm) {}

    [[nodiscard]] bool due() const {
        return Clock::now() - last_ >
               std::chrono::duration<double>(run_.settings().run.checkpoint_seconds);
    }

    void write() {
        const auto start = Clock::now();
        write_stage(
            run_.file("search.h5"), identity_of(run_, Stage::search),
            [&](storage::Hdf5Writer& file) {
                search::write_search_state(file, run_.found, run_.space.groups().size(),
                                           algorithm_);
                // For those who look at the file: the search itself goes by its length.
                const bool complete =
                    search::is_complete(run_.found, run_.settings().search.length);
                file.attribute("/", "complete", std::int64_t{complete ? 1 : 0});
            },
            run_.file("search.prev.h5"));
        last_ = Clock::now();
        run_.job.control.walltime().saw_checkpoint(last_ - start);
    }

  private:
    const StudyRun& run_;
    const search::Algorithm& algorithm_;
    Clock::time_point last_ = Clock::now();
};

/// What the end of a search tells. On the root.
void finish(const StudyRun& run) {
    run.job.log.info(front_summary(*run.problem, run.found));
    warn_of_failures(run);
    warn_of_useless_command(run);
    // A later round without a network ends the rounds with what there is.
    if (run.round == 1 && search::current_front(*run.problem, run.found).empty())
        throw core::InfeasibleError(search::infeasibility_report(*run.problem, run.found));
}

} // namespace

std::unique_ptr<search::Algorithm> make_algorithm(const StudyRun& run) {
    const Settings::Search& settings = run.settings().search;
    search::AlgorithmParameters parameters = settings.parameters;
    parameters.seed = round_seed(run.settings(), run.round);
    return search::make_algorithm(settings.algorithm, parameters,
                                  {.network = run.network.network,
                                   .space = run.space,
                                   .goal = goal_of(run.settings()),
                                   .generations = settings.length.generations});
}

bool make_search(StudyRun& run) {
    run.problem.emplace(make_problem(run));
    const Settings::Search& settings = run.settings().search;
    const auto algorithm = make_algorithm(run);
    // Accuracies in the store need not be measured again; those that were measured are added.
    const bool stores = run.inputs.store && run.evaluator;
    Accuracies known;
    std::optional<FailedCandidates> failures;
    run.communicator().on_root([&] {
        refuse_unreachable_target(run);
        run.found = resume(run, *algorithm);
        failures.emplace(run.file("failed"), run.job.log);
        if (!search::is_complete(run.found, settings.length))
            failures->forget_from(run.found.log.size());
        if (stores) known = run.inputs.store->accuracies(accuracies_identity(run));
    });
    Checkpoints checkpoints(run, *algorithm);
    const search::SearchHooks hooks{
        .name = run.settings().rounds == 1
                    ? "search"
                    : fmt::format("round {}/{} search", run.round, run.settings().rounds),
        .known_accuracy = [&](const network::Genome& genome) -> std::optional<double> {
            const auto found = known.find(genome);
            return found == known.end() ? std::nullopt : std::optional(found->second);
        },
        .failed =
            [&](std::size_t entry, const network::Genome& genome,
                const accuracy::FailureEvidence& evidence) {
                failures->keep(entry, genome, evidence);
            },
        .checkpoint_due = [&] { return checkpoints.due(); },
        .checkpoint = [&] { checkpoints.write(); }};
    const auto outcome =
        search::run_search(run.job, *run.problem, *algorithm, settings.length, run.found, hooks);
    run.communicator().on_root([&] {
        if (stores)
            run.inputs.store->add_accuracies(accuracies_identity(run), accuracies_of(run.found));
        if (outcome != search::SearchOutcome::complete) return;
        if (run.round == 1) run.inputs.unpruned_accuracy = run.found.reference->accuracy;
        finish(run);
    });
    return outcome == search::SearchOutcome::complete;
}

} // namespace hdap::study
