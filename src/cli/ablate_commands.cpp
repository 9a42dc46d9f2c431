#include "commands.hpp"
#include "hdap/ablation/execution.hpp"
#include "hdap/ablation/folder.hpp"
#include "hdap/ablation/plan.hpp"
#include "hdap/ablation/status.hpp"
#include "hdap/ablation/submission.hpp"
#include "hdap/core/log.hpp"
#include "hdap/core/text.hpp"
#include "hdap/parallel/launch.hpp"
#include "hdap/parallel/run_control.hpp"
#include "print_document.hpp"

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <memory>
#include <sstream>

namespace hdap::cli {
namespace {

namespace fs = std::filesystem;
using ablation::Cell;
using ablation::CellState;
using core::ExitCode;

/// What all of these commands are about.
struct AblationOptions {
    std::string plan;
    std::string out;
};

struct RunCellsOptions : AblationOptions {
    std::string cells;
    int workers = 0; ///< 0: as many as the cores can take
    int threads = 1;
    int retries = 2;
    bool retry_failed = false;
    std::string launcher;
    std::string time_limit;
};

struct SubmitOptions : AblationOptions {
    int throttle = 8;
    int cells_per_task = 1;
    int retries = 2;
    bool retry_failed = false;
    std::string sbatch_options;
    std::string script;
    bool dry_run = false;
};

/// Adds a command with PLAN and --out, and what it does.
template <class Options>
CLI::App* add_ablate_command(CLI::App& group, Action& action, const std::string& name,
                             const std::string& description, const std::string& example,
                             const std::shared_ptr<Options>& options,
                             ExitCode (*work)(const Options&)) {
    CLI::App* command = add_command(group, name, description, example);
    command->add_option("PLAN", options->plan, "Plan (TOML)")->required();
    command->add_option("--out", options->out,
                        "Folder of the ablation (default: runs/ and the plan's name)");
    command->callback([options, work, &action] {
        action = [options, work](Arguments) { return work(*options); };
    });
    return command;
}

void add_retry_options(CLI::App& command, int& retries, bool& retry_failed) {
    command
        .add_option("--retries", retries,
                    "Times that a failed cell is tried again, in all; with a wrong configuration "
                    "(2) or constraints that cannot be met (4) it never is")
        ->check(CLI::Range(0, 1000))
        ->capture_default_str();
    command.add_flag("--retry-failed", retry_failed,
                     "Forget the failures so far and try failed cells again");
}

std::vector<std::string> words_of(const std::string& text) {
    std::istringstream stream(text);
    return {std::istream_iterator<std::string>(stream), {}};
}

fs::path this_program() {
    return fs::read_symlink("/proc/self/exe");
}

void forget_all_failures(const ablation::Plan& plan, const ablation::Folder& folder) {
    for (const Cell& cell : plan.cells)
        if (ablation::last_attempt(folder, cell).failures > 0)
            ablation::forget_failures(folder, cell);
}

std::string cell_text(const Cell& cell) {
    return fmt::format("{} ({})", cell.id, core::join(cell.labels));
}

// ---- plan

struct PlanOptions : AblationOptions {
    bool dry_run = false;
};

/// The labels of an axis; the first and the last one when they are many.
std::string labels_text(const ablation::Plan& plan, std::size_t axis) {
    constexpr std::size_t most = 12;
    const std::vector<std::string> labels = ablation::labels_of(plan, axis);
    if (labels.size() <= most) return core::join(labels);
    return fmt::format("{} … {} ({})", labels.front(), labels.back(), labels.size());
}

ExitCode plan_cells(const PlanOptions& options) {
    const ablation::Plan plan = ablation::read_plan(options.plan);
    if (options.dry_run) {
        std::fputs(ablation::manifest_csv(plan).c_str(), stdout);
        return ExitCode::complete;
    }
    const ablation::Folder folder = ablation::folder_of(plan, options.out);
    const std::vector<std::string> others = ablation::write_plan(folder, plan, options.plan);
    std::printf("%s: %s\n", plan.name.c_str(), core::counted(plan.cells.size(), "cell").c_str());
    for (std::size_t axis = 0; axis < plan.axis_names.size(); ++axis)
        std::printf("  %s: %s\n", plan.axis_names[axis].c_str(), labels_text(plan, axis).c_str());
    std::printf("planned in %s\n", folder.root.c_str());
    if (!others.empty())
        std::printf("left alone, as the plan has them no more: %s\n", core::join(others).c_str());
    return ExitCode::complete;
}

// ---- run

ablation::ExecutionParameters
execution_parameters(const RunCellsOptions& options,
                     const std::optional<std::chrono::duration<double>>& limit) {
    ablation::ExecutionParameters parameters;
    parameters.program = this_program();
    parameters.launcher = words_of(options.launcher);
    parameters.threads = options.threads;
    parameters.retries = options.retries;
    const int cores = parallel::available_cores();
    // How many ranks a launcher starts is its own affair.
    const int fitting = parameters.launcher.empty() ? cores / options.threads : 1;
    parameters.workers = options.workers > 0 ? options.workers : std::max(fitting, 1);
    if (limit)
        parameters.deadline =
            std::chrono::steady_clock::now() +
            std::chrono::duration_cast<std::chrono::steady_clock::duration>(*limit);
    return parameters;
}

void print_result(const ablation::Plan& plan, const ablation::ExecutionResult& result,
                  std::size_t chosen) {
    std::printf("%s of %s %s complete, %s failed", core::grouped(result.complete).c_str(),
                core::counted(chosen, "cell").c_str(), chosen == 1 ? "is" : "are",
                core::grouped(result.failed.size()).c_str());
    std::printf(result.waiting.empty() ? "\n" : ", %s waiting for measurements\n",
                core::grouped(result.waiting.size()).c_str());
    for (const ablation::WaitingCell& waiting : result.waiting)
        std::printf("  %s %s\n", cell_text(plan.cells[waiting.cell]).c_str(),
                    waiting.reason.c_str());
    for (const ablation::FailedCell& failed : result.failed)
        std::printf("  %s %s\n", cell_text(plan.cells[failed.cell]).c_str(), failed.reason.c_str());
    if (!result.failed.empty())
        std::printf("once the cause is gone: the same command with --retry-failed\n");
    if (!result.waiting.empty())
        std::printf("once measurements are there: the same command goes on\n");
    if (result.stopped) std::printf("stopped early: the same command goes on\n");
}

ExitCode run_cells(const RunCellsOptions& options) {
    if (parallel::launched_ranks() > 1)
        throw core::UsageError(
            "hdap ablate run starts the cells' processes itself: call it without "
            "mpirun, and give that as --launcher \"mpirun -n 2\"");
    std::optional<std::chrono::duration<double>> limit;
    if (!options.time_limit.empty()) {
        limit = parallel::parse_duration(options.time_limit);
        if (!limit)
            throw core::UsageError(
                fmt::format("--time-limit: '{}' is no duration; write 90s, 30m, 2h or 1:30:00",
                            options.time_limit));
    }
    parallel::RunControl control(limit
                                     ? parallel::Walltime(parallel::Walltime::Clock::now(), *limit)
                                     : parallel::Walltime());
    const ablation::Plan plan = ablation::read_plan(options.plan);
    const std::vector<std::size_t> cells = ablation::choose_cells(plan, options.cells);
    const ablation::Folder folder = ablation::folder_of(plan, options.out);
    ablation::write_plan(folder, plan, options.plan);
    if (options.retry_failed) forget_all_failures(plan, folder);
    core::Log log({.terminal = core::Log::stderr_is_terminal()});
    const auto parameters = execution_parameters(options, limit);
    log.info(fmt::format("{}: {}, {} at a time, in {}", plan.name,
                         core::counted(cells.size(), "cell"), parameters.workers,
                         folder.root.string()));
    const auto result = ablation::execute(plan, folder, cells, parameters, log, control);
    print_result(plan, result, cells.size());
    return result.exit_code();
}

// ---- submit

/// The script that tasks run: the one given, or the one of the checkout or of the installation.
fs::path task_script(const std::string& given) {
    if (!given.empty()) {
        if (!fs::is_regular_file(given))
            throw core::UsageError("--template: there is no file " + given);
        return given;
    }
    const fs::path folder = this_program().parent_path();
    std::vector<std::string> tried;
    for (const fs::path& place : {fs::current_path() / "slurm", folder / "../share/hdap/slurm",
                                  folder / "../../../slurm"}) {
        const fs::path script = (place / "ablation.sbatch").lexically_normal();
        if (fs::is_regular_file(script)) return script;
        tried.push_back(script.string());
    }
    throw core::UsageError(
        fmt::format("ablation.sbatch is at none of {}; give it as --template", core::join(tried)));
}

/// A command line as a shell reads it.
std::string shell_text(const std::vector<std::string>& command) {
    std::vector<std::string> words;
    for (const std::string& word : command) {
        const bool plain = word.find_first_of(" \t\n'\"\\$`&|;<>()*?[]#~!{}") == std::string::npos;
        std::string quoted;
        for (const char c : word)
            quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
        words.push_back(plain ? word : "'" + quoted + "'");
    }
    return core::join(words, " ");
}

ExitCode submit_cells(const SubmitOptions& options) {
    const ablation::Plan plan = ablation::read_plan(options.plan);
    const ablation::Folder folder = ablation::folder_of(plan, options.out);
    const ablation::SubmissionParameters parameters{.program = this_program(),
                                                    .script = task_script(options.script),
                                                    .throttle = options.throttle,
                                                    .cells_per_task = options.cells_per_task,
                                                    .retries = options.retries,
                                                    .sbatch_options =
                                                        words_of(options.sbatch_options)};
    if (!options.dry_run) {
        ablation::write_plan(folder, plan, options.plan);
        if (options.retry_failed) forget_all_failures(plan, folder);
    }
    const auto submission = options.dry_run
                                ? ablation::plan_submission(plan, folder, options.plan, parameters)
                                : ablation::submit(plan, folder, options.plan, parameters);
    for (const ablation::JobArray& array : submission.arrays)
        if (options.dry_run)
            std::printf("%s\n", shell_text(array.command).c_str());
        else
            std::printf("submitted job %s: %s\n", array.job.c_str(),
                        core::counted(array.tasks.size(), "task").c_str());
    if (submission.arrays.empty()) std::printf("nothing to submit\n");
    if (submission.arrays.size() > 1)
        std::printf("%s in %zu arrays, as the cluster's MaxArraySize asks: one after the other\n",
                    core::counted(submission.tasks(), "task").c_str(), submission.arrays.size());
    std::fprintf(stderr, "%zu complete, %zu queued or running, %zu failed and left out\n",
                 submission.complete, submission.elsewhere, submission.given_up.size());
    if (!submission.given_up.empty())
        std::fprintf(stderr, "left out: %s; once the cause is gone: --retry-failed\n",
                     core::join(submission.given_up).c_str());
    return ExitCode::complete;
}

// ---- status

struct StatusOptions : AblationOptions {
    bool json = false;
};

constexpr std::array all_states{CellState::complete, CellState::running, CellState::queued,
                                CellState::stopped,  CellState::waiting, CellState::failed,
                                CellState::missing};

using Statuses = std::vector<ablation::CellStatus>;

std::map<CellState, std::size_t> counts_of(const Statuses& statuses) {
    std::map<CellState, std::size_t> counts;
    for (const ablation::CellStatus& status : statuses)
        ++counts[status.state];
    return counts;
}

/// Which cells are queued; nothing, with a warning, when Slurm does not answer.
std::set<std::string> queued_or_none(const ablation::Folder& folder) {
    try {
        return ablation::queued_cells(folder);
    } catch (const core::UsageError& error) {
        std::fprintf(stderr, "hdap: warning: %s\n", error.what());
        return {};
    }
}

void print_status(const ablation::Plan& plan, const ablation::Folder& folder,
                  const Statuses& statuses) {
    std::printf("%s: %s in %s\n", plan.name.c_str(),
                core::counted(plan.cells.size(), "cell").c_str(), folder.root.c_str());
    auto counts = counts_of(statuses);
    for (const CellState state : all_states)
        std::printf("  %-9s %zu\n", name_of(state).c_str(), counts[state]);
    for (std::size_t i = 0; i < statuses.size(); ++i) {
        const CellState state = statuses[i].state;
        if (state != CellState::running && state != CellState::stopped &&
            state != CellState::waiting && state != CellState::failed)
            continue;
        std::printf("%-8s %s %s\n", name_of(state).c_str(), cell_text(plan.cells[i]).c_str(),
                    statuses[i].reason.c_str());
        if (state == CellState::failed)
            std::printf("         log: %s\n", folder.log(plan.cells[i]).c_str());
    }
}

void print_status_as_json(const ablation::Plan& plan, const ablation::Folder& folder,
                          const Statuses& statuses) {
    nlohmann::ordered_json json{{"name", plan.name}, {"folder", folder.root.string()}};
    auto counts = counts_of(statuses);
    for (const CellState state : all_states)
        json["counts"][name_of(state)] = counts[state];
    json["cells"] = nlohmann::ordered_json::array();
    for (std::size_t i = 0; i < statuses.size(); ++i) {
        const Cell& cell = plan.cells[i];
        nlohmann::ordered_json labels = nlohmann::ordered_json::object();
        for (std::size_t axis = 0; axis < plan.axis_names.size(); ++axis)
            labels[plan.axis_names[axis]] = cell.labels[axis];
        json["cells"].push_back({{"id", cell.id},
                                 {"labels", labels},
                                 {"state", name_of(statuses[i].state)},
                                 {"failures", statuses[i].failures},
                                 {"exit_code", statuses[i].exit_code},
                                 {"reason", statuses[i].reason},
                                 {"log", folder.log(cell).string()}});
    }
    print_document(json);
}

ExitCode show_status(const StatusOptions& options) {
    const ablation::Plan plan = ablation::read_plan(options.plan);
    const ablation::Folder folder = ablation::folder_of(plan, options.out);
    const std::set<std::string> queued = queued_or_none(folder);
    Statuses statuses;
    for (const Cell& cell : plan.cells)
        statuses.push_back(ablation::status_of(folder, cell, queued));
    (options.json ? print_status_as_json : print_status)(plan, folder, statuses);
    return ExitCode::complete;
}

// ---- the command line

void add_plan_command(CLI::App& group, Action& action) {
    const auto options = std::make_shared<PlanOptions>();
    CLI::App* command = add_ablate_command(
        group, action, "plan", "Check a plan and write its manifest: the cells, with their ids.",
        "hdap ablate plan jobs/seeds.toml --dry-run", options, plan_cells);
    command->add_flag("--dry-run", options->dry_run, "Print the manifest (CSV), write nothing");
}

void add_run_cells_command(CLI::App& group, Action& action) {
    const auto options = std::make_shared<RunCellsOptions>();
    CLI::App* command = add_ablate_command(
        group, action, "run",
        "Run the cells that are not complete, some at a time. The same command goes on after a "
        "stop; several may work on one folder.",
        "hdap ablate run jobs/seeds.toml --workers 2", options, run_cells);
    // A task whose list of cells is gone must not run them all.
    command->add_option("--cells", options->cells, "Only these: 1-4,7 of the manifest, or ids")
        ->check([](const std::string& text) {
            return std::string(text.empty() ? "names no cell; without it, all are run" : "");
        });
    command
        ->add_option("--workers", options->workers,
                     "Cells at a time (default: cores / threads; 1 with a launcher)")
        ->check(CLI::Range(1, 4096));
    command->add_option("--threads", options->threads, "Threads per rank of a cell")
        ->check(CLI::Range(1, 4096))
        ->capture_default_str();
    command->add_option("--launcher", options->launcher,
                        "Starts the ranks of a cell: \"mpirun -n 2\", \"srun --mpi=pmix\"");
    command->add_option("--time-limit", options->time_limit,
                        "Stop in time with 75, everything kept: 90s, 30m, 2h, 1:30:00");
    add_retry_options(*command, options->retries, options->retry_failed);
}

void add_submit_command(CLI::App& group, Action& action) {
    const auto options = std::make_shared<SubmitOptions>();
    CLI::App* command = add_ablate_command(
        group, action, "submit",
        "Submit what is missing as a Slurm job array. What is queued already is not submitted "
        "again.",
        "hdap ablate submit jobs/seeds.toml --throttle 16 --sbatch \"--time=2:00:00\"", options,
        submit_cells);
    command->add_option("--throttle", options->throttle, "Tasks that run at the same time")
        ->check(CLI::Range(1, 100'000))
        ->capture_default_str();
    command->add_option("--cells-per-task", options->cells_per_task, "One after the other")
        ->check(CLI::Range(1, 100'000))
        ->capture_default_str();
    command->add_option("--sbatch", options->sbatch_options, "Options of sbatch, split at blanks");
    command->add_option("--template", options->script,
                        "What a task runs (default: slurm/ablation.sbatch)");
    command->add_flag("--dry-run", options->dry_run, "Print sbatch's command line, submit nothing");
    add_retry_options(*command, options->retries, options->retry_failed);
}

void add_status_command(CLI::App& group, Action& action) {
    const auto options = std::make_shared<StatusOptions>();
    CLI::App* command = add_ablate_command(
        group, action, "status",
        "Count the cells that are complete, running, queued, stopped, waiting, failed and missing.",
        "hdap ablate status jobs/seeds.toml", options, show_status);
    command->add_flag("--json", options->json, "Every cell, for a machine to read");
}

} // namespace

void add_ablate_commands(CLI::App& app, Action& action) {
    CLI::App* group = app.add_subcommand("ablate", "Ablations: many studies that vary one");
    group->require_subcommand(1);
    add_plan_command(*group, action);
    add_run_cells_command(*group, action);
    add_submit_command(*group, action);
    add_status_command(*group, action);
    add_ablate_collect_command(*group, action);
}

} // namespace hdap::cli
