#include "slurm/cluster.hpp"

#include <algorithm>
#include <cstdlib>
#include <stdexcept>
#include <thread>

namespace hdap::test {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

/// How often Slurm is asked.
constexpr auto ask_every = 100ms;

/// The value of KEY=VALUE in what scontrol prints.
std::string field(const std::string& text, const std::string& key) {
    const auto at = text.find(" " + key + "=");
    if (at == std::string::npos) throw std::runtime_error("no " + key + " in: " + text);
    const auto begin = at + key.size() + 2;
    return text.substr(begin, text.find_first_of(" \n", begin) - begin);
}

} // namespace

bool JobState::has_ended() const {
    static const std::vector<std::string> going_on{"PENDING", "RUNNING", "COMPLETING", "SUSPENDED",
                                                   "REQUEUED"};
    return std::find(going_on.begin(), going_on.end(), state) == going_on.end();
}

Cluster::Cluster(const TinyStudy& study) : study_(study) {}

Cluster::~Cluster() {
    for (const std::string& job : jobs_) {
        try {
            if (state(job).has_ended()) continue;
            (void)call({"scancel", "--quiet", job});
            wait(job);
        } catch (const std::runtime_error&) {
            // The end of the cluster ends this job, too.
            continue;
        }
    }
}

Outcome Cluster::call(const Arguments& command, const Process::Environment& environment) const {
    const std::string temporary = study_ / "tmp";
    Process::Environment all{{"OMPI_ALLOW_RUN_AS_ROOT", "1"},
                             {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"},
                             // Both nodes are this machine, where shared memory would be taken.
                             {"OMPI_MCA_btl", "tcp,self"},
                             {"TMPDIR", temporary},
                             {"HDAP_PROGRAM", hdap_program()}};
    all.insert(all.end(), environment.begin(), environment.end());
    return Process(command, all).wait();
}

std::string Cluster::submit(const Arguments& arguments, const Process::Environment& environment) {
    Arguments command{"sbatch", "--parsable", "--output=" + (study_ / "%j.log").string()};
    command.insert(command.end(), arguments.begin(), arguments.end());
    const Outcome outcome = call(command, environment);
    if (outcome.exit_code != 0) throw std::runtime_error("sbatch: " + outcome.errors);
    jobs_.push_back(outcome.output.substr(0, outcome.output.find_first_of(";\n")));
    return jobs_.back();
}

std::string Cluster::submit_search(int nodes, const std::string& run_directory,
                                   const Arguments& more, const Process::Environment& environment) {
    Arguments arguments{"--nodes=" + std::to_string(nodes),
                        "--ntasks-per-node=1",
                        "--cpus-per-task=1",
                        "--time=10",
                        slurm_file("search.sbatch"),
                        study_.config(),
                        "--out",
                        study_ / run_directory};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return submit(arguments, environment);
}

void Cluster::adopt(const std::vector<std::string>& jobs) {
    jobs_.insert(jobs_.end(), jobs.begin(), jobs.end());
}

JobState Cluster::state(const std::string& job) const {
    const Outcome outcome = call({"scontrol", "--oneliner", "show", "job", job});
    if (outcome.exit_code != 0) throw std::runtime_error("scontrol: " + outcome.errors);
    return {.state = field(outcome.output, "JobState"),
            .exit_code = std::stoi(field(outcome.output, "ExitCode")),
            .restarts = std::stoi(field(outcome.output, "Restarts")),
            .nodes = std::stoi(field(outcome.output, "NumNodes"))};
}

std::string Cluster::log(const std::string& job) const {
    return text_of(study_ / (job + ".log"));
}

bool Cluster::wait_until(const std::string& job, const std::function<bool()>& condition,
                         std::chrono::seconds timeout) const {
    const auto end = std::chrono::steady_clock::now() + timeout;
    for (;;) {
        // In this order: what a job did before it ended counts.
        const JobState now = state(job);
        if (condition()) return true;
        if (now.has_ended()) return false;
        if (std::chrono::steady_clock::now() > end)
            throw std::runtime_error("job " + job + " is " + now.state +
                                     " after the time limit:\n" + log(job));
        std::this_thread::sleep_for(ask_every);
    }
}

JobState Cluster::wait(const std::string& job, std::chrono::seconds timeout) const {
    wait_until(
        job, [] { return false; }, timeout);
    return state(job);
}

std::vector<pid_t> processes_of_task(const std::string& job, int task) {
    std::vector<pid_t> found;
    std::error_code ignored;
    for (const fs::directory_entry& entry : fs::directory_iterator("/proc", ignored)) {
        const std::string name = entry.path().filename().string();
        if (name.find_first_not_of("0123456789") != std::string::npos) continue;
        std::error_code gone;
        if (fs::read_symlink(entry.path() / "exe", gone) != hdap_program() || gone) continue;
        const std::string environment = '\0' + text_of(entry.path() / "environ");
        const auto holds = [&](const std::string& variable) {
            return environment.find('\0' + variable + '\0') != std::string::npos;
        };
        if (holds("SLURM_JOB_ID=" + job) && holds("SLURM_PROCID=" + std::to_string(task)) &&
            holds("SLURM_CONF=" + std::string(std::getenv("SLURM_CONF"))))
            found.push_back(static_cast<pid_t>(std::stol(name)));
    }
    return found;
}

std::string slurm_file(const std::string& name) {
    return fs::path(HDAP_SOURCE_DIR) / "slurm" / name;
}

} // namespace hdap::test
