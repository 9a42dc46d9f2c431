#pragma once

#include "hdap/parallel/communicator.hpp"

#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

namespace hdap::fleet {

/// The conditions that a device was measured under, as far as Linux tells them.
struct HostConditions {
    static constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

    std::string host;        ///< its name in the network
    std::string slurm_node;  ///< Slurm's name of it; empty outside of Slurm
    std::string measured_at; ///< when it began; ISO 8601, UTC
    std::string processor;   ///< the processor's name, or the board's where that has none
    std::string governor;    ///< what sets the clock of the first core, "performance"; or empty
    std::string isa_limit;   ///< ONEDNN_MAX_CPU_ISA or DNNL_MAX_CPU_ISA; empty: no limit
    std::string engine;      ///< what ran the networks: "LibTorch 1.13.0"
    std::int32_t threads = 1;
    std::int32_t cores = 1; ///< that the measuring process may use
    double frequency_mhz_start = unknown;
    double frequency_mhz_end = unknown;
    double temperature_c_start = unknown; ///< of the hottest sensor
    double temperature_c_end = unknown;
    double load_average_start = unknown; ///< over the minute before
    double load_average_end = unknown;
    /// Processor time that others took meanwhile ÷ time: 0.5 is half a core, all the time.
    double cores_used_by_others = unknown;
};

/// Watches the conditions of this machine from its making on.
class ConditionWatch {
  public:
    /// `root`: where /proc and /sys are; another one than "/" is for tests.
    explicit ConditionWatch(std::filesystem::path root = "/");

    /// The conditions from the making until now; `engine` and `threads` are for the caller to fill
    /// in. What cannot be read is unknown, or empty: it is never an error.
    [[nodiscard]] HostConditions conditions() const;

  private:
    /// Processor time in seconds, of all programs and of this one, and the time of day.
    struct Times {
        double everybody = 0.0;
        double own = 0.0;
        double clock = 0.0;
    };
    [[nodiscard]] Times times() const;

    std::filesystem::path root_;
    HostConditions start_;
    Times start_times_;
};

/// [rank] the name of the device that its machine is, on the root: the node's or the host's name,
/// numbered where ranks share a machine. Collective.
std::vector<std::string> device_of_each_rank(const parallel::Communicator& communicator,
                                             const HostConditions& here);

/// Empty when the machine was `conditions`'s device alone; otherwise a sentence that says what
/// disturbed it. More than a tenth of a core is a disturbance.
std::string disturbance(const HostConditions& conditions);

} // namespace hdap::fleet
