#pragma once

#include "hdap/core/benchmark.hpp"

#include <vector>

namespace hdap::network {

/// Times CostModel::total on random genomes of ResNet50, MobileNetV1 and YOLOv8n, one thread, in
/// millions of genomes a second, against a walk over the layers that counts the same figures; the
/// last row holds ResNet50's against the figure to reach, a million a second.
///
/// With `verify`, both are first compared for every genome. Throws InternalError when they differ.
/// Takes about 3 s.
std::vector<core::BenchmarkResult> bench_costs(bool verify);

} // namespace hdap::network
