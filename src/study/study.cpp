#include "hdap/study/study.hpp"

#include "hdap/accuracy/inference.hpp"
#include "hdap/accuracy/input_check.hpp"
#include "hdap/core/hash.hpp"
#include "hdap/core/provenance.hpp"
#include "hdap/core/text.hpp"
#include "hdap/network/insert_batch_norm.hpp"
#include "hdap/network/network_file.hpp"
#include "hdap/parallel/launch.hpp"
#include "hdap/study/attempts.hpp"
#include "stages/rounds.hpp"
#include "stages/stage_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <utility>

namespace hdap::study {
namespace {

/// The line of attempts.jsonl that this job writes when it begins.
Attempt this_attempt(const StudyInputs& inputs) {
    const core::Provenance provenance = core::current_provenance();
    Attempt attempt;
    attempt.started = provenance.created;
    attempt.job = provenance.job;
    attempt.host = provenance.host;
    attempt.ranks = inputs.job.communicator.size();
    attempt.threads = inputs.job.threads;
    attempt.progress_start = progress_of(inputs.directory->path());
    return attempt;
}

std::string graph_key_of(const network::Network& network) {
    return core::sha256_hex(network::network_as_json(network));
}

/// What is looked at of a study. `last`: the stage that it goes to. Collective.
StudyInputs load_inputs(const parallel::Job& job, const StudyRequest& request, Stage last) {
    const Settings& settings = request.settings;
    const std::string evaluator = evaluator_of(settings);
    const bool measures_accuracy = last >= Stage::search && evaluator != "none";
    StudyInputs inputs{.job = job,
                       .request = request,
                       .network = load_network_to_prune(job, settings, measures_accuracy),
                       .graph_key = {},
                       .accuracy = {},
                       .source = nullptr,
                       .directory = std::nullopt,
                       .store = std::nullopt,
                       .former = std::nullopt,
                       .rounds = {},
                       .reported_round = 0,
                       .searched = {},
                       .unpruned_accuracy = std::nullopt};
    inputs.graph_key = graph_key_of(inputs.network.network);
    if (!settings.kept_run.empty() && last >= Stage::clusters)
        job.communicator.on_root([&] {
            inputs.former = open_former_study(settings, inputs.graph_key, request.run_directory);
        });
    if (measures_accuracy) inputs.accuracy = load_accuracy_inputs(job, settings, inputs.network);
    return inputs;
}

/// What latencies come from. Measurements lie in the store, or in the run directory without one,
/// unless a folder is named.
fleet::LatencySourceParameters latency_parameters(const StudyRequest& request) {
    fleet::LatencySourceParameters parameters = request.settings.fleet;
    parameters.loaded_benchmarks = quantities_of(request.settings).size() > 1;
    parameters.runner = [](const network::PrunedNetwork& network, std::int64_t batch, int threads) {
        const std::shared_ptr<accuracy::Inference> inference =
            accuracy::make_inference(network.network, network.weights, batch, threads);
        return [inference] { inference->run(); };
    };
    if (!parameters.measurements.empty()) return parameters;
    const auto& folder = request.store.empty() ? request.run_directory : request.store;
    parameters.measurements = (folder / measurements_folder).string();
    if (!request.store.empty())
        parameters.measured_how = fmt::format("{} runs", request.settings.profile.runs);
    return parameters;
}

/// Before anything is measured: throws ConfigError when the source cannot measure what the study
/// needs.
void refuse_missing_quantities(const Settings& settings, const fleet::LatencySource& source) {
    for (const fleet::Quantity quantity : quantities_of(settings))
        if (const std::string lack = source.lacks_for(quantity); !lack.empty())
            throw core::ConfigError(fmt::format("{} needs {}: {}", fleet::row_of(quantity).metric,
                                                fleet::row_of(quantity).what, lack));
}

/// What measures candidates. `run` must stay where it is.
std::unique_ptr<accuracy::CandidateEvaluator> make_evaluator(const StudyRun& run) {
    const Settings& settings = run.settings();
    accuracy::EvaluationParameters evaluation = settings.data.evaluation;
    evaluation.precision = settings.search.precision;
    const ImageSplits& images = run.images();
    accuracy::EvaluatorInputs inputs{.network = run.network,
                                     .recalibration = std::nullopt,
                                     .held_out = std::nullopt,
                                     .evaluation = evaluation,
                                     .command = settings.accuracy.command};
    if (images.train.count > 0) {
        inputs.recalibration = accuracy::slice(images.train, 0, settings.data.recalibration_images);
        inputs.held_out = accuracy::slice(images.held_out, 0, settings.data.evaluation_images);
    }
    return accuracy::make_candidate_evaluator(evaluator_of(settings), std::move(inputs));
}

/// Before any stage, as these may take hours: tells when the unpruned network hardly gets the
/// images that it was trained for. A search that has begun was told before. On the root.
void warn_of_other_images(const StudyRun& run) {
    if (!run.evaluator || evaluator_of(run.settings()) != "engine") return;
    if (std::filesystem::exists(run.file("search.h5"))) return;
    const Settings::Data& data = run.settings().data;
    const ImageSplits& images = run.images();
    const auto held_out = accuracy::slice(images.held_out, 0, data.evaluation_images);
    const auto recalibration = accuracy::slice(
        images.train, 0, std::min(data.recalibration_images, accuracy::max_checked_statistics));
    const std::string doubts =
        accuracy::doubts(accuracy::check_input(run.network.network, *run.network.weights, held_out,
                                               recalibration, data.evaluation, run.job.threads),
                         held_out);
    if (!doubts.empty()) run.job.log.warning(doubts);
}

/// One call of run_study.
class Study {
  public:
    Study(const parallel::Job& job, const StudyRequest& request, Stage last)
        : job_(job), settings_(request.settings), inputs_(load_inputs(job, request, last)),
          last_(last) {
        begin_round(1, inputs_.network, inputs_.graph_key, inputs_.accuracy.content_key);
        inputs_.source = fleet::make_latency_source(latency_parameters(request), inputs_.network,
                                                    job.communicator);
        job.communicator.on_every_rank(
            [&] { refuse_missing_quantities(settings_, *inputs_.source); });
        job.communicator.on_root([&] {
            inputs_.directory.emplace(request.run_directory, request.settings, job.log);
            job.log.open_file(*inputs_.directory / "log.jsonl");
            warned_of_weakness_ = !inputs_.directory->has_locks();
            if (!request.store.empty()) inputs_.store.emplace(request.store);
            begin_attempt();
        });
    }

