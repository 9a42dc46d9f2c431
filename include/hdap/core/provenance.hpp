#pragma once

#include <string>

namespace hdap::core {

/// Where a file comes from: stored in the root attributes of every HDF5 file.
struct Provenance {
    std::string software = "hdap";
    std::string software_version;
    std::string git_commit; ///< of the build; ends in "-dirty" when the tree had changes
    std::string created;    ///< ISO 8601, UTC
    std::string host;
    std::string job;       ///< see slurm_job
    std::string nodes;     ///< all nodes of the job, as Slurm writes them; else the host
    std::string libraries; ///< "LibTorch 1.13.0, HDF5 1.10.8, …": what the build used
};

/// The provenance of a file that is made now by this process.
Provenance current_provenance();

/// "Intel(R) Xeon(R) …": the processor of this machine; empty when it does not say.
std::string processor_name();

/// The Slurm job of this process: "1234", and "1234.2" after it was requeued twice; of an array,
/// "1230_4". Empty outside Slurm.
std::string slurm_job();

/// "2026-11-24T06:30:00Z": the present time in UTC.
std::string utc_now();

} // namespace hdap::core
