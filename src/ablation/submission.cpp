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
        core::run_job_command({"squeue", "-h", "-r", "-j", core::join(jobs, ","), "-o", "%F_%K"});
    // Slurm forgets a job some minutes after its end.
    if (answer.exit_code != 0 && answer.errors.find("Invalid job id") != std::string::npos)
        return {};
    if (answer.exit_code != 0)
        throw core::UsageError("squeue cannot say which cells are queued: " + answer.errors);
    const std::vector<std::string> lines = split(answer.output, '\n');
    return {lines.begin(), lines.end()};
}

/// The most tasks that an array of this cluster may have; nothing when that is not known.
std::optional<std::size_t> most_tasks() {
    const core::CommandOutcome answer = core::run_job_command({"scontrol", "show", "config"});
    if (answer.exit_code != 0) return std::nullopt;
    for (const std::string& line : split(answer.output, '\n')) {
        std::istringstream words(line);
        std::string name;
        std::string equals;
        std::size_t size = 0;
        if (!(words >> name >> equals >> size) || name != "MaxArraySize") continue;
        // The largest index is one less than it, and ours begin with 1.
        if (size > 1) return size - 1;
        throw core::UsageError(
            fmt::format("this cluster has no job arrays (MaxArraySize = {}): put hdap ablate run "
                        "into a job of its own",
                        size));
    }
    return std::nullopt;
}

/// "sbatch" with its arguments, and what the tasks find in their environment. `before`: the array
/// that it waits for; empty for none.
std::vector<std::string> submit_command(const Plan& plan, const Folder& folder,
                                        const fs::path& plan_file, const JobArray& array,
                                        const SubmissionParameters& parameters,
                                        const std::string& before) {
    const std::string name = array.cells_file.stem().string();
    std::vector<std::string> command{
        "env",
        "HDAP_PLAN=" + fs::absolute(plan_file).string(),
        "HDAP_ABLATION=" + folder.root.string(),
        "HDAP_CELLS_FILE=" + array.cells_file.string(),
        "HDAP_PROGRAM=" + parameters.program.string(),
        "sbatch",
        "--parsable",
        "--export=ALL",
        "--job-name=hdap-" + plan.name,
        "--output=" + (folder.root / "logs" / (name + "-%a.log")).string(),
        fmt::format("--array=1-{}%{}", array.tasks.size(), parameters.throttle)};
    if (!before.empty()) command.push_back("--dependency=afterany:" + before);
    command.insert(command.end(), parameters.sbatch_options.begin(),
                   parameters.sbatch_options.end());
    command.push_back(fs::absolute(parameters.script).string());
    return command;
}

/// Cuts tasks into arrays that the cluster takes. Their files get the first free numbers.
std::vector<JobArray> arrays_of(const Folder& folder,
                                const std::vector<std::vector<std::string>>& tasks) {
    std::vector<JobArray> arrays;
    const std::size_t most = tasks.empty() ? 0 : most_tasks().value_or(tasks.size());
    int number = 1;
    for (std::size_t first = 0; first < tasks.size(); first += most) {
        const auto begin = tasks.begin() + static_cast<std::ptrdiff_t>(first);
        const auto count = static_cast<std::ptrdiff_t>(std::min(most, tasks.size() - first));
        while (fs::exists(cells_file(folder, number)))
            ++number;
        arrays.push_back(
            {.tasks = {begin, begin + count}, .cells_file = cells_file(folder, number)});
        ++number;
    }
    return arrays;
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

/// `text` without the line breaks at its end.
std::string without_end(const std::string& text) {
    return text.substr(0, text.find_last_not_of('\n') + 1);
}

/// Why sbatch did not take an array, and what to do. `accepted`: the jobs of those before it.
core::UsageError refusal(const core::CommandOutcome& answer, const JobArray& array,
                         const std::vector<std::string>& accepted) {
    if (answer.exit_code == 127)
        return core::UsageError("sbatch is not there: hdap ablate submit needs Slurm; hdap ablate "
                                "run works without");
    std::string text =
        fmt::format("sbatch refused an array of {} (fewer with --cells-per-task): {}",
                    core::counted(array.tasks.size(), "task"), without_end(answer.errors));
    if (answer.errors.find("SubmitJob") != std::string::npos ||
        answer.errors.find("job submit limit") != std::string::npos)
        text += "; you may have no more tasks in the queue at a time: the same command submits the "
                "rest when some have ended";
    if (!accepted.empty())
        text += fmt::format("; submitted before it, and kept: job {}", core::join(accepted));
    return core::UsageError(text);
}

/// Submits an array, and writes down that it was.
void submit_array(JobArray& array, const std::vector<std::string>& accepted) {
    std::string lines;
    for (const std::vector<std::string>& task : array.tasks)
        lines += core::join(task, ",") + "\n";
    storage::write_atomically(array.cells_file, lines);
    const core::CommandOutcome answer = core::run_job_command(array.command);
    if (answer.exit_code != 0) {
        fs::remove(array.cells_file);
        throw refusal(answer, array, accepted);
    }
    const std::optional<std::string> job = job_id(answer.output);
    if (!job) // the tasks, which may be queued, need the file
        throw core::UsageError(fmt::format(
            "sbatch printed no job's id but '{}': whether it took {} is not known; squeue tells",
            core::shortened(core::printable(without_end(answer.output)), 200),
            core::counted(array.tasks.size(), "task")));
    array.job = *job;
    fs::path record = array.cells_file;
    storage::write_atomically(record.replace_extension(".toml"),
                              core::settings_as_toml(record_of(array.job)));
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

std::size_t Submission::tasks() const {
    std::size_t count = 0;
    for (const JobArray& array : arrays)
        count += array.tasks.size();
    return count;
}

Submission plan_submission(const Plan& plan, const Folder& folder, const fs::path& plan_file,
                           const SubmissionParameters& parameters) {
    Submission submission;
    std::vector<std::vector<std::string>> tasks;
    const std::set<std::string> queued = queued_cells(folder);
    for (const Cell& cell : plan.cells) {
        const CellStatus status = status_of(folder, cell, queued);
        if (status.state == CellState::complete) {
            ++submission.complete;
        } else if (status.state == CellState::running || status.state == CellState::queued) {
            ++submission.elsewhere;
        } else if (is_settled(status, parameters.retries)) {
            submission.given_up.push_back(cell.id);
        } else {
            const auto full = static_cast<std::size_t>(parameters.cells_per_task);
            if (tasks.empty() || tasks.back().size() == full) tasks.emplace_back();
            tasks.back().push_back(cell.id);
        }
    }
    submission.arrays = arrays_of(folder, tasks);
    std::string before;
    for (JobArray& array : submission.arrays) {
        array.command = submit_command(plan, folder, plan_file, array, parameters, before);
        before = fmt::format("JOB-OF-{}", array.cells_file.stem().string());
    }
    return submission;
}

Submission submit(const Plan& plan, const Folder& folder, const fs::path& plan_file,
                  const SubmissionParameters& parameters) {
    const storage::RunLock lock(folder.root);
    Submission submission = plan_submission(plan, folder, plan_file, parameters);
    std::vector<std::string> accepted;
    for (JobArray& array : submission.arrays) {
        array.command = submit_command(plan, folder, plan_file, array, parameters,
                                       accepted.empty() ? "" : accepted.back());
        submit_array(array, accepted);
        accepted.push_back(array.job);
    }
    return submission;
}

} // namespace hdap::ablation
