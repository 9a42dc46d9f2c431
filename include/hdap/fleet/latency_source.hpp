#pragma once

#include "hdap/core/settings.hpp"
#include "hdap/fleet/fleet.hpp"
#include "hdap/fleet/quantity.hpp"
#include "hdap/fleet/synthesis.hpp"
#include "hdap/network/prunable.hpp"
#include "hdap/parallel/communicator.hpp"
#include "hdap/parallel/job.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hdap::fleet {

/// That networks are to be measured again, whatever is known of them, so that their latencies are
/// of one time and compare.
struct MeasuringAnew {
    /// Names the occasion: a request that names the same one goes on with what it brought.
    std::string occasion;
    /// Through all networks on a device, whose median counts; at least 1. Under continuous load
    /// there is one.
    std::int64_t rounds = 1;
};

/// Networks to be measured on devices.
struct MeasurementRequest {
    std::span<const network::Genome> genomes;
    std::span<const std::int32_t> devices; ///< indices into the fleet
    std::int64_t runs = 1;                 ///< of each genome on each device, where it can choose
    /// Whether devices that do not answer are done without, rather than waited for.
    bool partial = false;
    /// Otherwise what was measured before counts. A table of measurements has no others.
    std::optional<MeasuringAnew> anew = std::nullopt;
    /// What is measured of each genome: at least one, and nothing that it lacks something for.
    std::vector<Quantity> quantities{Quantity::latency};
};

/// What sources lack for Quantity::energy that measure devices.
inline constexpr std::string_view energy_is_simulated =
    "no command tells how much energy a device takes, so only fleet.source = \"simulated\" knows "
    "it; bound flops or latency.mean instead, or simulate the fleet";

/// Where a fleet's latencies come from: the door between hdap and devices, simulated or real.
/// The same object exists on every rank.
class LatencySource {
  public:
    virtual ~LatencySource() = default;

    /// What beside the settings identifies its latencies, such as a hash of a file's content;
    /// empty where the settings say it all. The same on every rank.
    [[nodiscard]] virtual std::string identity() const = 0;

    /// The devices and their latencies on the benchmark networks, on the root, and a fleet without
    /// devices on other ranks; nothing when asked to stop. Collective.
    [[nodiscard]] virtual std::optional<Fleet> fleet(const parallel::Job& job) = 0;

    /// Those of `wanted` that it can measure, and others that it has measured instead. The first
    /// is the unpruned network. The same on every rank.
    [[nodiscard]] virtual std::vector<network::Genome>
    candidates(std::vector<network::Genome> wanted) const = 0;

    /// What it lacks to measure a quantity, and what to do about that, as a sentence; empty where
    /// it measures it. The same on every rank.
    [[nodiscard]] virtual std::string lacks_for(Quantity quantity) const = 0;

    /// [quantity][device][genome] latencies in ms, or what else is asked for in its unit, on every
    /// rank; not a number where a genome was not measured on a device. The source decides which
    /// rank measures what. Nothing when asked to stop. Collective.
    [[nodiscard]] virtual std::optional<std::vector<double>>
    latencies_ms(const MeasurementRequest& request, const parallel::Job& job) = 0;

    /// A quantity of `genome` on devices of the fleet without noise, in its unit: what predictions
    /// are held against. Nothing where nobody knows it. Thread-safe.
    [[nodiscard]] virtual std::optional<std::vector<double>>
    true_values(Quantity quantity, const network::Genome& genome,
                std::span<const std::int32_t> devices) const = 0;

    /// The latencies of `genome` on devices of the fleet as a table has them that somebody
    /// measured, in ms, with their noise. Nothing without one, or unless it has all of them. On the
    /// root.
    [[nodiscard]] virtual std::optional<std::vector<double>>
    measured_latencies_ms(const network::Genome& genome,
                          std::span<const std::int32_t> devices) const = 0;
};

/// A program of the user's that measures a candidate on a device.
struct LatencyCommand {
    std::string command;               ///< for the shell, with {device}, {network}, {batch}, {runs}
    std::string format = "onnx";       ///< of the candidate's file: "onnx" or "pt"
    double timeout_seconds = 600;      ///< a run that takes longer is killed; (0, 10^7]
    std::int64_t retries = 1;          ///< runs more after one that failed; [0, 100]
    std::int64_t devices_at_once = 32; ///< devices that measure side by side; [1, 1024]
    std::int64_t networks_at_once = 16;      ///< candidates for {networks}; [1, 1024]
    std::string setting = "latency.command"; ///< that `command` is the value of, for messages
};

/// How latencies under continuous load are measured.
struct SustainedLoad {
    double seconds = 0;  ///< how long; the last quarter counts; [0, 10^6], 0: not at all
    std::string command; ///< source command: as LatencyCommand::command, with {seconds}
};

/// Prepares a network for batches of so many images on so many threads of this machine; what it
/// gives runs one batch.
using NetworkRunner = std::function<std::function<void()>(const network::PrunedNetwork& network,
                                                          std::int64_t batch, int threads)>;

/// What a latency source is made from.
struct LatencySourceParameters {
    std::string source = "simulated"; ///< one of latency_source_names()
    std::string fleet_file;           ///< the devices and their benchmarks, where these are real
    LatencyCommand command;           ///< command: what measures
    SustainedLoad sustained;          ///< command, recorded, live: what else they measure
    NetworkRunner runner;             ///< live: runs networks
    std::string measurements;         ///< command, recorded, live: folder of what was measured
    /// command, recorded, live: unless empty, `measurements` holds folders that studies share, as
    /// devices of two fleets may have one name: each of a fleet's devices and latencies, a network,
    /// a batch, a command and its format, and this text.
    std::string measured_how;
    double enough = 1.0; ///< recorded: the share of measurements that a study goes on with; (0, 1]
    std::string file;    ///< recorded: the table
    std::string sku = "unknown"; ///< recorded: what the label on the devices says
    std::int64_t benchmarks = 8; ///< at most so many benchmark networks; at least 1
    /// simulated: run every benchmark under continuous load, too, as a benchmark of its own: groups
    /// are then of devices that also heat up alike.
    bool loaded_benchmarks = false;
    std::int64_t batch = 64;       ///< images per inference
    std::int64_t runs = 10;        ///< simulated: of each benchmark on each device
    SynthesisParameters synthesis; ///< simulated; its seed is `seed`, whatever it says
    std::uint64_t seed = 1;        ///< of the devices, the benchmarks and the noise
};

/// The names of the sources, the standard one first.
std::vector<std::string> latency_source_names();

/// A section of settings for each source. `parameters` must outlive them.
std::vector<core::Section> latency_source_sections(LatencySourceParameters& parameters);

/// The source that `parameters` name, for the networks that `prunable` can become; `prunable` must
/// outlive it. A file is read by the root alone. Collective.
/// Throws an AgreedError: of ConfigError's kind for an unknown source (lists the known ones), for
/// synthesis parameters out of range and for a missing file or SKU, of DataError's for a file that
/// cannot be used.
std::unique_ptr<LatencySource> make_latency_source(const LatencySourceParameters& parameters,
                                                   const network::Prunable& prunable,
                                                   const parallel::Communicator& communicator);

} // namespace hdap::fleet
