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
/// - accuracy_NETWORK_machine_share: the engine's GFLOP/s on those networks against multiply-adds
///   that read and write nothing but registers: the limit of the processor.
/// - accuracy_scaling_2: two candidates on two threads against one after the other (wall time).
/// - accuracy_NETWORK_bfloat16, where the processor has AVX512-BF16: the engine with it against
///   itself in float32.
///
/// With `verify`, engine and LibTorch must first give the same classes for all images of all
/// networks, and logits that agree to 1e-3; with bfloat16 logits must agree to 5 % of their root
/// mean square. Throws InternalError when they do not. Takes about two minutes.
std::vector<core::BenchmarkResult> bench_accuracy(bool verify);

/// Times steps of training ResNet20 on 32 × 32 images in batches of 128, in interleaved rounds.
///
/// - training_resnet20_pipeline: a step with all that belongs to it, on one thread, against a loop
///   of forward, backward and update with the same kernels on one batch that lies ready: what
///   reading, varying and normalising images costs.
/// - training_resnet20_vs_libtorch: against that loop with LibTorch's own batch norms and layout.
/// - training_scaling_2: two shards on two threads against the same two on one (wall time).
///
/// With `verify`, one and two threads must first give the same weights. Throws InternalError when
/// they do not. Takes half a minute.
std::vector<core::BenchmarkResult> bench_training(bool verify);

} // namespace hdap::accuracy
