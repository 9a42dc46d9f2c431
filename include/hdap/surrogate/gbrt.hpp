#pragma once

#include "hdap/core/settings.hpp"

#include <cstdint>
#include <vector>

namespace hdap::surrogate {

/// How a gradient-boosted regression forest is fitted. The defaults are the paper's.
struct GbrtParameters {
    std::int64_t trees = 100;   ///< 1 … 100,000
    std::int64_t depth = 3;     ///< comparisons on a path, 1 … 16
    double learning_rate = 0.1; ///< (0, 1]
    double l2 = 1.0;            ///< ≥ 0: the leaves' L2 penalty, XGBoost's lambda
    std::uint64_t seed = 1;     ///< of the cross-validation's folds; a fit draws no random numbers

    bool operator==(const GbrtParameters&) const = default;
};

/// Throws ConfigError that names the parameter, its value and its range.
void check_parameters(const GbrtParameters& parameters);

/// The settings of `parameters`, which must outlive them; all but the seed.
std::vector<core::Setting> settings_of(GbrtParameters& parameters);

} // namespace hdap::surrogate
