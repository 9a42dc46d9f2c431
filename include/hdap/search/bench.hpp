#pragma once

#include "hdap/core/benchmark.hpp"

#include <vector>

namespace hdap::search {

/// Times non_dominated_rank on 10,000 uniformly random points of 2 and of 3 objectives, and
/// hypervolume on 1,000 mutually non-dominated points of 3, against pagmo2's
/// fast_non_dominated_sorting and hypervolume in the same process, one thread each, in interleaved
/// rounds. pagmo gets its own data structures, filled beforehand.
///
/// Where hdap was built without pagmo, the rows say so, and have no baseline value and no ratio.
/// With `verify`, the ranks of both are first compared, and the volumes to 12 digits.
/// Throws InternalError when they differ. Takes about 15 s, nearly all of it in pagmo.
std::vector<core::BenchmarkResult> bench_sort(bool verify);

} // namespace hdap::search
