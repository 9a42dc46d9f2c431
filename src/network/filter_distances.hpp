#pragma once

#include "hdap/network/weights.hpp"

#include <cstdint>
#include <functional>
#include <vector>

namespace hdap::network {

/// For each filter of a layer, weight [filter, …] of finite numbers, the sum of its Euclidean
/// distances to all others, as FPGM has it (He et al., CVPR 2019, eq. 6). Equal filters get equal
/// sums, to the bit; other sums are right to about 1e-7 of themselves.
///
/// |a − b|² is |a|² + |b|² − 2a·b, where a and b are what the filters differ from their mean by;
/// where that would cancel, the differences themselves are squared.
///
/// Runs on `threads` OpenMP threads (0: OpenMP's default); the bits do not depend on them. Now and
/// then, and in the end, it calls `on_progress` with how many products of weights were added since
/// the last call; distance_products are all.
/// Complexity: O(filters · weights of the layer), half as many multiply-adds.
std::vector<double> distances_to_others(const Tensor& weight, int threads = 0,
                                        const std::function<void(std::int64_t)>& on_progress = {});

/// The products of weights that distances_to_others has to add.
std::int64_t distance_products(const Tensor& weight);

} // namespace hdap::network
