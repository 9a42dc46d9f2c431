#pragma once

#include "hdap/parallel/walltime.hpp"

namespace hdap::parallel {

/// What the outside world asks of a running job: signals, and the end of its time.
///
/// SIGUSR1: write a checkpoint and go on. SIGTERM, SIGUSR2, SIGINT, or no time left: begin nothing
/// new, finish the evaluations under way, write a checkpoint and end with exit code 75. A second
/// one of these signals: do not wait for the evaluations under way either. A signal may reach one
/// rank or all; the ranks agree on it at the next step boundary (Communicator::any).
///
/// Handlers are installed for the life of the object; make one a process.
class RunControl {
  public:
    /// `walltime`: on the rank that decides about it, the root.
    explicit RunControl(Walltime walltime = {});
    ~RunControl();
    RunControl(const RunControl&) = delete;
    RunControl& operator=(const RunControl&) = delete;

    /// Whether this process was asked to stop, or its time is nearly over.
    [[nodiscard]] bool stop_requested() const noexcept;

    /// Whether it was asked to stop twice: it must not wait for anything.
    [[nodiscard]] bool stop_now_requested() const noexcept;

    /// Whether this process was asked for a checkpoint since the last call.
    [[nodiscard]] bool take_checkpoint_request() noexcept;

    [[nodiscard]] Walltime& walltime() noexcept { return walltime_; }

  private:
    Walltime walltime_;
};

} // namespace hdap::parallel
