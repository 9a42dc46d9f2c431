#include "commands.hpp"
#include "hdap/core/text.hpp"
#include "hdap/fleet/latency_unit.hpp"
#include "hdap/fleet/measurement_results.hpp"
#include "hdap/study/study.hpp"
#include "option_checks.hpp"
#include "study_options.hpp"

#include <cstdio>
#include <memory>

namespace hdap::cli {
namespace {

using core::ExitCode;

struct ResultsOptions {
    StudyOptions study;
    fleet::ImportRequest request;
    std::string unit;
};

/// Where the measurements of a study lie.
std::filesystem::path measurements_of(const StudyOptions& options) {
    const study::Settings settings = study::load_settings_file(options.config, options.overrides);
    if (!settings.fleet.measurements.empty()) return settings.fleet.measurements;
    const std::string run =
        options.run_directory.empty() ? "runs/" + settings.name : options.run_directory;
    return std::filesystem::path(run) / study::measurements_folder;
}

/// Measurements that a plan waits for are what it is made for.
ExitCode plan(Arguments arguments, const StudyOptions& options) {
    const ExitCode code = run_on_all_ranks(arguments, [&](const parallel::Communicator& world) {
        return run_stages(world, options, study::Stage::profile);
    });
    return code == ExitCode::waiting ? ExitCode::complete : code;
}

ExitCode import_results(const ResultsOptions& options) {
    fleet::ImportRequest request = options.request;
    if (!options.unit.empty()) request.unit = unit_option(options.unit);
    const std::filesystem::path folder = measurements_of(options.study);
    const fleet::ImportedResults results = fleet::import_results(folder, request);
    std::printf(
        "%s: %s new%s%s\n", folder.c_str(), core::counted(results.added, "measurement").c_str(),
        results.repeated > 0 ? (", " + core::grouped(results.repeated) + " known before").c_str()
                             : "",
        results.failed > 0 ? (", " + core::grouped(results.failed) + " failed").c_str() : "");
    std::printf("%s of %s are there", core::grouped(results.answered).c_str(),
                core::grouped(results.asked).c_str());
    std::printf(results.outstanding.empty() ? "\n" : "; outstanding: %s\n",
                core::join(results.outstanding).c_str());
    std::fflush(stdout);
    for (const std::string& warning : results.warnings)
        std::fprintf(stderr, "warning: %s\n", warning.c_str());
    return ExitCode::complete;
}

void add_plan(CLI::App& group, Action& action) {
    auto options = std::make_shared<StudyOptions>();
    CLI::App* command = add_command(
        group, "plan",
        "Write what real devices are to measure: candidates as files, lists of what each device "
        "lacks, and scripts for tools. Stages before it are run when their output is missing.",
        "hdap profile plan study.toml");
    command->add_option("CONFIG", options->config, "The study's configuration (TOML)")->required();
    add_override_option(*command, options->overrides);
    add_run_options(*command, *options);
    command->callback([options, &action] {
        action = [options](Arguments arguments) { return plan(arguments, *options); };
    });
}

void add_results_import(CLI::App& group, Action& action) {
    auto options = std::make_shared<ResultsOptions>();
    CLI::App* command = add_command(
        group, "import",
        "Read what devices measured for a plan, in any format of hdap fleet import, and say what "
        "is outstanding.",
        "hdap profile import study.toml\n"
        "  hdap profile import study.toml 'logs/{device}/{benchmark}.json'");
    command->add_option("CONFIG", options->study.config, "The study's configuration (TOML)")
        ->required();
    command->add_option("RESULTS", options->request.source,
                        "Files, in quotes, {benchmark} with the candidate's name (default: "
                        "results/ of the plan)");
    add_override_option(*command, options->study.overrides);
    command->add_option("--out", options->study.run_directory,
                        "Run directory (default: runs/ and the study's name)");
    command->add_option("--format", options->request.format, "See hdap fleet import --help")
        ->capture_default_str();
    command->add_option("--unit", options->unit,
                        "Of latencies whose file does not tell it: s, ms, us or ns");
    command->callback(
        [options, &action] { action = [options](Arguments) { return import_results(*options); }; });
}

} // namespace

void add_profile_commands(CLI::App& app, Action& action) {
    CLI::App* group = app.get_subcommand("profile");
    add_plan(*group, action);
    add_results_import(*group, action);
}

} // namespace hdap::cli
