#pragma once

#include <vector>

namespace hdap::parallel {

/// The processors that this process may run on, ascending; empty when the system does not say.
std::vector<int> bound_cores();

/// How many cores this node has for the job: what Slurm says in a job of its own, else what the
/// process that mpirun started the ranks with may use, else `bound`. Threads of the processor that
/// share a core count as one, since one is enough to use it. `ranks` are those on this node.
int cores_for_job(const std::vector<int>& bound, int ranks);

} // namespace hdap::parallel