    core::ExitCode run() {
        try {
            const core::ExitCode code = walk();
            end_attempt(code, "");
            return code;
        } catch (const core::Error& error) {
            end_attempt(error.exit_code(), error.what());
            throw;
        }
    }

  private:
    core::ExitCode walk() {
        job_.communicator.on_root([&] {
            describe();
            warn_of_other_images(*run_);
            refuse_unreachable(inputs_);
        });
        while (true) {
            job_.communicator.on_root([&] {
                inputs_.directory->make_folder(
                    round_folder(inputs_.directory->path(), settings_, run_->round));
            });
            for (const StageRow& row : stage_table())
                if (is_to_reach(row.stage) && !reach(row)) return stopped(row);
            if (last_ < Stage::report || run_->end != RoundEnd::goes_on) break;
            begin_next_round();
        }
        if (last_ == Stage::report) job_.communicator.on_root([&] { end_rounds(*run_); });
        return core::ExitCode::complete;
    }

    /// Later rounds have the first one's outputs of stages that are not of each round.
    [[nodiscard]] bool is_to_reach(Stage stage) const {
        return stage <= last_ && (run_->round == 1 || is_of_each_round(settings_, stage));
    }

    /// Collective.
    void begin_round(std::int64_t round, const network::Prunable& start, std::string graph_key,
                     std::string content_key) {
        job_.communicator.on_every_rank([&] {
            run_.emplace(StudyRun{.inputs = inputs_,
                                  .job = job_,
                                  .round = round,
                                  .network = start,
                                  .space = round_space(inputs_, start),
                                  .graph_key = std::move(graph_key),
                                  .content_key = std::move(content_key),
                                  .evaluator = nullptr,
                                  .problem = std::nullopt,
                                  .found = search::SearchState({}),
                                  .finetuned = {}});
            if (last_ < Stage::search) return;
            run_->evaluator = make_evaluator(*run_);
            // What it refuses is told before any stage, as these may take hours.
            static_cast<void>(make_algorithm(*run_));
        });
    }

