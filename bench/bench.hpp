#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// `hdap bench`: how fast the product's inner loops are, each against a peer in the same process.
/// No part of the product's libraries.
namespace hdap::bench {

/// A number of ours beside the same number of a baseline.
struct Result {
    std::string name;             ///< snake_case, unique
    double value = 0;             ///< ours
    std::string unit;             ///< of both values, e.g. "ns per row and tree"
    std::string baseline;         ///< what it is compared with, e.g. "XGBoost 1.7.4, 1 thread"
    double baseline_value = 0;    ///< the baseline's, from the same process
    double ratio = 0;             ///< > 1: better than the baseline
    std::optional<double> target; ///< the ratio to reach, where one was set
};

/// A row of the table of benchmarks.
struct Benchmark {
    std::string_view name;
    std::string_view description;
    /// With `verify`, what is compared must first give the same results; throws InternalError when
    /// it does not.
    std::vector<Result> (*run)(bool verify);
};

/// All of them, in the order of their names.
std::span<const Benchmark> benchmarks();

/// Times the classification of images by randomly pruned networks, batches of 64 on one thread, in
/// interleaved rounds: the engine that candidates are evaluated with against LibTorch's eager mode
/// on the same pruned network, in its default layout and with its batch norms as they are.
///
/// - accuracy_NETWORK_vs_eager: MobileNetV1 0.25 (28 × 28), 1.0 (32 × 32), ResNet20 and ResNet56,
///   unpruned and three random genomes of each; images per second of all four together.
/// - accuracy_resnet56_peak_share: the engine's GFLOP/s on the unpruned ResNet56 against those of
///   LibTorch's dense 3 × 3 convolutions of its three sizes, channels-last, alone.
/// - accuracy_NETWORK_machine_share: the engine's GFLOP/s on those networks against multiply-adds
///   that read and write nothing but registers: the limit of the processor.
/// - accuracy_scaling_2: two candidates on two threads against one after the other (wall time).
/// - accuracy_NETWORK_bfloat16, where the processor has AVX512-BF16: the engine with it against
///   itself in float32.
///
/// `verify`: engine and LibTorch give the same classes for all images of all networks, and logits
/// that agree to 1e-3; with bfloat16 logits agree to 5 % of their root mean square. Takes about two
/// minutes.
std::vector<Result> bench_accuracy(bool verify);

/// Times DBSCAN on the level signatures of simulated Jetson Xavier NX (MobileNetV1, 8 benchmarks),
/// on all threads, wall time.
///
/// - dbscan_100k_vs_sklearn: 100,000 devices, against scikit-learn's DBSCAN with as many threads in
///   a process of its own; eps 0.009 and min_points 10, as scikit-learn lists all neighbours, of
///   which there are too many with the automatic parameters.
/// - dbscan_1m_seconds: a million devices, with the automatic parameters and the time to find them.
/// - covering_1m_seconds: the same devices grouped by covering, with the automatic radius.
/// - clusters_1m_gb: the most memory of this process while it clusters these devices, with the
/// fleet
///   and all that `hdap fleet cluster` has beside it.
/// - growth_exponent: of the seconds, from 100,000 to a million devices.
///
/// Where there is no python3 with scikit-learn, the first row says so. `verify`: both find the same
/// noise, and the same clusters of core points. Takes about two minutes and 5 GB, most of it in
/// scikit-learn.
std::vector<Result> bench_clusters(bool verify);

/// Times CostModel::total on random genomes of ResNet50, MobileNetV1 and YOLOv8n, one thread, in
/// millions of genomes per second, against a walk over the layers that counts the same costs; the
/// last row holds ResNet50's against what is to be reached, a million per second.
///
/// `verify`: both agree for every genome. Takes about 3 s.
std::vector<Result> bench_costs(bool verify);

/// Times the import of a million inferences of long CSV (1,000 devices on 4 benchmarks, 250 runs
/// each, 32 MB in memory), on one thread, in processor time.
///
/// - import_rows_per_s: against a reader of few lines that checks nothing: std::getline, substr and
///   std::stod, latencies in a std::map.
/// - import_rows_per_s_vs_target: the same against what is to be reached, a million per second.
///
/// `verify`: both give the same medians. Takes about 10 s.
std::vector<Result> bench_fleet(bool verify);

/// Times what the criterion geometric_median takes, on one thread, in processor time.
///
/// - filter_distances: the distances of 256 filters of 256 × 3 × 3 weights to each other, against
///   the plain formula in double precision.
/// - resnet50_geometric_median: ranking the channels of ResNet50, against the criterion l2.
///
/// `verify`: the distances agree to 1e-7. Takes about 3 s.
std::vector<Result> bench_importance(bool verify);

/// Times non_dominated_rank on 10,000 uniformly random points of 2 and of 3 objectives, and
/// hypervolume on 1,000 mutually non-dominated points of 3, against pagmo2's
/// fast_non_dominated_sorting and hypervolume in the same process, one thread each, in interleaved
/// rounds. pagmo gets its own data structures, filled beforehand.
///
/// Where hdap was built without pagmo, the rows say so, and have no baseline value and no ratio.
/// `verify`: the ranks are equal, and the volumes to 12 digits. Takes about 15 s, nearly all of it
/// in pagmo.
std::vector<Result> bench_sort(bool verify);

/// Times the prediction of latencies by the surrogates' forests against XGBoost's own, one thread
/// each, in processor time, in interleaved rounds: 10,000 rows of 16 genes with 16 keep ratios
/// each, 8 clusters, 100 trees of depth 3 (the paper's setting) and of depth 6.
///
/// XGBoost predicts in place from dense rows, as the kernel does, and keeps nothing between calls.
/// Then sums over layers of random genomes of ResNet50 (channels in multiples of 8), with their
/// multiply-accumulates and parameters, once the tables are filled:
///
/// - additive_k16_genomes_per_s, additive_k128_genomes_per_s: on so many clusters, on one thread,
///   against what is to be reached.
/// - additive_k16_two_threads, additive_k128_two_threads: two threads against one (wall time).
///
/// `verify`: all predictions are equal bit for bit to XGBoost's, and to plain sums. Takes about 20
/// s.
std::vector<Result> bench_surrogate(bool verify);

/// Times steps of training ResNet20 on 32 × 32 images in batches of 128, in interleaved rounds.
///
/// - training_resnet20_pipeline: a step with all that belongs to it, on one thread, against a loop
///   of forward, backward and update with the same kernels on one batch that lies ready: what
///   reading, varying and normalising images costs.
/// - training_resnet20_vs_libtorch: against that loop with LibTorch's own batch norms and layout.
/// - training_scaling_2: two shards on two threads against the same two on one (wall time).
///
/// `verify`: one and two threads give the same weights. Takes half a minute.
std::vector<Result> bench_training(bool verify);

} // namespace hdap::bench
