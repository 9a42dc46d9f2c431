#pragma once

#include "hdap/core/settings.hpp"
#include "hdap/surrogate/forest.hpp"
#include "hdap/surrogate/xgboost.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

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

/// Fits a forest to `targets` by XGBoost: squared error, exact greedy splits, one thread.
///
/// The sums start from the targets' mean. Exact splits on one thread make the result depend on
/// nothing but the arguments and the version of XGBoost. Several threads may fit at a time.
/// `features` is [rows][columns], `targets` [rows].
/// Throws ConfigError for parameters out of range; DataError for no rows, no columns, sizes that
/// do not fit or a value that is not finite; InternalError with XGBoost's words when it fails.
/// Complexity: O(trees × depth × rows × columns).
Forest fit_gbrt(std::span<const float> features, std::size_t rows, std::size_t columns,
                std::span<const float> targets, const GbrtParameters& parameters);

/// As fit_gbrt, but in XGBoost's hands; for comparisons with XGBoost's own prediction.
XgboostBooster train_gbrt(std::span<const float> features, std::size_t rows, std::size_t columns,
                          std::span<const float> targets, const GbrtParameters& parameters);

/// The trees of a booster of train_gbrt, taken out of its JSON. `base_score` is
/// gbrt_base_score(targets). Throws InternalError when XGBoost's JSON is not as expected.
Forest forest_of(const XgboostBooster& booster, std::size_t columns, float base_score);

/// What the sums of a forest that is fitted to `targets` start from: their mean.
float gbrt_base_score(std::span<const float> targets);

/// The settings of `parameters`, which must outlive them; all but the seed.
std::vector<core::Setting> settings_of(GbrtParameters& parameters);

} // namespace hdap::surrogate