    /// Collective.
    void begin_next_round() {
        const std::int64_t round = run_->round + 1;
        const auto file = run_->output(Stage::finetune) / (round_name(run_->round) + ".h5");
        run_.reset();
        const ImageSplits& images = inputs_.accuracy.images;
        start_ = std::make_unique<const network::Prunable>(
            load_round_start(job_, settings_, file, inputs_.network, images));
        begin_round(round, *start_, graph_key_of(start_->network), content_key_of(*start_, images));
        job_.communicator.on_root([&] {
            const auto before = inputs_.network.costs.total(inputs_.network.space.unpruned());
            const auto now = inputs_.network.costs.total(start_->space.unpruned());
            job_.log.info(fmt::format(
                "round {} of {}: starts from {} M MACs ({} % of the unpruned network)", round,
                settings_.rounds, core::significant(static_cast<double>(now.macs) * 1e-6),
                core::significant(
                    100.0 * static_cast<double>(now.macs) / static_cast<double>(before.macs), 3)));
        });
    }

    /// Makes what is missing of a stage; false when asked to stop before it was there. Collective.
    bool reach(const StageRow& row) {
        if (!row.done_when_there) return row.make(*run_);
        std::optional<storage::FileLock> lock;
        bool there = false;
        bool gave_up = false;
        job_.communicator.on_root([&] {
            there = is_up_to_date(run_->output(row.stage), identity_of(*run_, row.stage), job_.log);
            if (there || !inputs_.store) return;
            lock = inputs_.store->lock(
                identity_of(*run_, row.stage), [&] { return job_.control.stop_requested(); },
                [&](const std::string& what) { job_.log.info(what); });
            gave_up = !lock;
            if (lock) warn_of_weakness(*lock);
            there = lock && fetch(row);
        });
        if (job_.communicator.any(gave_up)) return false;
        if (job_.communicator.any(there)) return true;
        if (!row.make(*run_)) return false;
        job_.communicator.on_root([&] {
            if (inputs_.store)
                inputs_.store->keep(identity_of(*run_, row.stage), run_->output(row.stage));
        });
        return true;
    }

    /// Once, as it is the same for all of a store's locks, and mostly for the run directory's.
    void warn_of_weakness(const storage::FileLock& lock) {
        if (lock.weakness().empty() || warned_of_weakness_) return;
        job_.log.warning(lock.weakness());
        warned_of_weakness_ = true;
    }

    /// Takes the output of a stage from the store, if it is there.
    bool fetch(const StageRow& row) const {
        if (!inputs_.store->fetch(identity_of(*run_, row.stage), run_->output(row.stage)))
            return false;
        job_.log.info(
            fmt::format("{}: taken from the store {}", row.file, inputs_.request.store.string()));
        return true;
    }

    void begin_attempt() {
        attempt_ = this_attempt(inputs_);
        const std::int64_t most = inputs_.request.give_up_after;
        if (most > 0)
            if (const auto why = lack_of_progress(read_attempts(inputs_.directory->path()),
                                                  attempt_.progress_start, most))
                throw core::InternalError(
                    fmt::format("{}; see {}. To try once more, leave --give-up-after out", *why,
                                (*inputs_.directory / "log.jsonl").string()));
        append_attempt_start(inputs_.directory->path(), attempt_);
    }

