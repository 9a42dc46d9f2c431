#include "hdap/ablation/plan.hpp"

#include <cstdio>
#include <memory>

#include "commands.hpp"
#include "study_options.hpp"

namespace hdap::cli {
namespace {

using core::ExitCode;

struct AblateOptions {
    std::string plan;
    StudyOptions study;
};

ExitCode print_plan(const std::string& file) {
    std::fputs(ablation::manifest_csv(ablation::read_plan(file)).c_str(), stdout);
    return ExitCode::complete;
}

/// Runs the cells one after the other; those that are complete only say so.
ExitCode run_cells(const parallel::Communicator& world, const AblateOptions& options) {
    ablation::Plan plan;
    world.on_every_rank([&] { plan = ablation::read_plan(options.plan); });
    const std::string folder =
        options.study.run_directory.empty() ? "runs/" + plan.name : options.study.run_directory;
    for (const ablation::Cell& cell : plan.cells) {
        StudyOptions study = options.study;
        study.config = plan.base.string();
        study.overrides = cell.overrides;
        study.run_directory = folder + "/" + cell.id;
        const ExitCode code = run_stages(world, study, study::Stage::report);
        if (code != ExitCode::complete) return code;
    }
    return ExitCode::complete;
}

} // namespace

void add_ablate_commands(CLI::App& app, Action& action) {
    CLI::App* group = app.add_subcommand("ablate", "Grids of studies");
    group->require_subcommand(1);
    auto options = std::make_shared<AblateOptions>();
    CLI::App* plan = add_command(*group, "plan", "Print the cells of a plan as CSV.",
                                 "hdap ablate plan jobs/seeds.toml");
    plan->add_option("PLAN", options->plan, "Plan (TOML)")->required();
    plan->callback([options, &action] {
        action = [options](Arguments) { return print_plan(options->plan); };
    });
    CLI::App* run =
        add_command(*group, "run",
                    "Run the cells of a plan one after the other; continues where it was stopped.",
                    "mpirun -n 2 hdap ablate run jobs/seeds.toml");
    run->add_option("PLAN", options->plan, "Plan (TOML)")->required();
    add_run_options(*run, options->study);
    run->callback([options, &action] {
        action = [options](Arguments arguments) {
            return run_on_all_ranks(arguments, [&](const parallel::Communicator& world) {
                return run_cells(world, *options);
            });
        };
    });
}

} // namespace hdap::cli
