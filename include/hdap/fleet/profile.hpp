#pragma once

#include "hdap/fleet/quantity.hpp"
#include "hdap/network/pruning_structure.hpp"
#include "hdap/storage/hdf5.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace hdap::fleet {

inline constexpr const char* profile_schema = "hdap-profile/2";

/// Measured latencies of candidates on the clusters' representatives: what surrogates learn from.
struct Profile {
    std::vector<std::string> group_names; ///< [gene] the pruning groups
    std::vector<network::Genome> genomes; ///< [candidate]; the first is the unpruned network
    std::size_t clusters = 0;
    /// [cluster][candidate] mean over the cluster's representatives.
    std::vector<double> latency_ms;
    OtherQuantities others = {}; ///< the same of those that were asked for, in their units

    [[nodiscard]] std::size_t candidates() const noexcept { return genomes.size(); }
    [[nodiscard]] std::size_t genes() const noexcept { return group_names.size(); }
    /// Of the network that is to be pruned, on cluster `k`.
    [[nodiscard]] double unpruned_latency_ms(std::size_t k) const {
        return latency_ms[k * candidates()];
    }
};

/// As a profile of another quantity alone, in the place of the latencies: what its surrogates learn
/// from. Throws InternalError where the profile has none of it.
Profile profile_of_quantity(const Profile& profile, Quantity quantity);

/// Throws DataError that starts with `where` and names the array, the place and the value when
/// there are no candidates, genes or clusters, when sizes do not fit, a value is out of range, or
/// a candidate keeps more channels than the first.
void check_profile(const Profile& profile, const std::string& where);

/// Writes /group_names, /genomes, /latency_ms and, where there are some, the data sets of other
/// quantities (QuantityRow::profile_path; shapes as in Profile). Throws DataError for a profile
/// that check_profile refuses.
void write_profile(storage::Hdf5Writer& file, const Profile& profile);

/// Reads what write_profile wrote; the schema is for storage::read_identity to check.
/// Throws DataError as check_profile does, and for data sets that are missing or misshapen.
Profile read_profile(const storage::Hdf5Reader& file);

} // namespace hdap::fleet
