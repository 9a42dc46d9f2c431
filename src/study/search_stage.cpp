#include "hdap/accuracy/command_evaluator.hpp"
#include "hdap/accuracy/evaluator.hpp"
#include "hdap/core/progress.hpp"
#include "hdap/core/text.hpp"
#include "hdap/search/hypervolume.hpp"
#include "hdap/storage/sealed_file.hpp"
#include "hdap/study/checkpoint.hpp"
#include "stages.hpp"

#include <chrono>
#include <memory>

namespace hdap::study {
namespace {

namespace fs = std::filesystem;

/// The outputs of earlier stages, which every rank needs: read by the root, given to all.
storage::Hdf5Reader stage_on_every_rank(const StudyContext& context, const RunDirectory* run,
                                        const std::string& name) {
    std::vector<std::byte> bytes;
    context.communicator.on_root([&] { bytes = storage::read_sealed(*run / name); });
    context.communicator.broadcast(bytes);
    return storage::Hdf5Reader::from_bytes(std::move(bytes), name);
}

/// The state to go on from: that of search.h5, else of search.prev.h5, else a new one.
search::SearchState resume(const StudyContext& context, const RunDirectory& run,
                           const storage::FileIdentity& identity) {
    search::SearchState state;
    newest_checkpoint(
        run / "search.h5", run / "search.prev.h5", identity, another_run_directory, context.log,
        [&](const storage::Hdf5Reader& reader) { state = search::read_search_state(reader); });
    return state;
}

/// All accuracies that a search knows, without those that it gave up.
Accuracies accuracies_of(const search::SearchState& state) {
    Accuracies accuracies;
    for (std::size_t i = 0; i < state.log.size(); ++i)
        if (state.log[i].given_up_after == 0)
            accuracies[state.log[i].genome] = state.log[i].figures.accuracy;
    for (const search::PendingAccuracy& pending : state.pending)
        if (pending.accuracy.given_up_after == 0)
            accuracies[pending.genome] = pending.accuracy.value;
    return accuracies;
}

std::string front_summary(const search::SearchProblem& problem, const search::SearchState& state) {
    const auto& last = state.history.back();
    std::size_t given_up = 0;
    for (std::size_t i = 0; i < state.log.size(); ++i)
        given_up += state.log[i].given_up_after > 0 ? 1 : 0;
    return "search: " + std::to_string(state.log.size()) + " candidates evaluated" +
           (given_up > 0 ? " (" + std::to_string(given_up) + " given up early)" : std::string()) +
           ", front of " + std::to_string(last.front_size) + ", hypervolume " +
           core::significant(last.hypervolume) +
           (problem.constraints.empty()
                ? std::string()
                : ", " + std::to_string(last.feasible) + " meet the constraints");
}

} // namespace

namespace {

/// What measures candidates: top-1 on held-out images, or a program of the user's.
decltype(search::SearchProblem::accuracy) make_accuracy(const Settings& settings,
                                                        const Workpiece& workpiece) {
    std::optional<accuracy::ImageData> recalibration;
    if (workpiece.train.count > 0)
        recalibration = accuracy::slice(workpiece.train, 0, settings.data.recalibration_images);
    // Shared, as std::function copies what it holds.
    if (!settings.accuracy.command.command.empty())
        return
            [evaluator = std::make_shared<const accuracy::CommandEvaluator>(
                 workpiece.network, workpiece.weights, workpiece.space, workpiece.ranked_channels,
                 std::move(recalibration), settings.data.evaluation, settings.accuracy.command)](
                const network::Genome& genome, const accuracy::EarlyStop&,
                const std::stop_token& cancelled) -> std::optional<accuracy::CandidateAccuracy> {
                const auto accuracy = evaluator->accuracy(genome, cancelled);
                if (!accuracy) return std::nullopt;
                return accuracy::CandidateAccuracy{*accuracy, 0};
            };
    accuracy::EvaluationParameters evaluation = settings.data.evaluation;
    evaluation.precision = settings.search.precision;
    return [evaluator = std::make_shared<const accuracy::Evaluator>(
                workpiece.network, workpiece.weights, workpiece.space, workpiece.ranked_channels,
                std::move(recalibration.value()),
                accuracy::slice(workpiece.held_out, 0, settings.data.evaluation_images),
                evaluation)](const network::Genome& genome, const accuracy::EarlyStop& rule,
                             const std::stop_token& cancelled) {
        return evaluator->accuracy(genome, rule, cancelled);
    };
}

} // namespace

search::SearchProblem make_problem(const StudyContext& context, const Workpiece& workpiece,
                                   const RunDirectory* run) {
    const auto clusters_file = stage_on_every_rank(context, run, "clusters.h5");
    const auto surrogates_file = stage_on_every_rank(context, run, "surrogates.h5");
    const Settings& settings = context.settings;
    std::optional<search::SearchProblem> problem;
    context.communicator.on_every_rank([&] {
        const auto clustering = fleet::read_clustering(clusters_file);
        problem.emplace(search::SearchProblem{
            .space = workpiece.space,
            .costs = workpiece.costs,
            .surrogates = surrogate::read_surrogates(surrogates_file),
            .cluster_weight = clustering.cluster_weight,
            .cluster_mean_ratio = clustering.cluster_mean_ratio,
            .accuracy = make_accuracy(settings, workpiece),
            .chance_accuracy = settings.accuracy.command.command.empty()
                                   ? 1.0 / static_cast<double>(workpiece.train.classes)
                                   : 0.0,
            .objectives = {},
            .constraints = {}});
        for (const std::string& name : settings.search.objectives)
            problem->objectives.push_back(search::parse_figure(name));
        for (const std::string& text : settings.search.constraints)
            problem->constraints.push_back(search::parse_constraint(text));
    });
    return std::move(*problem);
}

SearchResult run_search(const StudyContext& context, const search::SearchProblem& problem,
                        const RunDirectory* run, const Store* store, const StageIdentities& ids) {
    using clock = std::chrono::steady_clock;
    SearchResult result;
    Accuracies known;
    context.communicator.on_root([&] {
        result.state = resume(context, *run, ids.search);
        if (store != nullptr && !result.state.complete) known = store->accuracies(ids.accuracies);
        if (result.state.generations_done > 0 && !result.state.complete)
            context.log.info("search: continuing after generation " +
                             std::to_string(result.state.generations_done - 1));
    });
    std::optional<core::Progress> progress;
    if (context.communicator.is_root())
        progress.emplace(context.log, static_cast<std::int64_t>(result.state.log.size() +
                                                                result.state.pending.size()));
    const auto interval = std::chrono::duration<double>(context.settings.run.checkpoint_seconds);
    auto last_checkpoint = clock::now();
    const search::SearchHooks hooks{
        .should_stop = [&] { return context.control.stop_requested(); },
        .should_cancel = [&] { return context.control.stop_now_requested(); },
        .known_accuracy = [&](const network::Genome& genome) -> std::optional<double> {
            const auto found = known.find(genome);
            return found == known.end() ? std::nullopt : std::optional(found->second);
        },
        .evaluated =
            [&](double seconds) {
                context.control.walltime().saw_evaluation(std::chrono::duration<double>(seconds));
            },
        .checkpoint_requested = [&] { return context.control.take_checkpoint_request(); },
        .checkpoint_due = [&] { return clock::now() - last_checkpoint > interval; },
        .checkpoint =
            [&](const search::SearchState& state) {
                const auto start = clock::now();
                write_stage(
                    *run / "search.h5", ids.search,
                    [&](storage::Hdf5Writer& file) {
                        search::write_search_state(file, state, problem.space.groups().size());
                    },
                    *run / "search.prev.h5");
                last_checkpoint = clock::now();
                context.control.walltime().saw_checkpoint(last_checkpoint - start);
            },
        .progress = [&](const core::ProgressState& state) { progress->show(state); }};
    result.outcome = search::run_nsga2(context.communicator, problem, context.settings.search.nsga2,
                                       context.threads, result.state, hooks);
    progress.reset();
    context.communicator.on_root([&] {
        if (store != nullptr) store->add_accuracies(ids.accuracies, accuracies_of(result.state));
        if (result.outcome != search::SearchOutcome::complete) return;
        context.log.info(front_summary(problem, result.state));
        const double unpruned = result.state.log[0].figures.accuracy;
        if (unpruned <= problem.chance_accuracy + 0.01)
            context.log.warning(
                "the unpruned network has an accuracy of " + core::significant(100.0 * unpruned) +
                " %, no better than chance (" + core::significant(100.0 * problem.chance_accuracy) +
                " %): do weights, images and labels belong together?");
        if (search::current_front(problem, result.state.log).empty())
            throw core::InfeasibleError(search::infeasibility_report(problem, result.state.log));
    });
    return result;
}

} // namespace hdap::study
