#pragma once

#include "hdap/cli/cli.hpp"
#include "hdap/parallel/communicator.hpp"

#include <CLI/CLI.hpp>

#include <functional>

/// The subcommands, one a file; private to the module.
namespace hdap::cli {

/// Each adds a subcommand to `app`; when that is chosen, `action` becomes what it does.
void add_run_command(CLI::App& app, Action& action);
void add_stage_commands(CLI::App& app, Action& action);
void add_fleet_commands(CLI::App& app, Action& action);
void add_fleet_measure_command(CLI::App& app, Action& action); // after add_fleet_commands
void add_profile_commands(CLI::App& app, Action& action);      // after add_stage_commands
void add_network_commands(CLI::App& app, Action& action);
void add_data_commands(CLI::App& app, Action& action);
void add_train_command(CLI::App& app, Action& action);
void add_inspect_command(CLI::App& app, Action& action);
void add_ablate_commands(CLI::App& app, Action& action);
void add_bench_command(CLI::App& app, Action& action);

/// Add `eval`, `prune` and `time` to the commands of `hdap network`.
void add_network_eval_command(CLI::App& network, Action& action);
void add_network_prune_command(CLI::App& network, Action& action);
void add_network_time_command(CLI::App& network, Action& action);

/// Add `import`, `info` and `verify` to the commands of `hdap fleet`.
void add_fleet_import_command(CLI::App& fleet, Action& action);
void add_fleet_info_command(CLI::App& fleet, Action& action);
void add_fleet_drift_command(CLI::App& fleet, Action& action);
void add_fleet_advise_command(CLI::App& fleet, Action& action);
void add_fleet_verify_command(CLI::App& fleet, Action& action);

/// Adds `collect` to the commands of `hdap ablate`.
void add_ablate_collect_command(CLI::App& ablate, Action& action);

/// Adds a subcommand with a description and an example, which end its --help.
CLI::App* add_command(CLI::App& app, const std::string& name, const std::string& description,
                      const std::string& example);

/// Runs `body` on every rank, in an MPI environment. An AgreedError becomes one message and an
/// orderly end; any other error ends all ranks, as the others may be waiting for this one.
core::ExitCode
run_on_all_ranks(Arguments arguments,
                 const std::function<core::ExitCode(const parallel::Communicator&)>& body);

} // namespace hdap::cli
