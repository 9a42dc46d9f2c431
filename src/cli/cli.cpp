#include "hdap/cli/cli.hpp"

#include "commands.hpp"
#include "hdap/core/text.hpp"
#include "hdap/core/version.hpp"
#include "hdap/parallel/launch.hpp"

#include <fmt/core.h>

#include <cstdio>
#include <new>

namespace hdap::cli {
namespace {

using core::ExitCode;

constexpr const char* overview =
    "hdap finds pruned neural networks that are fastest over a whole fleet of edge devices of the "
    "same kind.";

constexpr const char* examples =
    "Examples:\n"
    "  mpirun -n 2 hdap run configs/quickstart.toml     start a study, continue it, or see that "
    "it is complete\n"
    "  hdap run --print-config                          every setting, its default and what it "
    "means\n"
    "  hdap inspect runs/quickstart/search.h5           what a file holds\n"
    "\n"
    "Exit codes: 0 complete, 1 internal error, 2 wrong usage or configuration, 3 bad data or "
    "damaged file,\n"
    "4 constraints cannot be met, 75 stopped early with a checkpoint (run the same command "
    "again),\n"
    "76 waiting for measurements (run it again when they are there).";

void print_error(const std::string& message) {
    std::fprintf(stderr, "hdap: error: %s\n", message.c_str());
}

void print_error(const core::Error& error) {
    if (error.kind() == core::ErrorKind::waiting) // nothing is wrong
        std::fprintf(stderr, "hdap: %s\n", error.what());
    else
        print_error(std::string(error.what()));
}

/// Runs `work` and turns what it throws into a message and an exit code.
ExitCode reported(const std::function<ExitCode()>& work) {
    try {
        return work();
    } catch (const core::Error& error) {
        print_error(error);
        return error.exit_code();
    } catch (const std::bad_alloc&) {
        print_error("out of memory");
    } catch (const std::exception& error) {
        print_error(std::string("internal: ") + error.what());
    }
    return ExitCode::internal_error;
}

/// Reports a mistake on the command line. All ranks of a job find the same one: only the root says
/// so, and none ends before, as mpirun then ends the others.
ExitCode report_misuse(Arguments arguments, const std::string& message) {
    if (parallel::launched_ranks() == 1) {
        print_error(message);
        return ExitCode::usage;
    }
    return run_on_all_ranks(arguments, [&](const parallel::Communicator&) -> ExitCode {
        throw parallel::AgreedError(core::ErrorKind::usage, message);
    });
}

/// CLI11's message, or a clearer one when the subcommand does not exist.
std::string parse_error_message(const CLI::App& app, const CLI::ParseError& error, int argc,
                                char** argv) {
    const CLI::App* command = &app;
    for (int i = 1; i < argc && argv[i][0] != '-'; ++i) {
        const std::string word = argv[i];
        std::vector<std::string> names;
        const CLI::App* found = nullptr;
        for (const CLI::App* subcommand : command->get_subcommands(nullptr)) {
            names.push_back(subcommand->get_name());
            if (word == names.back()) found = subcommand;
        }
        if (names.empty() || command->get_require_subcommand_min() == 0) break;
        if (found == nullptr)
            return fmt::format("unknown subcommand '{}'{}", word, core::did_you_mean(word, names));
        command = found;
    }
    return error.what();
}

} // namespace

CLI::App* add_command(CLI::App& app, const std::string& name, const std::string& description,
                      const std::string& example) {
    CLI::App* command = app.add_subcommand(name, description);
    command->footer("Example:\n  " + example);
    return command;
}

ExitCode run_on_all_ranks(Arguments arguments,
                          const std::function<ExitCode(const parallel::Communicator&)>& body) {
    parallel::refuse_launch_without_pmi();
    const parallel::MpiEnvironment environment(arguments.count, arguments.values);
    const auto world = parallel::Communicator::world();
    try {
        return body(world);
    } catch (const parallel::AgreedError& error) {
        if (world.is_root()) print_error(error);
        return error.exit_code();
    } catch (...) {
        const ExitCode code = reported([]() -> ExitCode { throw; });
        if (world.size() > 1) parallel::abort_all_ranks(static_cast<int>(code));
        return code;
    }
}

int run(int argc, char** argv) {
    CLI::App app(overview, "hdap");
    app.footer(examples);
    app.set_version_flag("--version", fmt::format("{} ({})", core::version, core::git_commit));
    app.require_subcommand(1);
    app.get_formatter()->column_width(34);
    Action action;
    for (const auto add :
         {add_run_command, add_fleet_commands, add_fleet_measure_command, add_stage_commands,
          add_profile_commands, add_network_commands, add_data_commands, add_train_command,
          add_inspect_command, add_ablate_commands, add_bench_command})
        add(app, action);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        if (error.get_exit_code() == 0) return app.exit(error); // --help, --version
        return static_cast<int>(report_misuse(
            {argc, argv}, parse_error_message(app, error, argc, argv) + "; see hdap --help"));
    }
    return static_cast<int>(reported([&] { return action({argc, argv}); }));
}

} // namespace hdap::cli