    /// On the root. What cannot be written (a full disk, perhaps the reason of the end) must not
    /// hide how the job ended.
    void end_attempt(core::ExitCode code, const std::string& message) {
        if (!inputs_.directory) return;
        attempt_.ended = core::utc_now();
        attempt_.progress_end = progress_of(inputs_.directory->path());
        attempt_.exit_code = static_cast<int>(code);
        attempt_.message = message;
        try {
            append_attempt_end(inputs_.directory->path(), attempt_);
        } catch (const core::Error& error) {
            job_.log.warning(error.what());
        }
    }

    void describe() const {
        const auto unpruned = inputs_.network.costs.total(inputs_.network.space.unpruned());
        job_.log.info(fmt::format(
            "study {} in {}: {}{}, {} M MACs, {}", settings_.name,
            inputs_.request.run_directory.string(), inputs_.network.network.name, accuracy_text(),
            core::significant(static_cast<double>(unpruned.macs) * 1e-6),
            core::counted(inputs_.network.space.groups().size(), "pruning group")));
        describe_norms();
    }

    /// What was done where batch norms are missing: without them magnitudes rank channels badly,
    /// and nothing can be recalibrated.
    void describe_norms() const {
        if (last_ < Stage::search) return;
        const InsertedNorms& norms = inputs_.accuracy.norms;
        const std::size_t missing =
            run_->evaluator ? norms.missing
                            : network::layers_without_norm(inputs_.network.network).size();
        if (missing == 0) return;
        const std::string layers = fmt::format(
            "{} no batch norms", core::counted(missing, "convolution has", "convolutions have"));
        if (norms.images > 0)
            job_.log.info(fmt::format("{} (folded away?): inserted, from {}", layers,
                                      core::counted(norms.images, "training image")));
        else if (!run_->evaluator)
            job_.log.info(layers + "; none are inserted, as accuracies play no part");
        else if (inputs_.accuracy.images.train.count == 0)
            job_.log.warning(layers +
                             " (folded away?), and without images (data.file) none can be "
                             "inserted: channels are ranked badly, nothing is recalibrated");
        else
            job_.log.warning(layers + ", and none are inserted "
                                      "(network.insert_batch_norms = false): channels are "
                                      "ranked badly, nothing is recalibrated");
    }

    /// " on 3x32x32 images, 10 classes"
    [[nodiscard]] std::string accuracy_text() const {
        if (last_ < Stage::search) return "";
        if (!run_->evaluator) return ", accuracy not measured";
        const accuracy::ImageData& images = inputs_.accuracy.images.train;
        if (images.count == 0)
            return fmt::format(", accuracy by {}", settings_.accuracy.command.command);
        return fmt::format(" on {}x{}x{} images, {}", images.channels, images.height, images.width,
                           core::counted(images.classes, "class", "classes"));
    }

    core::ExitCode stopped(const StageRow& row) const {
        if (job_.communicator.is_root())
            job_.log.info(fmt::format("stopped early during the {} stage, with everything "
                                      "kept; run the same command again to go on",
                                      row.name));
        return core::ExitCode::stopped;
    }

    const parallel::Job& job_;
    const Settings& settings_;
    StudyInputs inputs_;
    Stage last_;
    std::unique_ptr<const network::Prunable> start_; ///< of a round after the first
    std::optional<StudyRun> run_;                    ///< the present round
    Attempt attempt_;                                ///< on the root
    bool warned_of_weakness_ = false;
};

} // namespace

core::ExitCode run_study(const parallel::Job& job, const StudyRequest& request, Stage last) {
    accuracy::keep_freed_memory();
    parallel::use_openmp_threads(job.threads);
    return Study(job, request, last).run();
}

} // namespace hdap::study
