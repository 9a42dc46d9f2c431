#include "hdap/study/study.hpp"

#include "hdap/accuracy/evaluator.hpp"
#include "hdap/core/text.hpp"

#include <chrono>
#include <cstdio>

#include "stages.hpp"

namespace hdap::study {
namespace {

/// The study of one call of run_study.
class Study {
  public:
    explicit Study(const StudyContext& context)
        : context_(context), workpiece_(load_workpiece(context)),
          ids_(stage_identities(context.settings, workpiece_)) {
        context_.communicator.on_root([&] {
            run_.emplace(context_.run_directory, context_.settings, context_.log);
            context_.log.open_file(*run_ / "log.jsonl");
            describe();
        });
    }

    core::ExitCode run(Stage last) {
        context_.communicator.on_root([&] { make_latency_stages(last); });
        if (last < Stage::search) return core::ExitCode::complete;
        const auto problem = make_problem(context_, workpiece_, run_pointer());
        const auto found = run_search(context_, problem, run_pointer(), ids_.search);
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

  private:
    const RunDirectory* run_pointer() const { return run_ ? &*run_ : nullptr; }

    void describe() const {
        const Settings& settings = context_.settings;
        const auto unpruned = workpiece_.costs.total(workpiece_.space.unpruned());
        context_.log.info("study " + settings.name + " in " + context_.run_directory.string() +
                          ": " + workpiece_.network.name + " on " + workpiece_.shape_text + ", " +
                          core::significant(static_cast<double>(unpruned.macs) * 1e-6) +
                          " M MACs, " + std::to_string(workpiece_.space.groups().size()) +
                          " pruning groups");
    }

    void make_latency_stages(Stage last) const {
        const auto stage = [&](Stage which, const std::string& file,
                               const storage::FileIdentity& identity, const auto& make) {
            if (which > last || is_up_to_date(*run_ / file, identity, context_.log)) return;
            make(identity);
        };
        stage(Stage::fleet, "fleet.h5", ids_.fleet, [&](const storage::FileIdentity& id) {
            make_fleet(context_, workpiece_, *run_, id);
        });
        stage(Stage::clusters, "clusters.h5", ids_.clusters,
              [&](const storage::FileIdentity& id) { make_clusters(context_, *run_, id); });
        stage(Stage::profile, "profile.h5", ids_.profile, [&](const storage::FileIdentity& id) {
            make_profile(context_, workpiece_, *run_, id);
        });
        stage(Stage::surrogates, "surrogates.h5", ids_.surrogates,
              [&](const storage::FileIdentity& id) { make_surrogates(context_, *run_, id); });
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
        std::fputs(table.c_str(), stdout);
        std::printf("\nstudy %s is complete: %s, %s\n", context_.settings.name.c_str(),
                    (*run_ / "report.html").c_str(), (*run_ / "front.csv").c_str());
        std::fflush(stdout);
    }

    const StudyContext& context_;
    Workpiece workpiece_;
    StageIdentities ids_;
    std::optional<RunDirectory> run_; ///< on the root
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
