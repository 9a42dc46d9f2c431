#pragma once

namespace hdap::parallel {

/// What the outside world asks of a running job.
///
/// SIGUSR1: write a checkpoint and go on. SIGTERM, SIGUSR2, SIGINT: finish what cannot be cut,
/// write a checkpoint and end with exit code 75. A signal may reach one rank or all; the ranks
/// agree on it at the next step boundary (Communicator::any).
///
/// Handlers are installed for the life of the object; make one a process.
class RunControl {
  public:
    RunControl();
    ~RunControl();
    RunControl(const RunControl&) = delete;
    RunControl& operator=(const RunControl&) = delete;

    /// Whether this process was asked to stop.
    [[nodiscard]] bool stop_requested() const noexcept;

    /// Whether this process was asked for a checkpoint since the last call.
    [[nodiscard]] bool take_checkpoint_request() noexcept;
};

} // namespace hdap::parallel
