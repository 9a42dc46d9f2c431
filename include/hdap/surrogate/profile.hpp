#pragma once

#include "hdap/storage/hdf5.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace hdap::surrogate {

inline constexpr const char* profile_schema = "hdap-profile/1";

/// Measured latencies of random candidates on the clusters' representatives.
struct Profile {
    std::vector<std::string> group_names; ///< [gene]: the pruning groups; or empty
    std::size_t candidates = 0;
    std::size_t genes = 0;
    std::vector<std::int32_t> genomes; ///< [candidate][gene]: channels kept, at least 1
    std::vector<float> features;       ///< [candidate][gene]: keep ratios, in (0, 1]
    std::size_t clusters = 0;
    /// [cluster][candidate]: mean over the cluster's representatives.
    std::vector<double> latency_ms;
    std::vector<double> unpruned_latency_ms; ///< [cluster]: of the network that is to be pruned
};

/// Throws DataError that starts with `where` and names the array, the place and the value when
/// there are no candidates, genes or clusters, when sizes do not fit or a value is out of range.
void check_profile(const Profile& profile, const std::string& where);

/// Writes /genomes, /features, /latency_ms, /unpruned_latency_ms and /group_names (shapes as in
/// Profile). Throws DataError for a profile that check_profile refuses.
void write_profile(storage::Hdf5Writer& file, const Profile& profile);

/// Reads what write_profile wrote; the schema is for storage::read_identity to check.
/// Throws DataError as check_profile does, and for data sets that are missing or misshapen.
Profile read_profile(const storage::Hdf5Reader& file);

} // namespace hdap::surrogate
