#pragma once

#include <string>
#include <vector>

namespace hdap::core {

/// What a program that this process starts is to this process's job.
enum class Started {
    inside, ///< runs within the job and may use its nodes: an evaluator, a study
    job,    ///< submits a job of its own, or asks about jobs
};

/// The environment that a program gets, as "NAME=value" in the present order: this process's,
/// without what tells an MPI library that it was started as one of a launcher's ranks. Such a
/// library would answer for this process's rank, and hang or end.
///
/// Left out are the variables of mpirun and MPI (OMPI_, PMIX_, PMI_, ORTE_, OPAL_, PRTE_), and
/// within a step of Slurm's those of that step. What users set stays: permissions (OMPI_ALLOW_…),
/// compilers, Open MPI's place, and MCA parameters such as OMPI_MCA_btl. MCA parameters of the
/// launcher itself (ess, orte, prte, pmix, …) are left out, as they cannot be told from those that
/// mpirun adds. `Started::job` within a job leaves out all of that job, too: every SLURM_ variable
/// but those that say how to reach Slurm. SBATCH_ variables are the user's and stay.
std::vector<std::string> environment_of(Started program);

/// Removes from this process's environment what environment_of(Started::inside) leaves out: MPI
/// then begins with one rank, whoever started this process. Not while other threads run.
void forget_launcher();

} // namespace hdap::core
