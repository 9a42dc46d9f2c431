#pragma once

#include "hdap/network/pruning_structure.hpp"
#include "hdap/storage/hdf5.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace hdap::fleet {

/// Root attribute `schema` of fleet.h5.
inline constexpr const char* fleet_schema = "hdap-fleet/1";

/// Latencies that a fleet may hold, in ms: a picosecond to 30 years. Anything else is an error in
/// the units or the file.
inline constexpr double smallest_latency_ms = 1e-9;
inline constexpr double largest_latency_ms = 1e12;

/// Something that is known of every device, beside its latencies.
struct DeviceAttribute {
    std::string name;           ///< is_name, without a slash
    std::string unit;           ///< "MHz"; "1" for a ratio or a number
    std::vector<double> values; ///< [device]; not a number where it is not known
    bool operator==(const DeviceAttribute&) const = default;
};

/// Something that is known of every device in words: its power mode, its firmware.
struct DeviceLabel {
    std::string name;                ///< is_name, without a slash
    std::vector<std::string> values; ///< [device] is_name; empty where it is not known
    bool operator==(const DeviceLabel&) const = default;
};

/// The quantiles of a device's runs that a fleet keeps.
inline constexpr std::array<double, 7> kept_quantiles{0.0, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0};

/// How the runs of a device on a benchmark spread.
struct LatencySpread {
    std::int64_t runs = 0; ///< 0: not measured, or nobody told
    /// At kept_quantiles, in ms; not a number where the tool does not tell.
    std::array<float, kept_quantiles.size()> quantile_ms = unknown_quantiles();

    static constexpr std::array<float, kept_quantiles.size()> unknown_quantiles() {
        std::array<float, kept_quantiles.size()> none{};
        none.fill(std::numeric_limits<float>::quiet_NaN());
        return none;
    }
};

/// Where latencies come from: one kind of file that was imported.
struct LatencyOrigin {
    std::string tool;      ///< "trtexec --exportTimes"
    std::string unit;      ///< that it counts in: "ms"
    std::string statistic; ///< what a latency is: "median of the runs"
    std::string warm_up;   ///< what was left out
    std::int64_t files = 0;
    bool operator==(const LatencyOrigin&) const = default;
};

/// The units of one SKU and their latencies on the benchmark networks.
struct Fleet {
    std::string sku;
    std::vector<std::string> device_ids;      ///< unique
    std::vector<std::string> benchmark_names; ///< unique
    /// [device][benchmark], row-major; not a number where a device was not measured on a benchmark.
    std::vector<double> latency_ms;
    /// [benchmark] the channels that are kept; empty where hdap does not know them.
    std::vector<network::Genome> benchmark_genomes;
    std::vector<DeviceAttribute> attributes; ///< names are unique
    std::vector<DeviceLabel> labels;         ///< names are unique, among the attributes' too
    std::vector<LatencySpread> spreads;      ///< [device][benchmark]; empty where nobody knows them
    std::vector<LatencyOrigin> origins;      ///< of an imported fleet

    [[nodiscard]] std::size_t devices() const noexcept { return device_ids.size(); }
    [[nodiscard]] std::size_t benchmarks() const noexcept { return benchmark_names.size(); }
};

/// Whether `text` may name a device, a benchmark or an SKU: 1 to 256 bytes, no control characters.
bool is_name(const std::string& text);

/// Throws DataError when `fleet` breaks a rule: at least one device and one benchmark, names that
/// is_name accepts and that are unique, sizes that fit, latencies in range or not a number, at
/// least one of every device and one on every benchmark, attributes finite or not a number, genomes
/// of one length that keep at least one channel. The message begins with `where`. Complexity:
/// O(devices · (benchmarks + attributes + log devices)).
void check_fleet(const Fleet& fleet, const std::string& where);

/// How many latencies were not measured.
std::size_t missing_latencies(const Fleet& fleet);

/// The latencies of `benchmark` in ms, of the devices that were measured on it, in their order.
std::vector<double> measured_latencies(const Fleet& fleet, std::size_t benchmark);

/// Writes /device_id, /benchmark (strings), /latency_ms (float64 [device, benchmark]),
/// /attributes/<name> (float64 [device], with its `unit`), /labels/<name>/value (each once) and
/// /labels/<name>/code (which of them a device has), where they are known /benchmark_genomes
/// (int32 [benchmark, group]), and the root attribute `sku`. The caller adds the file's identity
/// (storage::write_identity). Throws DataError as check_fleet.
void write_fleet(storage::Hdf5Writer& file, const Fleet& fleet);

/// Reads what write_fleet, or a user with h5py, has written, labels as a data set of strings, too;
/// attributes come in the order of their names.
/// Throws DataError as check_fleet, and when a data set is missing or has another shape.
Fleet read_fleet(const storage::Hdf5Reader& file);

} // namespace hdap::fleet
