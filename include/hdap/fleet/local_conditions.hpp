#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

namespace hdap::fleet {

/// Under what a machine measures, to be one of several devices that really differ.
struct LocalCondition {
    std::string device;           ///< what it is called then
    std::string isa;              ///< the newest instruction set that oneDNN may use; empty: any
    std::int64_t threads = 1;     ///< per inference; [1, 4096]
    std::int64_t cpu_hogs = 0;    ///< threads beside it that compute; [0, 4096]
    std::int64_t memory_hogs = 0; ///< threads beside it that copy memory; [0, 4096]
};

/// The conditions in a TOML file: a table for each device, [NAME], with the keys isa, threads,
/// cpu_hogs and memory_hogs, of which each may be left out. In the order of their names.
/// Throws ConfigError for a file that is missing or no TOML, unknown keys (says the nearest) and
/// values out of their range, with the line.
std::vector<LocalCondition> read_local_conditions(const std::filesystem::path& file);

/// The one of `device`. Throws ConfigError when there is none (says the nearest).
LocalCondition local_condition(const std::filesystem::path& file, const std::string& device);

/// Holds this process under a condition for its life: sets ONEDNN_MAX_CPU_ISA, which LibTorch reads
/// when it is loaded, so that nothing may have been computed before, and starts the hogs.
class ConditionInForce {
  public:
    explicit ConditionInForce(const LocalCondition& condition);
    ~ConditionInForce();
    ConditionInForce(const ConditionInForce&) = delete;
    ConditionInForce& operator=(const ConditionInForce&) = delete;

  private:
    std::vector<std::jthread> hogs_;
};

} // namespace hdap::fleet
