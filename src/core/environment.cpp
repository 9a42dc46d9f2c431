#include "hdap/core/environment.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <span>
#include <string_view>
#include <unistd.h>

namespace hdap::core {
namespace {

using Names = std::span<const std::string_view>;

constexpr std::array<std::string_view, 6> launcher_prefixes{"OMPI_", "PMIX_", "PMI_",
                                                            "ORTE_", "OPAL_", "PRTE_"};

/// Of those, what no launcher sets.
constexpr std::array<std::string_view, 6> users_names{"OMPI_ALLOW_RUN_AS_ROOT",
                                                      "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM",
                                                      "OMPI_CC",
                                                      "OMPI_CXX",
                                                      "OMPI_FC",
                                                      "OPAL_PREFIX"};

constexpr std::array<std::string_view, 3> parameter_prefixes{"OMPI_MCA_", "PMIX_MCA_", "PRTE_MCA_"};

/// MCA parameters that mpirun, its daemons and MPI_Init set, by the beginnings of their names.
constexpr std::array<std::string_view, 10> launcher_parameters{
    "ess",
    "orte",
    "prte",
    "pmix",
    "psec",
    "schizo",
    "initial_wdir",
    "mpi_oversubscribe",
    "shmem_RUNTIME_QUERY_hint",
    "mca_base_component_show_load_errors"};

/// What srun tells the tasks of a step. Not SLURM_PROCID and SLURM_LOCALID, by which programs
/// choose a GPU and no MPI library decides anything.
constexpr std::array<std::string_view, 10> step_prefixes{"SLURM_STEP",
                                                         "SLURM_PMI",
                                                         "SLURM_SRUN_",
                                                         "SLURM_CPU_BIND",
                                                         "SLURM_MEM_BIND",
                                                         "SLURM_MPI_TYPE",
                                                         "SLURM_LAUNCH_NODE_IPADDR",
                                                         "SLURM_GTIDS",
                                                         "SLURM_TASK_PID",
                                                         "SRUN_DEBUG"};

/// What Slurm tells a job. sbatch's own variables are options that the user chose, but for these.
constexpr std::array<std::string_view, 5> job_prefixes{"SLURM_", "SLURMD_", "SRUN_DEBUG",
                                                       "SBATCH_CPU_BIND", "SBATCH_MEM_BIND"};

/// Of those, how to reach Slurm and how to talk with it.
constexpr std::array<std::string_view, 6> slurm_access{"SLURM_CONF",       "SLURM_CONF_SERVER",
                                                       "SLURM_JWT",        "SLURM_CLUSTERS",
                                                       "SLURM_EXIT_ERROR", "SLURM_TIME_FORMAT"};

bool contains(Names names, std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

/// The one of `prefixes` that `name` begins with; empty when there is none.
std::string_view prefix_of(std::string_view name, Names prefixes) {
    for (const std::string_view prefix : prefixes)
        if (name.starts_with(prefix)) return prefix;
    return {};
}

bool is_launchers(std::string_view name) {
    if (prefix_of(name, launcher_prefixes).empty() || contains(users_names, name)) return false;
    const std::string_view parameter = prefix_of(name, parameter_prefixes);
    return parameter.empty() ||
           !prefix_of(name.substr(parameter.size()), launcher_parameters).empty();
}

/// Which variables a program does not get.
struct LeftOut {
    bool step = false;    ///< those of a step of Slurm's
    bool job = false;     ///< those of the whole job
    bool filters = false; ///< what would hide jobs from squeue

    bool operator()(std::string_view name) const {
        if (is_launchers(name)) return true;
        if (step && !prefix_of(name, step_prefixes).empty()) return true;
        if (filters && name.starts_with("SQUEUE_")) return true;
        return job && !prefix_of(name, job_prefixes).empty() && !contains(slurm_access, name);
    }
};

LeftOut left_out_of(Started program) {
    const bool in_job =
        std::getenv("SLURM_JOB_ID") != nullptr || std::getenv("SLURM_JOBID") != nullptr;
    return {.step = std::getenv("SLURM_STEP_ID") != nullptr,
            .job = program == Started::job && in_job,
            .filters = program == Started::job};
}

std::string_view name_in(std::string_view entry) {
    return entry.substr(0, entry.find('='));
}

} // namespace

std::vector<std::string> environment_of(Started program) {
    const LeftOut left_out = left_out_of(program);
    std::vector<std::string> kept;
    for (char** entry = ::environ; *entry != nullptr; ++entry)
        if (!left_out(name_in(*entry))) kept.emplace_back(*entry);
    return kept;
}

void forget_launcher() {
    const LeftOut left_out = left_out_of(Started::inside);
    std::vector<std::string> names;
    for (char** entry = ::environ; *entry != nullptr; ++entry)
        if (const std::string_view name = name_in(*entry); left_out(name)) names.emplace_back(name);
    for (const std::string& name : names)
        ::unsetenv(name.c_str());
}

} // namespace hdap::core
