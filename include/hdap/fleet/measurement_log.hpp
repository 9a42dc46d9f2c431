#pragma once

#include "hdap/network/graph.hpp"
#include "hdap/network/pruning_structure.hpp"

#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hdap::fleet {

/// The name of a candidate wherever it is measured: "c-3f2a9b1c04de", of the graph of the network
/// that it is pruned from, as network::network_as_json writes it, its genome, the images per
/// inference and `how` it is measured, where that is not as usual. Candidates of other studies have
/// other names.
std::string candidate_name(std::string_view graph, const network::Genome& genome,
                           std::int64_t batch, std::string_view how = "");

/// What a device answered about a candidate.
struct CandidateMeasurement {
    std::string candidate; ///< candidate_name
    std::string device;
    double latency_ms = std::numeric_limits<double>::quiet_NaN(); ///< not a number: it failed
    /// Of the unpruned network beside it, in ms: what the device was like then. Not a number where
    /// nothing tells.
    double anchor_ms = std::numeric_limits<double>::quiet_NaN();
    std::int64_t runs = 0;
    std::string origin;    ///< what measured it: "trtexec --exportTimes", "latency.command"
    std::string failure{}; ///< why there is no latency
    bool operator==(const CandidateMeasurement& other) const;
};

/// All measurements of candidates, in a file of JSON lines that grows by a line each: whatever ends
/// the program, what was measured before is kept.
class MeasurementLog {
  public:
    /// Reads `file`, which need not be there. A line that cannot be read, as the last one of a
    /// program that was killed, is left out and counted. Throws DataError when it cannot be opened.
    explicit MeasurementLog(std::filesystem::path file);

    /// Writes a line, and has it on the disk when it returns. False, and nothing happens, for a
    /// line that is there already. Thread-safe; several programs may append to a file. Throws
    /// InternalError when it cannot be written.
    bool append(const CandidateMeasurement& measurement);

    /// The median of a candidate's latencies on a device, in ms; not a number when all attempts
    /// failed; nothing when there was none.
    [[nodiscard]] std::optional<double> latency_ms(const std::string& candidate,
                                                   const std::string& device) const;

    /// The same as they had been on a device that takes `anchor_ms` for the unpruned network: each
    /// times that ÷ its own anchor, where it has one.
    [[nodiscard]] std::optional<double>
    latency_ms(const std::string& candidate, const std::string& device, double anchor_ms) const;

    /// The anchors of a candidate's latencies on a device, in ms.
    [[nodiscard]] std::vector<double> anchors_ms(const std::string& candidate,
                                                 const std::string& device) const;

    [[nodiscard]] std::size_t size() const;
    /// Lines that could not be read.
    [[nodiscard]] std::int64_t unreadable() const noexcept { return unreadable_; }
    /// Measurements of one candidate on one device that are a factor of two or more apart, as
    /// sentences for the user, the first few.
    [[nodiscard]] std::vector<std::string> contradictions() const;

  private:
    using Pair = std::pair<std::string, std::string>; ///< candidate, device

    void read();

    std::filesystem::path file_;
    mutable std::mutex mutex_;
    std::map<Pair, std::vector<CandidateMeasurement>> measurements_;
    std::int64_t unreadable_ = 0;
};

} // namespace hdap::fleet
