#pragma once

#include "hdap/fleet/quantity.hpp"
#include "hdap/network/pruning_structure.hpp"
#include "hdap/storage/hdf5.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace hdap::study {

/// Root attribute `schema` of verification.h5.
inline constexpr const char* verification_schema = "hdap-verification/1";

/// Networks of a study as devices of its fleet measured them on one occasion.
struct Verification {
    std::vector<network::Genome> genomes; ///< [network]; the first is the unpruned one
    std::vector<std::int32_t> devices;    ///< indices into the fleet, ascending
    std::vector<double> measured_ms;      ///< [network][device]; not a number: it has none
    std::int64_t occasion = 0;            ///< how many there were, with this one
    fleet::OtherQuantities others = {};   ///< as measured_ms, of those that were asked for

    [[nodiscard]] double latency_ms(std::size_t network, std::size_t device) const {
        return measured_ms[network * devices.size() + device];
    }
    /// Whether the device has measured all that was asked for of the network.
    [[nodiscard]] bool has(std::size_t network, std::size_t device) const {
        const std::size_t at = network * devices.size() + device;
        for (const auto& [quantity, values] : others)
            if (std::isnan(values[at])) return false;
        return !std::isnan(measured_ms[at]);
    }
    bool operator==(const Verification&) const = default;
};

/// The part of which every device has measured every network, so that means over the devices
/// compare. What fewer than half of the devices that answered have measured is left out first, so
/// that a network that fails everywhere costs no device. Without networks when nothing, or not even
/// the unpruned network, is left.
Verification comparable_part(const Verification& verification);

/// Writes /genomes int32 [network][gene], /devices int32 [device], /measured_ms and, where there
/// are some, the like of other quantities (QuantityRow::measured_path), and the root attribute
/// `occasion`.
void write_verification(storage::Hdf5Writer& file, const Verification& verification);

/// Reads what write_verification wrote; the schema is for storage::read_identity to check. Throws
/// DataError when it is misshapen, not of networks with `genes` groups or of a fleet of `devices`.
Verification read_verification(const storage::Hdf5Reader& file, std::size_t genes,
                               std::size_t devices);

} // namespace hdap::study
