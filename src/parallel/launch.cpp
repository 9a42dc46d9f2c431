#include "hdap/parallel/launch.hpp"

#include "cores.hpp"
#include "environment_int.hpp"
#include "hdap/core/provenance.hpp"
#include "hdap/core/text.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <omp.h>
#include <optional>
#include <string_view>
#include <unistd.h>

namespace hdap::parallel {
namespace {

/// Tasks of the step of srun's that this process is in. A job's number of tasks, SLURM_NTASKS, says
/// nothing: what a batch script or a shell of salloc's starts by itself is one process.
std::optional<int> step_tasks() {
    return environment_int("SLURM_STEP_NUM_TASKS");
}

bool has_pmix() {
    return std::getenv("PMIX_RANK") != nullptr; // srun --mpi=pmix
}

/// An environment variable, or "".
std::string_view variable(const char* name) {
    const char* const value = std::getenv(name);
    return value == nullptr ? "" : value;
}

/// Open MPI 5 sets HFI_NO_BACKTRACE and PMIX_MCA_psec within MPI_Init. Ranks that a rank starts
/// with mpirun have these, too, but their OMPI_COMMAND is about themselves.
bool is_started_by_a_rank_of_open_mpi_5() {
    const std::string_view mode = variable("PMIX_SECURITY_MODE");
    const std::string_view launched = variable("OMPI_COMMAND");
    if (mode.empty() || launched.empty()) return false;
    return variable("PMIX_MCA_psec") == mode && !variable("HFI_NO_BACKTRACE").empty() &&
           launched.substr(launched.rfind('/') + 1) != ::program_invocation_short_name;
}

/// Whether a rank of another MPI program started this process: what the launcher says is about that
/// one. Open MPI 4 sets the first two within MPI_Init.
bool is_started_by_a_rank() {
    return std::getenv("ORTE_SCHIZO_DETECTION") != nullptr || variable("OMPI_MCA_ess") == "pmi" ||
           is_started_by_a_rank_of_open_mpi_5();
}

[[noreturn]] void refuse_split_singletons(int tasks) {
    throw core::UsageError(fmt::format(
        "Slurm started {} tasks, but MPI sees one rank: the tasks would all run the same job. "
        "Start with 'srun --mpi=pmix hdap …' or 'mpirun hdap …', or ask for one task",
        tasks));
}

int automatic_threads(const std::vector<int>& cores, const Communicator::Node& node) {
    if (const auto threads = environment_int("OMP_NUM_THREADS")) return *threads;
    if (const auto threads = environment_int("SLURM_CPUS_PER_TASK")) return *threads;
    // A rank that is bound alone has cores of its own; unbound ranks all see the same cores.
    const bool bound = static_cast<int>(cores.size()) * node.size <= sysconf(_SC_NPROCESSORS_ONLN);
    return bound ? std::max(1, static_cast<int>(cores.size()))
                 : std::max(1, available_cores() / node.size);
}

/// A rank as it was started.
struct Rank {
    int number = 0;
    int threads = 1;
    bool asked = false;     ///< whether the user said how many threads
    std::vector<int> cores; ///< that it may use
    int ranks_of_node = 1;
};

/// Why the ranks of this node use fewer cores than there are, and what to do.
std::string cause_of_idle_cores(const Rank& rank, int cores_of_node) {
    const bool by_slurm = std::getenv("SLURM_JOB_ID") != nullptr;
    const int fitting = std::max(1, cores_of_node / rank.ranks_of_node);
    const char* const plural = rank.cores.size() == 1 ? "" : "s";
    for (const char* name : {"OMP_NUM_THREADS", "SLURM_CPUS_PER_TASK"})
        if (const auto threads = environment_int(name);
            !rank.asked && threads == rank.threads &&
            *threads < static_cast<int>(rank.cores.size()))
            return fmt::format("{} is {}; --threads {} uses all", name, *threads, fitting);
    return fmt::format(
        "rank {} with {} is bound to core{} {}; start it with {}", rank.number,
        core::counted(rank.threads, "thread"), plural, core_list(rank.cores),
        by_slurm ? fmt::format("srun --cpus-per-task={}, or mpirun --bind-to none", fitting)
                 : "mpirun --bind-to none, or start more ranks");
}

/// Empty when this node's cores are used, or as many as the user asked for.
std::string idle_cores_text(const Rank& rank, const std::string& host) {
    const int usable = std::max(1, static_cast<int>(rank.cores.size()));
    if (rank.asked && rank.threads <= usable) return "";
    const int cores = cores_for_job(rank.cores, rank.ranks_of_node);
    const int idle = cores - rank.ranks_of_node * std::min(rank.threads, usable);
    if (idle < rank.ranks_of_node) return ""; // what is left when ranks share cores evenly
    return fmt::format("{} of {} cores of {} {} idle: {}", idle, cores, host,
                       idle == 1 ? "is" : "are", cause_of_idle_cores(rank, cores));
}

} // namespace

int available_cores() {
    const int bound = std::max(1, static_cast<int>(bound_cores().size()));
    // Without cgroups a job's script may run on cores of other jobs, too.
    const bool in_job = std::getenv("SLURM_JOB_ID") != nullptr;
    const auto of_job = in_job ? environment_int("SLURM_CPUS_ON_NODE") : std::nullopt;
    return std::min(bound, of_job.value_or(bound));
}

std::string core_list(const std::vector<int>& cores) {
    std::string text;
    for (std::size_t i = 0; i < cores.size();) {
        std::size_t last = i;
        while (last + 1 < cores.size() && cores[last + 1] == cores[last] + 1)
            ++last;
        text += (text.empty() ? "" : ",") + std::to_string(cores[i]);
        if (last > i) text += "-" + std::to_string(cores[last]);
        i = last + 1;
    }
    return text;
}

int launched_ranks() {
    if (is_started_by_a_rank()) return 1;
    for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"}) // Open MPI; MPICH, Slurm's PMI-2
        if (const auto ranks = environment_int(name)) return *ranks;
    return has_pmix() ? step_tasks().value_or(1) : 1;
}

bool is_certainly_alone() {
    if (launched_ranks() > 1) return false;
    // Other launchers with PMIx tell MPI alone how many ranks there are.
    const bool counted = std::getenv("OMPI_COMM_WORLD_SIZE") != nullptr ||
                         std::getenv("PMI_SIZE") != nullptr || step_tasks().has_value();
    return is_started_by_a_rank() || counted || !has_pmix();
}

void refuse_launch_without_pmi() {
    if (is_started_by_a_rank() || std::getenv("OMPI_COMM_WORLD_SIZE") != nullptr) return;
    if (const int tasks = step_tasks().value_or(1); tasks > 1 && launched_ranks() == 1)
        refuse_split_singletons(tasks);
}

Launch inspect_launch(const Communicator& communicator, int requested_threads) {
    communicator.on_every_rank([&] {
        const int tasks = step_tasks().value_or(1);
        if (tasks > 1 && communicator.size() == 1) refuse_split_singletons(tasks);
    });
    const Communicator::Node node = communicator.node();
    Rank rank{.number = communicator.rank(),
              .threads = requested_threads,
              .asked = requested_threads > 0,
              .cores = bound_cores(),
              .ranks_of_node = node.size};
    if (!rank.asked) rank.threads = automatic_threads(rank.cores, node);
    const std::string host = core::current_provenance().host;
    Launch launch;
    launch.ranks = communicator.size();
    launch.threads_per_rank = rank.threads;
    launch.bindings = communicator.gather_texts(
        fmt::format("rank {} on {}: {} on cores {}", rank.number, host,
                    core::counted(rank.threads, "thread"), core_list(rank.cores)));
    for (const std::string& text : communicator.gather_texts(idle_cores_text(rank, host)))
        if (launch.idle_cores.empty()) launch.idle_cores = text;
    return launch;
}

void use_openmp_threads(int threads) {
    omp_set_num_threads(threads);
}

} // namespace hdap::parallel
