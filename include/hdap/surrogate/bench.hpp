#pragma once

#include "hdap/core/benchmark.hpp"

#include <vector>

namespace hdap::surrogate {

/// Times ClusterSurrogates::predict_ms against XGBoost's own prediction of the same forests, one
/// thread each, in processor time, in interleaved rounds: 10,000 rows of 16 genes with 16 keep
/// ratios each, 8 clusters, 100 trees of depth 3 (the paper's setting) and of depth 6.
///
/// XGBoost predicts in place from dense rows, as the kernel does, and keeps nothing between calls.
/// With `verify`, all predictions of both are first compared bit for bit.
/// Throws InternalError when they differ. Takes about 5 s.
std::vector<core::BenchmarkResult> bench_surrogate(bool verify);

} // namespace hdap::surrogate
