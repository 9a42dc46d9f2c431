#include "hdap/study/study.hpp"

#include "hdap/accuracy/evaluator.hpp"
#include "hdap/core/provenance.hpp"
#include "hdap/core/text.hpp"
#include "hdap/study/attempts.hpp"
#include "stages.hpp"
#include "store.hpp"

#include <cstdio>
#include <functional>
#include <optional>

namespace hdap::study {
namespace {

/// The line of attempts.jsonl that this job writes when it begins.
Attempt this_attempt(const StudyContext& context) {
    const core::Provenance provenance = core::current_provenance();
    Attempt attempt;
    attempt.started = provenance.created;
    attempt.job = provenance.job;
    attempt.host = provenance.host;
    attempt.ranks = context.communicator.size();
    attempt.threads = context.threads;
    attempt.progress_start = progress_of(context.run_directory);
    return attempt;
}

/// The study of one call of run_study.
class Study {
  public:
    explicit Study(const StudyContext& context)
        : context_(context), workpiece_(load_workpiece(context)),
          ids_(stage_identities(context.settings, workpiece_)) {
        context_.communicator.on_root([&] {
            run_.emplace(context_.run_directory, context_.settings, context_.log);
            context_.log.open_file(*run_ / "log.jsonl");
            if (!context_.store.empty()) store_.emplace(context_.store);
            begin_attempt();
            describe();
        });
    }

    core::ExitCode run(Stage last) {
        try {
            const core::ExitCode code = walk(last);
            end_attempt(code, "");
            return code;
        } catch (const core::Error& error) {
            end_attempt(error.exit_code(), error.what());
            throw;
        }
    }

  private:
    core::ExitCode walk(Stage last) {
        bool made = false;
        context_.communicator.on_root([&] { made = make_latency_stages(last); });
        if (!context_.communicator.any(made)) return stopped("first stages");
        if (last < Stage::search) return core::ExitCode::complete;
        const auto problem = make_problem(context_, workpiece_, run_pointer());
        const auto found = run_search(context_, problem, run_pointer(), store_pointer(), ids_);
        if (found.outcome == search::SearchOutcome::stopped) return stopped("search");
        if (last == Stage::search) return core::ExitCode::complete;
        std::vector<Selection> selection;
        context_.communicator.on_root([&] {
            selection =
                select_networks(problem, found.state.log, context_.settings.finetune.candidates);
        });
        const auto finetuned =
            run_finetune(context_, workpiece_, selection, run_pointer(), ids_.networks);
        if (!finetuned) return stopped("fine-tuning");
        if (last == Stage::finetune) return core::ExitCode::complete;
        context_.communicator.on_root([&] { report(problem, found.state, *finetuned); });
        return core::ExitCode::complete;
    }

    const RunDirectory* run_pointer() const { return run_ ? &*run_ : nullptr; }
    const Store* store_pointer() const { return store_ ? &*store_ : nullptr; }

    void begin_attempt() {
        attempt_ = this_attempt(context_);
        if (context_.give_up_after > 0)
            if (const auto why = lack_of_progress(read_attempts(run_->path()),
                                                  attempt_.progress_start, context_.give_up_after))
                throw core::InternalError(*why + "; see " + (*run_ / "log.jsonl").string() +
                                          ". To try once more, leave --give-up-after out");
        append_attempt_start(run_->path(), attempt_);
    }

    /// On the root. What cannot be written (a full disk, perhaps the reason of the end) must not
    /// hide how the job ended.
    void end_attempt(core::ExitCode code, const std::string& message) {
        if (!run_) return;
        attempt_.ended = core::utc_now();
        attempt_.progress_end = progress_of(run_->path());
        attempt_.exit_code = static_cast<int>(code);
        attempt_.message = message;
        try {
            append_attempt_end(run_->path(), attempt_);
        } catch (const core::Error& error) {
            context_.log.warning(error.what());
        }
    }

