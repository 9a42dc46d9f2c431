#include "commands.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/log.hpp"
#include "hdap/parallel/launch.hpp"
#include "hdap/study/study.hpp"
#include "study_options.hpp"

#include <fmt/core.h>

#include <filesystem>
#include <memory>
#include <optional>

namespace hdap::cli {
namespace {

using core::ExitCode;

struct VerifyOptions {
    std::filesystem::path run_directory;
    study::VerifyRequest request;
    std::string store; ///< folder; empty: none
    JobOptions job;
};

/// Studies of a store take turns on the devices there, so that none disturbs another's measurement.
void require_measurements(const VerifyOptions& options, const study::Settings& settings) {
    const bool keeps_measurements = !settings.fleet.fleet_file.empty();
    const auto folder = options.run_directory / study::measurements_folder;
    if (!keeps_measurements || !settings.fleet.measurements.empty() || !options.store.empty() ||
        std::filesystem::exists(folder))
        return;
    throw core::UsageError(
        fmt::format("there is no {}: the study was run with a store, where studies take turns on "
                    "the devices; name it by --store DIR (of an ablation's cell: the folder store "
                    "beside cells)",
                    folder.string()));
}

ExitCode verify(const parallel::Communicator& world, const VerifyOptions& options) {
    parallel::RunControl control(walltime_of(options.job.time_limit, world));
    core::Log log({.quiet = options.job.quiet || !world.is_root(),
                   .terminal = core::Log::stderr_is_terminal()});
    const auto launch = parallel::inspect_launch(world, options.job.threads);
    std::optional<study::Settings> settings;
    world.on_every_rank([&] {
        for (const char* const file : {"config.toml", "results.h5"})
            if (!std::filesystem::exists(options.run_directory / file))
                throw core::UsageError(
                    fmt::format("{} has no {}; hdap fleet verify needs the run directory of a "
                                "study that is complete",
                                options.run_directory.string(), file));
        settings = study::load_settings_file((options.run_directory / "config.toml").string(), {});
        require_measurements(options, *settings);
    });
    return study::run_study({world, log, control, launch.threads_per_rank},
                            {.settings = *settings,
                             .run_directory = options.run_directory,
                             .store = options.store,
                             .give_up_after = 0,
                             .verify = options.request});
}

} // namespace

void add_fleet_verify_command(CLI::App& group, Action& action) {
    auto options = std::make_shared<VerifyOptions>();
    CLI::App* command = add_command(
        group, "verify",
        "Measure the networks that a study ended with anew on its devices, and hold what was "
        "predicted against that: verification.csv, verified.csv, and from then on the report, "
        "front.csv and results.h5.",
        "hdap fleet verify runs/my-study --devices 20");
    command->add_option("RUNDIR", options->run_directory, "Run directory of a complete study")
        ->required();
    command->add_option("--devices", options->request.devices, "So many, evenly spread; 0: all")
        ->check(CLI::Range(0, 100'000'000))
        ->capture_default_str();
    command->add_flag("--front", options->request.whole_front,
                      "All networks of the front, not only those that were fine-tuned");
    command
        ->add_option("--rounds", options->request.rounds,
                     "Through all networks on a device, so that none is measured in a better hour "
                     "than the others; medians count")
        ->check(CLI::Range(1, 1000))
        ->capture_default_str();
    add_job_options(*command, options->job);
    add_store_option(*command, options->store);
    command->callback([options, &action] {
        action = [options](Arguments arguments) {
            return run_on_all_ranks(arguments, [&](const parallel::Communicator& world) {
                return verify(world, *options);
            });
        };
    });
}

} // namespace hdap::cli
