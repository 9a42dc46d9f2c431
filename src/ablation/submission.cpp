#include "hdap/ablation/submission.hpp"

#include "hdap/ablation/status.hpp"
#include "hdap/core/command.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/settings.hpp"
#include "hdap/core/text.hpp"
#include "hdap/storage/run_lock.hpp"
#include "hdap/storage/sealed_file.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <optional>
#include <span>
#include <sstream>

namespace hdap::ablation {
namespace {

namespace fs = std::filesystem;

/// What is known of a job array that was submitted.
struct ArrayRecord {
    std::string job;
    std::vector<std::vector<std::string>> tasks; ///< ids of cells
};

fs::path cells_file(const Folder& folder, int number) {
    return folder.root / (fmt::format("array-{}.txt", number));
}

fs::path record_file(const Folder& folder, int number) {
    return folder.root / (fmt::format("array-{}.toml", number));
}

std::string read_text(const fs::path& file) {
    std::ifstream stream(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
}

void write_text(const fs::path& file, const std::string& text) {
    storage::write_atomically(file, std::as_bytes(std::span(text)));
}

std::vector<std::string> split(const std::string& text, char separator) {
    std::vector<std::string> parts;
    std::istringstream stream(text);
    for (std::string part; std::getline(stream, part, separator);)
        parts.push_back(part);
    return parts;
}

/// What is written down about an array.
core::Configuration record_of(std::string& job) {
    return {{"array",
             "A job array that hdap ablate submit made",
             {core::text("job", job, {}, "Slurm's id of the job", core::Outputs::nothing)}}};
}

/// The arrays whose submission came to its end. A number whose record is missing was not accepted,
/// or its submission was killed; the claims keep its cells from being done twice.
std::vector<ArrayRecord> read_records(const Folder& folder) {
    std::vector<ArrayRecord> records;
    for (int number = 1; fs::exists(cells_file(folder, number)); ++number) {
        const fs::path file = record_file(folder, number);
        if (!fs::exists(file)) continue;
        ArrayRecord record;
        core::load_settings(record_of(record.job), read_text(file), file.string(), {});
        for (const std::string& line : split(read_text(cells_file(folder, number)), '\n'))
            record.tasks.push_back(split(line, ','));
        records.push_back(std::move(record));
    }
    return records;
}

/// "JOB_TASK" of all tasks of these arrays that wait or run.
std::set<std::string> active_tasks(const std::vector<ArrayRecord>& records) {
    std::vector<std::string> jobs;
    for (const ArrayRecord& record : records)
        jobs.push_back(record.job);
    const core::CommandOutcome answer =
        core::run_command({"squeue", "-h", "-r", "-j", core::join(jobs, ","), "-o", "%F_%K"});
    // Slurm forgets a job some minutes after its end.
    if (answer.exit_code != 0 && answer.errors.find("Invalid job id") != std::string::npos)
        return {};
    if (answer.exit_code != 0)
        throw core::UsageError("squeue cannot say which cells are queued: " + answer.errors);
    const std::vector<std::string> lines = split(answer.output, '\n');
    return {lines.begin(), lines.end()};
}

/// "sbatch" with its arguments, and what the tasks find in their environment.
std::vector<std::string> submit_command(const Plan& plan, const Folder& folder,
                                        const fs::path& plan_file, const Submission& submission,
                                        const SubmissionParameters& parameters) {
    const std::string array = submission.cells_file.stem().string();
    std::vector<std::string> command{
        "env",
        "HDAP_PLAN=" + fs::absolute(plan_file).string(),
        "HDAP_ABLATION=" + folder.root.string(),
        "HDAP_CELLS_FILE=" + submission.cells_file.string(),
        "HDAP_PROGRAM=" + parameters.program.string(),
        "sbatch",
        "--parsable",
        "--export=ALL",
        "--job-name=hdap-" + plan.name,
        "--output=" + (folder.root / "logs" / (array + "-%a.log")).string(),
        fmt::format("--array=1-{}%{}", submission.tasks.size(), parameters.throttle)};
    command.insert(command.end(), parameters.sbatch_options.begin(),
                   parameters.sbatch_options.end());
    command.push_back(fs::absolute(parameters.script).string());
    return command;
}

/// The id in what `sbatch --parsable` prints: "123" or "123;cluster", after warnings.
std::optional<std::string> job_id(const std::string& output) {
    const std::vector<std::string> lines = split(output, '\n');
    for (auto line = lines.rbegin(); line != lines.rend(); ++line) {
        const std::string id = line->substr(0, line->find(';'));
        if (!id.empty() && id.find_first_not_of("0123456789") == std::string::npos) return id;
    }
    return std::nullopt;
}

} // namespace

std::set<std::string> queued_cells(const Folder& folder) {
    std::set<std::string> queued;
    const std::vector<ArrayRecord> records = read_records(folder);
    if (records.empty()) return queued;
    const std::set<std::string> active = active_tasks(records);
    for (const ArrayRecord& record : records)
        for (std::size_t task = 0; task < record.tasks.size(); ++task)
            if (active.contains(record.job + "_" + std::to_string(task + 1)))
                queued.insert(record.tasks[task].begin(), record.tasks[task].end());
    return queued;
}

Submission plan_submission(const Plan& plan, const Folder& folder, const fs::path& plan_file,
                           const SubmissionParameters& parameters) {
    Submission submission;
    const std::set<std::string> queued = queued_cells(folder);
    for (const Cell& cell : plan.cells) {
        const CellStatus status = status_of(folder, cell, queued);
        if (status.state == CellState::complete) {
            ++submission.complete;
        } else if (status.state == CellState::running || status.state == CellState::queued) {
            ++submission.elsewhere;
        } else if (status.failures > parameters.retries) {
            submission.given_up.push_back(cell.id);
        } else {
            const auto full = static_cast<std::size_t>(parameters.cells_per_task);
            if (submission.tasks.empty() || submission.tasks.back().size() == full)
                submission.tasks.emplace_back();
            submission.tasks.back().push_back(cell.id);
        }
    }
    int number = 1;
    while (fs::exists(cells_file(folder, number)))
        ++number;
    submission.cells_file = cells_file(folder, number);
    if (!submission.tasks.empty())
        submission.command = submit_command(plan, folder, plan_file, submission, parameters);
    return submission;
}

Submission submit(const Plan& plan, const Folder& folder, const fs::path& plan_file,
                  const SubmissionParameters& parameters) {
    const storage::RunLock lock(folder.root);
    Submission submission = plan_submission(plan, folder, plan_file, parameters);
    if (submission.tasks.empty()) return submission;
    std::string lines;
    for (const std::vector<std::string>& task : submission.tasks)
        lines += core::join(task, ",") + "\n";
    write_text(submission.cells_file, lines);
    const core::CommandOutcome answer = core::run_command(submission.command);
    const std::optional<std::string> job = job_id(answer.output);
    if (answer.exit_code != 0 || !job) {
        fs::remove(submission.cells_file);
        throw core::UsageError(
            answer.exit_code == 127
                ? "sbatch is not there: hdap ablate submit needs Slurm; hdap ablate run works "
                  "without"
                : fmt::format("sbatch refused the array of {} (fewer with --cells-per-task): {}",
                              core::counted(submission.tasks.size(), "task"), answer.errors));
    }
    submission.job = *job;
    fs::path record = submission.cells_file;
    write_text(record.replace_extension(".toml"),
               core::settings_as_toml(record_of(submission.job)));
    return submission;
}

} // namespace hdap::ablation
