#pragma once

#include "hdap/fleet/effective_dimension.hpp"
#include "hdap/fleet/explanation.hpp"
#include "hdap/fleet/fleet.hpp"
#include "hdap/fleet/group_agreement.hpp"
#include "hdap/fleet/noise.hpp"
#include "hdap/fleet/regret.hpp"
#include "hdap/fleet/sample_size.hpp"
#include "hdap/fleet/variance_split.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace hdap::fleet {

/// Regret below this share is not worth a larger study.
inline constexpr double negligible_regret = 0.01;

/// What differs between the devices of a fleet.
struct FleetAnatomy {
    std::size_t devices = 0;
    std::size_t benchmarks = 0;
    Noise noise; ///< of the runs or rounds where they are known, else what cannot be predicted
    bool noise_known = false; ///< from repeats; else it may be specific to one benchmark, too
    VarianceSplit split;
    EffectiveDimension dimension;
    std::vector<Explanation> explanations;
    SampleSizes sample_sizes;
    RegretBounds regret;
    /// What the groups of FleetFigure::worst_group are: "given", or the label whose values they
    /// are: the one that explains most, if any does, without values of fewer than 5 devices. Empty
    /// for none.
    std::string groups_by;
    std::optional<GroupAgreement> agreement; ///< of these groups

    /// Whether nothing at all tells noise from differences, which then have it in them.
    [[nodiscard]] bool noise_is_in_shape() const {
        return !noise_known && !dimension.unknown.empty();
    }
};

/// All of it, of a valid fleet. `noise`: from repeats that the fleet itself does not keep.
/// `groups`: as for regret_bounds, clusters for example; empty: a label's, see above. Throws
/// InternalError as regret_bounds. Complexity: as its parts.
FleetAnatomy anatomy_of(const Fleet& fleet, const std::optional<Noise>& noise = std::nullopt,
                        std::span<const std::int32_t> groups = {});

/// Whether a search on one device makes no figure of the fleet slower by more than
/// negligible_regret, with 97.5 %, be it an unlucky choice. False where that is not known.
bool one_device_is_enough(const FleetAnatomy& anatomy);

/// Whether the fleet matters for the choice of a network, as one or two sentences for the user.
std::string verdict(const FleetAnatomy& anatomy);

/// 0.0123 as "1.2 %": two digits, no more than four decimals.
std::string percent_text(double share);

/// "1.2 % (0.8 to 1.9 %)"
std::string percent_text(const Estimate& estimate);

} // namespace hdap::fleet
