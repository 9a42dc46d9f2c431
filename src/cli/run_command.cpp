#include "commands.hpp"
#include "hdap/core/log.hpp"
#include "hdap/core/text.hpp"
#include "hdap/core/version.hpp"
#include "hdap/parallel/launch.hpp"
#include "hdap/study/presets.hpp"
#include "study_options.hpp"

#include <fmt/core.h>

#include <cstdio>
#include <memory>

namespace hdap::cli {
namespace {

using core::ExitCode;

void describe_launch(const parallel::Launch& launch, const parallel::Walltime& walltime,
                     core::Log& log) {
    log.info(fmt::format("hdap {} ({}), {}", core::version, core::git_commit,
                         core::counted(launch.ranks, "rank")));
    constexpr std::size_t most_lines = 8;
    for (std::size_t i = 0; i < launch.bindings.size() && i < most_lines; ++i)
        log.info("  " + launch.bindings[i]);
    if (launch.bindings.size() > most_lines)
        log.info(fmt::format("  … and {} more", launch.bindings.size() - most_lines));
    if (!launch.idle_cores.empty()) log.warning(launch.idle_cores);
    if (walltime.limit())
        log.info("time left for this job: " + core::duration_text(walltime.limit()->count()));
}

struct RunOptions {
    StudyOptions study;
    bool print_config = false;
};

ExitCode print_config(const StudyOptions& options) {
    const study::Settings settings =
        options.config.empty() ? study::default_settings(options.overrides)
                               : study::load_settings_file(options.config, options.overrides);
    std::fputs(study::settings_text(settings).c_str(), stdout);
    return ExitCode::complete;
}

} // namespace

void add_override_option(CLI::App& command, std::vector<std::string>& overrides) {
    command
        .add_option("--set", overrides,
                    fmt::format("Override a setting, KEY=VALUE, or name a preset, preset={}; may "
                                "be given several times",
                                core::join(study::preset_names(), "|")))
        ->take_all()
        ->expected(1)
        ->allow_extra_args(false); // else CONFIG behind it would be taken for another one
}

void add_store_option(CLI::App& command, std::string& store) {
    command.add_option(
        "--store", store,
        "Folder that studies share: stage outputs, accuracies, and what devices measured");
}

void add_run_options(CLI::App& command, StudyOptions& options) {
    command.add_option("--out", options.run_directory,
                       "Run directory (default: runs/ and the study's name)");
    add_job_options(command, options.job);
    add_store_option(command, options.store);
    command
        .add_option("--give-up-after", options.give_up_after,
                    "End with 1 when so many attempts brought nothing new; 0: never")
        ->check(CLI::Range(0, 1'000'000));
}

ExitCode run_stages(const parallel::Communicator& world, const StudyOptions& options,
                    study::Stage last) {
    parallel::RunControl control(walltime_of(options.job.time_limit, world));
    core::Log log({.quiet = options.job.quiet || !world.is_root(),
                   .terminal = core::Log::stderr_is_terminal()});
    const auto launch = parallel::inspect_launch(world, options.job.threads);
    std::optional<study::Settings> settings;
    // Every rank reads the small configuration; an error in it is reported once.
    world.on_every_rank(
        [&] { settings = study::load_settings_file(options.config, options.overrides); });
    if (world.is_root()) describe_launch(launch, control.walltime(), log);
    const std::string folder =
        options.run_directory.empty() ? "runs/" + settings->name : options.run_directory;
    return study::run_study({world, log, control, launch.threads_per_rank},
                            {.settings = *settings,
                             .run_directory = folder,
                             .store = options.store,
                             .give_up_after = options.give_up_after},
                            last);
}

void add_run_command(CLI::App& app, Action& action) {
    auto options = std::make_shared<RunOptions>();
    CLI::App* command = add_command(
        app, "run",
        "Run a study: fleet, clusters, profile, surrogates, search, fine-tuning, report.\n"
        "The same command starts it, continues it after a stop, or says that it is complete.",
        "mpirun -n 2 hdap run configs/quickstart.toml --set search.population=32 --out "
        "runs/wide");
    command->add_option("CONFIG", options->study.config, "The study's configuration (TOML)");
    command->add_flag("--print-config", options->print_config,
                      "Print every setting with its value and a comment, and end");
    add_override_option(*command, options->study.overrides);
    add_run_options(*command, options->study);
    command->callback([options, &action] {
        action = [options](Arguments arguments) {
            if (options->print_config) return print_config(options->study);
            return run_on_all_ranks(arguments, [&](const parallel::Communicator& world) {
                if (options->study.config.empty())
                    throw parallel::AgreedError(core::ErrorKind::usage,
                                                "hdap run: CONFIG is missing; try hdap run "
                                                "configs/quickstart.toml, or --print-config");
                return run_stages(world, options->study, study::Stage::report);
            });
        };
    });
}

namespace {

/// Adds a subcommand that runs a study up to one stage.
void add_stage_command(CLI::App& app, Action& action, const std::string& name,
                       const std::string& description, const std::string& example,
                       study::Stage last) {
    auto options = std::make_shared<StudyOptions>();
    CLI::App* command = add_command(
        app, name, description + " Stages before it are run when their output is missing.",
        example);
    command->add_option("CONFIG", options->config, "The study's configuration (TOML)");
    add_override_option(*command, options->overrides);
    add_run_options(*command, *options);
    command->callback([options, last, command, &action] {
        if (!command->get_subcommands().empty()) return; // which has an action of its own
        if (options->config.empty()) throw CLI::RequiredError("CONFIG");
        action = [options, last](Arguments arguments) {
            return run_on_all_ranks(arguments, [&](const parallel::Communicator& world) {
                return run_stages(world, *options, last);
            });
        };
    });
}

} // namespace

void add_stage_commands(CLI::App& app, Action& action) {
    using study::Stage;
    add_stage_command(app, action, "profile",
                      "Measure random candidates on each cluster's representatives.",
                      "hdap profile configs/quickstart.toml", Stage::profile);
    CLI::App* surrogate = app.add_subcommand("surrogate", "The clusters' latency surrogates");
    surrogate->require_subcommand(1);
    add_stage_command(*surrogate, action, "fit", "Fit the latency surrogates of all clusters.",
                      "hdap surrogate fit configs/quickstart.toml", Stage::surrogates);
    add_stage_command(app, action, "search", "Search for the front.",
                      "mpirun -n 2 hdap search configs/quickstart.toml", Stage::search);
    add_stage_command(app, action, "finetune", "Fine-tune the best candidates of the front.",
                      "mpirun -n 2 hdap finetune configs/quickstart.toml", Stage::finetune);
    add_stage_command(app, action, "report", "Write front.csv and report.html.",
                      "hdap report configs/quickstart.toml", Stage::report);
    CLI::App* fleet = app.get_subcommand("fleet");
    add_stage_command(*fleet, action, "synth",
                      "Make a study's fleet: simulate it, or read what was recorded of it.",
                      "hdap fleet synth configs/quickstart.toml", Stage::fleet);
}

} // namespace hdap::cli
