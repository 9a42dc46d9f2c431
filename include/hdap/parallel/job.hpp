#pragma once

#include "hdap/core/log.hpp"
#include "hdap/parallel/communicator.hpp"
#include "hdap/parallel/run_control.hpp"

namespace hdap::parallel {

/// What work on all ranks needs of the process that it runs in.
struct Job {
    const Communicator& communicator;
    core::Log& log;
    RunControl& control;
    int threads = 1; ///< of this rank
};

} // namespace hdap::parallel
