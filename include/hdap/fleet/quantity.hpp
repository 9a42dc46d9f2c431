#pragma once

#include <array>
#include <cstddef>
#include <map>
#include <span>
#include <string_view>
#include <vector>

namespace hdap::fleet {

/// What is measured of a network on a device.
enum class Quantity {
    latency, ///< of an inference on a device that is not heated up, in ms
    /// Of an inference under continuous load, once the device is as hot as that makes it, in ms.
    sustained_latency,
    energy, ///< of an inference under such a load, that the whole device takes, in mJ
};

/// How a quantity is called in files and messages. docs/file-formats.md has the files.
struct QuantityRow {
    Quantity quantity;
    std::string_view name;          ///< in names of results: "sustained"
    std::string_view unit;          ///< "ms"
    std::string_view metric;        ///< that needs it, for messages
    std::string_view what;          ///< for messages: "latencies under continuous load"
    std::string_view in_words;      ///< behind "surrogates" or "measured": " under continuous load"
    std::string_view profile_path;  ///< data set of the profile: "/latency_ms"
    std::string_view cluster_name;  ///< data set of logs, of predictions: "cluster_latency_ms"
    std::string_view measured_path; ///< data set of a verification: "/measured_ms"
    std::string_view surrogate_path; ///< group of its surrogates; empty: the root
    bool goes_by_ratio; ///< a device that takes longer by a factor has more of it by that factor
};

/// Every quantity, in the order of the enumeration: first the usual latency, which every study
/// measures. Another one is a row here, and in what measures it.
inline constexpr std::array quantity_table{
    QuantityRow{Quantity::latency, "latency", "ms", "latency.mean", "latencies", "", "/latency_ms",
                "cluster_latency_ms", "/measured_ms", "", true},
    QuantityRow{Quantity::sustained_latency, "sustained", "ms", "latency.sustained",
                "latencies under continuous load", " under continuous load",
                "/sustained_latency_ms", "cluster_sustained_ms", "/sustained_ms", "/sustained",
                true},
    QuantityRow{Quantity::energy, "energy", "mJ", "energy.mean", "energies", " (energy)",
                "/energy_mj", "cluster_energy_mj", "/energy_mj", "/energy", false},
};

inline const QuantityRow& row_of(Quantity quantity) {
    return quantity_table.at(static_cast<std::size_t>(quantity));
}

/// Those that only some studies measure.
inline std::span<const QuantityRow> other_quantities() {
    return std::span(quantity_table).subspan(1);
}

/// Values of quantities beside the usual latency, of those that a study measures.
using OtherQuantities = std::map<Quantity, std::vector<double>>;

} // namespace hdap::fleet
