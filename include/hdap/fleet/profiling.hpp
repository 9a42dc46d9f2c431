#pragma once

#include "hdap/fleet/latency_source.hpp"
#include "hdap/fleet/profile.hpp"
#include "hdap/network/search_space.hpp"
#include "hdap/parallel/job.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace hdap::fleet {

/// The fewest candidates that surrogates may learn from.
inline constexpr std::size_t fewest_profiled = 10;

/// Who is measured for a profile.
struct Representatives {
    /// [cluster] the devices that are measured on its behalf: indices into the fleet.
    std::vector<std::vector<std::int32_t>> devices;
    /// [cluster][device of `devices`] its latency ÷ what its cluster's is told to be
    /// (Clustering::device_ratio); empty: 1.
    std::vector<std::vector<double>> ratio = {};
};

/// A profile, and what is missing in it.
struct MeasuredProfile {
    Profile profile;
    std::size_t left_out = 0; ///< candidates that were not measured on every cluster
};

/// What an earlier profile has of clusters that are kept.
struct KnownRows {
    Profile profile;                          ///< of the same network and pruning groups
    std::vector<std::int32_t> row_of_cluster; ///< [cluster] in it; −1: the cluster is measured
};

/// Measures `quantities` (the usual latency first) of `wanted`, or
/// of what the source has instead, on the representatives of every cluster; a cluster's latency is
/// the mean over those with a measurement, in their order, each divided by the device's ratio: so
/// it is the same whoever could be measured. Energies are not divided. Candidates that lack any of
/// these quantities on some cluster are left out.
///
/// Every rank gives the same arguments and gets the same profile; nothing when asked to stop.
/// Collective. Throws as the source does, and an AgreedError of DataError's kind when the unpruned
/// network was not measured on every cluster, or fewer than fewest_profiled candidates remain.
std::optional<MeasuredProfile>
measure_profile(LatencySource& source, const Representatives& representatives,
                const network::SearchSpace& space, std::vector<network::Genome> wanted,
                std::int64_t runs, const parallel::Job& job,
                std::vector<Quantity> quantities = {Quantity::latency});

/// As measure_profile, of the candidates of `known`, which go on with the latencies that it has:
/// only the representatives of the other clusters are measured. `known` has all of `quantities`.
std::optional<MeasuredProfile>
measure_rest_of_profile(LatencySource& source, const Representatives& representatives,
                        const network::SearchSpace& space, const KnownRows& known,
                        std::int64_t runs, const parallel::Job& job,
                        std::vector<Quantity> quantities = {Quantity::latency});

/// The rows that are known, and between them those of `measured`, which has the other clusters in
/// their order, and of the known candidates some, in their order. Throws InternalError when it has
/// others.
Profile with_known_rows(const KnownRows& known, const Profile& measured);

/// What measure_profile makes of what was measured, [quantity][device][genome], of the
/// representatives of all clusters one after the other; not a number where something was not.
/// Throws DataError as measure_profile, InternalError when sizes do not fit.
MeasuredProfile profile_of(const Representatives& representatives,
                           const network::SearchSpace& space, std::vector<network::Genome> genomes,
                           const std::vector<double>& measured,
                           std::span<const Quantity> quantities);

} // namespace hdap::fleet
