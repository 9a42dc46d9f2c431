#include "hdap/parallel/launch.hpp"

#include "hdap/core/provenance.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <optional>
#include <sched.h>
#include <string_view>
#include <unistd.h>

namespace hdap::parallel {
namespace {

std::optional<int> environment_int(const char* name) {
    const char* text = std::getenv(name);
    if (text == nullptr) return std::nullopt;
    const std::string_view view(text);
    int value = 0;
    // OMP_NUM_THREADS may be a list, "4,2": its first number is ours.
    const auto [end, error] = std::from_chars(view.data(), view.data() + view.size(), value);
    if (error != std::errc() || value < 1) return std::nullopt;
    return value;
}

/// Tasks of the step of srun's that this process is in. A job's number of tasks, SLURM_NTASKS, says
/// nothing: what a batch script or a shell of salloc's starts by itself is one process.
std::optional<int> step_tasks() {
    return environment_int("SLURM_STEP_NUM_TASKS");
}

bool has_pmix() {
    return std::getenv("PMIX_RANK") != nullptr; // srun --mpi=pmix
}

/// Whether a rank of another MPI program started this process: what the launcher says is about that
/// one. Open MPI 4 sets the variable within MPI_Init.
bool is_started_by_a_rank() {
    return std::getenv("ORTE_SCHIZO_DETECTION") != nullptr;
}

std::vector<int> bound_cores() {
    cpu_set_t set;
    CPU_ZERO(&set);
    std::vector<int> cores;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return cores;
    for (int core = 0; core < CPU_SETSIZE; ++core)
        if (CPU_ISSET(core, &set)) cores.push_back(core);
    return cores;
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
    const int available = std::max<int>(1, static_cast<int>(cores.size()));
    // A rank that is bound alone has cores of its own; unbound ranks all see the same cores.
    const bool bound = static_cast<int>(cores.size()) * node.size <= sysconf(_SC_NPROCESSORS_ONLN);
    return bound ? available : std::max(1, available / node.size);
}

} // namespace

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
    const std::vector<int> cores = bound_cores();
    Launch launch;
    launch.ranks = communicator.size();
    launch.threads_per_rank =
        requested_threads > 0 ? requested_threads : automatic_threads(cores, communicator.node());
    launch.bindings = communicator.gather_texts(
        fmt::format("rank {} on {}: {} {} on cores {}", communicator.rank(),
                    core::current_provenance().host, launch.threads_per_rank,
                    launch.threads_per_rank == 1 ? "thread" : "threads", core_list(cores)));
    return launch;
}

} // namespace hdap::parallel
