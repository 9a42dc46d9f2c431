#pragma once

#include "hdap/surrogate/gbrt.hpp"
#include "surrogate/forest.hpp"
#include "surrogate/xgboost.hpp"

#include <cstddef>
#include <span>

namespace hdap::surrogate {

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

} // namespace hdap::surrogate