    void describe() const {
        const Settings& settings = context_.settings;
        const auto unpruned = workpiece_.costs.total(workpiece_.space.unpruned());
        context_.log.info("study " + settings.name + " in " + context_.run_directory.string() +
                          ": " + workpiece_.network.name + " on " + image_text() + ", " +
                          core::significant(static_cast<double>(unpruned.macs) * 1e-6) +
                          " M MACs, " + std::to_string(workpiece_.space.groups().size()) +
                          " pruning groups");
    }

    /// "3x32x32 images, 10 classes"
    [[nodiscard]] std::string image_text() const {
        const accuracy::ImageData& images = workpiece_.train;
        if (images.count == 0) return "accuracy by " + context_.settings.accuracy.command.command;
        return std::to_string(images.channels) + "x" + std::to_string(images.height) + "x" +
               std::to_string(images.width) + " images, " + std::to_string(images.classes) +
               " classes";
    }

    /// Makes what is missing of the stages before the search; returns whether all are there now.
    bool make_latency_stages(Stage last) const {
        using storage::FileIdentity;
        const auto stage = [&](Stage which, const std::string& file, const FileIdentity& id,
                               const std::function<void()>& make) {
            return which > last || ensure_stage(file, id, make);
        };
        return stage(Stage::fleet, "fleet.h5", ids_.fleet,
                     [&] { make_fleet(context_, workpiece_, *run_, ids_.fleet); }) &&
               stage(Stage::clusters, "clusters.h5", ids_.clusters,
                     [&] { make_clusters(context_, *run_, ids_.clusters); }) &&
               stage(Stage::profile, "profile.h5", ids_.profile,
                     [&] { make_profile(context_, workpiece_, *run_, ids_.profile); }) &&
               stage(Stage::surrogates, "surrogates.h5", ids_.surrogates,
                     [&] { make_surrogates(context_, *run_, ids_.surrogates); });
    }

    /// Takes a stage's output from the run directory, else from the store, else makes it. Returns
    /// false when asked to stop while another study makes it.
    bool ensure_stage(const std::string& name, const storage::FileIdentity& id,
                      const std::function<void()>& make) const {
        const std::filesystem::path file = *run_ / name;
        if (is_up_to_date(file, id, context_.log)) return true;
        if (!store_) {
            make();
            return true;
        }
        const auto lock = store_->lock(id, [&] { return context_.control.stop_requested(); });
        if (!lock) return false;
        if (store_->fetch(id, file)) {
            context_.log.info(name + ": taken from the store " + context_.store.string());
            return true;
        }
        make();
        store_->keep(id, file);
        return true;
    }

    core::ExitCode stopped(const std::string& what) const {
        if (context_.communicator.is_root())
            context_.log.info("stopped early during the " + what +
                              ", with everything kept; run the same command again to go on");
        return core::ExitCode::stopped;
    }

    void report(const search::SearchProblem& problem, const search::SearchState& state,
                const std::vector<FinetunedNetwork>& finetuned) {
        const std::string table =
            make_report(context_, workpiece_, *run_, problem, state, finetuned);
        ensure_results(context_, workpiece_, *run_, problem, state, finetuned, ids_.results);
        std::fputs(table.c_str(), stdout);
        std::printf("\nstudy %s is complete: %s, %s\n", context_.settings.name.c_str(),
                    (*run_ / "report.html").c_str(), (*run_ / "front.csv").c_str());
        std::fflush(stdout);
    }

    const StudyContext& context_;
    Workpiece workpiece_;
    StageIdentities ids_;
    std::optional<RunDirectory> run_; ///< on the root
    std::optional<Store> store_;      ///< on the root, when there is one
    Attempt attempt_;                 ///< on the root
};

} // namespace

std::string name_of(Stage stage) {
    switch (stage) {
    case Stage::fleet:
        return "fleet";
    case Stage::clusters:
        return "clusters";
    case Stage::profile:
        return "profile";
    case Stage::surrogates:
        return "surrogates";
    case Stage::search:
        return "search";
    case Stage::finetune:
        return "finetune";
    case Stage::report:
        break;
    }
    return "report";
}

core::ExitCode run_study(const StudyContext& context, Stage last) {
    accuracy::use_one_thread_per_candidate();
    return Study(context).run(last);
}

} // namespace hdap::study
