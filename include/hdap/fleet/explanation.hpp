#pragma once

#include "hdap/fleet/fleet.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace hdap::fleet {

/// How much of the differences between devices a label or an attribute explains.
struct Explanation {
    std::string name;
    bool numeric = false;    ///< an attribute
    std::size_t devices = 0; ///< that know it, among those looked at
    std::size_t groups = 0;  ///< the label's values, or intervals of the attribute
    double speed = 0.0;      ///< share of the variance of the devices' overall speeds; 0 to 1
    double shape = 0.0;      ///< share of that of their shapes
    /// How often chance alone brings a share that is as much above what chance brings for that
    /// label, among all labels and both shares: below 0.05 it is none.
    double speed_p = 1.0;
    double shape_p = 1.0;

    [[nodiscard]] bool explains_speed() const noexcept { return speed_p <= 0.05; }
    [[nodiscard]] bool explains_shape() const noexcept { return shape_p <= 0.05; }
};

/// Below this many devices that were looked at no label can be told from chance.
inline constexpr std::size_t fewest_explained_devices = 8;

/// What every label and attribute of a valid fleet explains, best first: those that are not by
/// chance before the others, then by the larger share. Left out are those with fewer than two
/// values and those with more values than half of the devices that know them.
///
/// Shares are omega squared, which has no mean above 0 by chance however many groups there are
/// (Hays, "Statistics for Psychologists", 1963), for shapes with distances over all benchmarks
/// (Anderson, "A new method for non-parametric multivariate analysis of variance", Austral Ecology
/// 26, 2001). An attribute of more than 8 values is cut into 8 intervals of equally many devices.
/// Chance: 499 permutations of the devices, of each the largest standardised share (Westfall and
/// Young, "Resampling-Based Multiple Testing", 1993).
///
/// Looks at up to 5,000 devices, evenly spaced. Uses OpenMP; the result does not depend on the
/// threads. Complexity: O(permutations · devices · labels · benchmarks).
std::vector<Explanation> explanations(const Fleet& fleet);

} // namespace hdap::fleet
