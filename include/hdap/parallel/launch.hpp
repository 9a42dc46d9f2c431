#pragma once

#include "hdap/parallel/communicator.hpp"

#include <string>
#include <vector>

namespace hdap::parallel {

/// How the job was started: for the first lines of a log, and for provenance.
struct Launch {
    int ranks = 1;
    int threads_per_rank = 1;
    /// "rank 0 on node1: cores 0-3", one a rank; filled on the root.
    std::vector<std::string> bindings;
    /// That cores of the job on a node stand idle, why, and what to do; empty when none do, or when
    /// no more threads were asked for. On the root.
    std::string idle_cores;
};

/// How many ranks the launcher says that it started, for what must be known before MPI begins;
/// 1 when there is no launcher, or when a rank of another MPI program started this process.
int launched_ranks();

/// Whether this process is the only rank of its job for certain, so that MPI needs no launcher.
/// Before MPI begins.
bool is_certainly_alone();

/// Throws UsageError when srun started several tasks and gave them no PMI by which MPI finds the
/// others. To be called before MPI begins: Open MPI would end each task with a message that does
/// not say what to do.
void refuse_launch_without_pmi();

/// Looks at how the job was started and decides on the threads per rank.
///
/// `requested_threads` 0 means automatic: OMP_NUM_THREADS when set, else SLURM_CPUS_PER_TASK, else
/// the cores this rank is bound to; ranks of a node that may use the same cores share those of
/// available_cores().
/// Throws an AgreedError (UsageError's kind) when Slurm started several tasks but MPI sees one
/// rank, as then every task would run the same job. Collective.
Launch inspect_launch(const Communicator& communicator, int requested_threads);

/// Makes `threads`, at least 1, the number of threads of the OpenMP regions that the calling thread
/// enters and that ask for no other.
void use_openmp_threads(int threads);

/// How many cores this process, with all that it starts, may use: those that it is bound to, and no
/// more than its Slurm job has on this node. At least 1.
int available_cores();

/// "0-3,8": a set of cores in the notation of taskset.
std::string core_list(const std::vector<int>& cores);

} // namespace hdap::parallel
