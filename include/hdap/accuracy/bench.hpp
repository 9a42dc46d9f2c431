#pragma once

#include "hdap/core/benchmark.hpp"

#include <vector>

namespace hdap::accuracy {

/// Times the classification of images by randomly pruned networks, batches of 64 on one thread, in
/// interleaved rounds: the engine that candidates are evaluated with against LibTorch's eager mode
/// on the same pruned network, in its default layout and with its batch norms as they are.
///
/// - accuracy_NETWORK_vs_eager: MobileNetV1 0.25 (28 × 28), 1.0 (32 × 32), ResNet20 and ResNet56,
///   unpruned and three random genomes of each; images a second of all four together.
/// - accuracy_resnet56_peak_share: the engine's GFLOP/s on the unpruned ResNet56 against those of
///   LibTorch's dense 3 × 3 convolutions of its three sizes, channels-last, alone.
/// - accuracy_scaling_2: two candidates on two threads against one after the other (wall time).
///
/// With `verify`, both must first give the same classes for all images of all networks, and logits
/// that agree to 1e-3. Throws InternalError when they do not. Takes about a minute.
std::vector<core::BenchmarkResult> bench_accuracy(bool verify);

} // namespace hdap::accuracy
