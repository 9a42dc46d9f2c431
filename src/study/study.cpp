#include "hdap/study/study.hpp"

#include "hdap/accuracy/input_check.hpp"
#include "hdap/core/hash.hpp"
#include "hdap/core/provenance.hpp"
#include "hdap/core/text.hpp"
#include "hdap/network/insert_batch_norm.hpp"
#include "hdap/network/network_file.hpp"
#include "hdap/parallel/launch.hpp"
#include "hdap/study/attempts.hpp"
#include "stages/stage_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <utility>

namespace hdap::study {
namespace {

/// The line of attempts.jsonl that this job writes when it begins.
Attempt this_attempt(const StudyRun& run) {
    const core::Provenance provenance = core::current_provenance();
    Attempt attempt;
    attempt.started = provenance.created;
    attempt.job = provenance.job;
    attempt.host = provenance.host;
    attempt.ranks = run.communicator().size();
    attempt.threads = run.job.threads;
    attempt.progress_start = progress_of(run.directory->path());
    return attempt;
}

/// What is looked at of a study. `last`: the stage that it goes to. Collective.
StudyRun load_study(const parallel::Job& job, const StudyRequest& request, Stage last) {
    const Settings& settings = request.settings;
    const std::string evaluator = evaluator_of(settings);
    const bool measures_accuracy = last >= Stage::search && evaluator != "none";
    StudyRun run{.job = job,
                 .request = request,
                 .network = load_network_to_prune(job, settings, measures_accuracy),
                 .graph_key = {},
                 .source = nullptr,
                 .accuracy = {},
                 .evaluator = nullptr,
                 .problem = std::nullopt,
                 .directory = std::nullopt,
                 .store = std::nullopt,
                 .found = search::SearchState({}),
                 .finetuned = {}};
    run.graph_key = core::sha256_hex(network::network_as_json(run.network.network));
    if (measures_accuracy) run.accuracy = load_accuracy_inputs(job, settings, run.network);
    return run;
}

/// What measures candidates. `run` must stay where it is.
std::unique_ptr<accuracy::CandidateEvaluator> make_evaluator(const StudyRun& run) {
    const Settings& settings = run.settings();
    accuracy::EvaluationParameters evaluation = settings.data.evaluation;
    evaluation.precision = settings.search.precision;
    const ImageSplits& images = run.accuracy.images;
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
    const ImageSplits& images = run.accuracy.images;
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
        : run_(load_study(job, request, last)), last_(last) {
        job.communicator.on_every_rank([&] {
            if (last >= Stage::search) run_.evaluator = make_evaluator(run_);
        });
        run_.source =
            fleet::make_latency_source(request.settings.fleet, run_.network, job.communicator);
        job.communicator.on_root([&] {
            run_.directory.emplace(request.run_directory, request.settings, job.log);
            job.log.open_file(run_.file("log.jsonl"));
            warned_of_weakness_ = !run_.directory->has_locks();
            if (!request.store.empty()) run_.store.emplace(request.store);
            begin_attempt();
            describe();
            warn_of_other_images(run_);
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
        for (const StageRow& row : stage_table())
            if (row.stage <= last_ && !reach(row)) return stopped(row);
        return core::ExitCode::complete;
    }

    /// Makes what is missing of a stage; false when asked to stop before it was there. Collective.
    bool reach(const StageRow& row) {
        if (!row.done_when_there) return row.make(run_);
        std::optional<storage::FileLock> lock;
        bool there = false;
        bool gave_up = false;
        run_.communicator().on_root([&] {
            there = is_up_to_date(run_.file(std::string(row.file)), identity_of(run_, row.stage),
                                  run_.job.log);
            if (there || !run_.store) return;
            lock = run_.store->lock(
                identity_of(run_, row.stage), [&] { return run_.job.control.stop_requested(); },
                [&](const std::string& what) { run_.job.log.info(what); });
            gave_up = !lock;
            if (lock) warn_of_weakness(*lock);
            there = lock && fetch(row);
        });
        if (run_.communicator().any(gave_up)) return false;
        if (run_.communicator().any(there)) return true;
        if (!row.make(run_)) return false;
        run_.communicator().on_root([&] {
            if (run_.store)
                run_.store->keep(identity_of(run_, row.stage), run_.file(std::string(row.file)));
        });
        return true;
    }

    /// Once, as it is the same for all of a store's locks, and mostly for the run directory's.
    void warn_of_weakness(const storage::FileLock& lock) {
        if (lock.weakness().empty() || warned_of_weakness_) return;
        run_.job.log.warning(lock.weakness());
        warned_of_weakness_ = true;
    }

    /// Takes the output of a stage from the store, if it is there.
    bool fetch(const StageRow& row) const {
        const std::string file(row.file);
        if (!run_.store->fetch(identity_of(run_, row.stage), run_.file(file))) return false;
        run_.job.log.info(
            fmt::format("{}: taken from the store {}", file, run_.request.store.string()));
        return true;
    }

    void begin_attempt() {
        attempt_ = this_attempt(run_);
        const std::int64_t most = run_.request.give_up_after;
        if (most > 0)
            if (const auto why = lack_of_progress(read_attempts(run_.directory->path()),
                                                  attempt_.progress_start, most))
                throw core::InternalError(
                    fmt::format("{}; see {}. To try once more, leave --give-up-after out", *why,
                                run_.file("log.jsonl").string()));
        append_attempt_start(run_.directory->path(), attempt_);
    }

    /// On the root. What cannot be written (a full disk, perhaps the reason of the end) must not
    /// hide how the job ended.
    void end_attempt(core::ExitCode code, const std::string& message) {
        if (!run_.directory) return;
        attempt_.ended = core::utc_now();
        attempt_.progress_end = progress_of(run_.directory->path());
        attempt_.exit_code = static_cast<int>(code);
        attempt_.message = message;
        try {
            append_attempt_end(run_.directory->path(), attempt_);
        } catch (const core::Error& error) {
            run_.job.log.warning(error.what());
        }
    }

    void describe() const {
        const auto unpruned = run_.network.costs.total(run_.network.space.unpruned());
        run_.job.log.info(fmt::format(
            "study {} in {}: {}{}, {} M MACs, {}", run_.settings().name,
            run_.request.run_directory.string(), run_.network.network.name, accuracy_text(),
            core::significant(static_cast<double>(unpruned.macs) * 1e-6),
            core::counted(run_.network.space.groups().size(), "pruning group")));
        describe_norms();
    }

    /// What was done where batch norms are missing: without them magnitudes rank channels badly,
    /// and nothing can be recalibrated.
    void describe_norms() const {
        if (last_ < Stage::search) return;
        const InsertedNorms& norms = run_.accuracy.norms;
        const std::size_t missing = run_.evaluator
                                        ? norms.missing
                                        : network::layers_without_norm(run_.network.network).size();
        if (missing == 0) return;
        const std::string layers = fmt::format(
            "{} no batch norms", core::counted(missing, "convolution has", "convolutions have"));
        if (norms.images > 0)
            run_.job.log.info(fmt::format("{} (folded away?): inserted, from {}", layers,
                                          core::counted(norms.images, "training image")));
        else if (!run_.evaluator)
            run_.job.log.info(layers + "; none are inserted, as accuracies play no part");
        else if (run_.accuracy.images.train.count == 0)
            run_.job.log.warning(layers +
                                 " (folded away?), and without images (data.file) none can be "
                                 "inserted: channels are ranked badly, nothing is recalibrated");
        else
            run_.job.log.warning(layers + ", and none are inserted "
                                          "(network.insert_batch_norms = false): channels are "
                                          "ranked badly, nothing is recalibrated");
    }

    /// " on 3x32x32 images, 10 classes"
    [[nodiscard]] std::string accuracy_text() const {
        if (last_ < Stage::search) return "";
        if (!run_.evaluator) return ", accuracy not measured";
        const accuracy::ImageData& images = run_.accuracy.images.train;
        if (images.count == 0)
            return fmt::format(", accuracy by {}", run_.settings().accuracy.command.command);
        return fmt::format(" on {}x{}x{} images, {}", images.channels, images.height, images.width,
                           core::counted(images.classes, "class", "classes"));
    }

    core::ExitCode stopped(const StageRow& row) const {
        if (run_.communicator().is_root())
            run_.job.log.info(fmt::format("stopped early during the {} stage, with everything "
                                          "kept; run the same command again to go on",
                                          row.name));
        return core::ExitCode::stopped;
    }

    StudyRun run_;
    Stage last_;
    Attempt attempt_; ///< on the root
    bool warned_of_weakness_ = false;
};

} // namespace

core::ExitCode run_study(const parallel::Job& job, const StudyRequest& request, Stage last) {
    accuracy::keep_freed_memory();
    parallel::use_openmp_threads(job.threads);
    return Study(job, request, last).run();
}

} // namespace hdap::study
