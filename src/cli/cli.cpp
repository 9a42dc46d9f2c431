#include "hdap/cli/cli.hpp"

#include "hdap/core/text.hpp"
#include "hdap/core/version.hpp"

#include <cstdio>
#include <new>

#include "commands.hpp"

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
    "again).";

void print_error(const std::string& message) {
    std::fprintf(stderr, "hdap: error: %s\n", message.c_str());
}

/// Runs `work` and turns what it throws into a message and an exit code.
ExitCode reported(const std::function<ExitCode()>& work) {
    try {
        return work();
    } catch (const core::Error& error) {
        print_error(error.what());
        return error.exit_code();
    } catch (const std::bad_alloc&) {
        print_error("out of memory");
    } catch (const std::exception& error) {
        print_error(std::string("internal: ") + error.what());
    }
    return ExitCode::internal_error;
}

/// "(did you mean 'inspect'?)" for a misspelt subcommand.
std::string subcommand_hint(const CLI::App& app, int argc, char** argv) {
    if (argc < 2 || argv[1][0] == '-') return "";
    std::vector<std::string> names;
    for (const CLI::App* command : app.get_subcommands(nullptr))
        names.push_back(command->get_name());
    for (const std::string& name : names)
        if (name == argv[1]) return "";
    return core::did_you_mean(argv[1], names);
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
    const parallel::MpiEnvironment environment(arguments.count, arguments.values);
    const auto world = parallel::Communicator::world();
    try {
        return body(world);
    } catch (const parallel::AgreedError& error) {
        if (world.is_root()) print_error(error.what());
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
    app.set_version_flag("--version",
                         std::string(core::version) + " (" + std::string(core::git_commit) + ")");
    app.require_subcommand(1);
    app.get_formatter()->column_width(34);
    Action action;
    for (const auto add : {add_run_command, add_fleet_commands, add_stage_commands,
                           add_network_commands, add_data_commands, add_train_command,
                           add_inspect_command, add_ablate_commands, add_bench_command})
        add(app, action);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        if (error.get_exit_code() == 0) return app.exit(error); // --help, --version
        print_error(error.what() + subcommand_hint(app, argc, argv) + "; see hdap --help");
        return static_cast<int>(ExitCode::usage);
    }
    return static_cast<int>(reported([&] { return action({argc, argv}); }));
}

} // namespace hdap::cli
