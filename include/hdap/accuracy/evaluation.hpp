#pragma once

#include "hdap/accuracy/early_stop.hpp"
#include "hdap/accuracy/image_data.hpp"
#include "hdap/network/prunable.hpp"
#include "hdap/core/settings.hpp"

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace hdap::accuracy {

/// How the accuracy of a candidate is measured.
struct EvaluationParameters {
    std::int64_t batch = 100;          ///< images per forward pass; [1, 100000]
    std::string precision = "float32"; ///< of evaluation_precisions()
};

/// "float32", or "bfloat16": the weights and inputs of all layers but 3 × 3 depthwise ones are
/// rounded to bfloat16, and their products added in float32. That takes a processor with
/// AVX512-BF16; on others it is a ConfigError. Batch norms, activations, additions and pooling are
/// float32 in both.
const std::vector<std::string>& evaluation_precisions();

/// Throws ConfigError when a parameter is out of its range, or this processor lacks the precision.
void check_evaluation(const EvaluationParameters& parameters);

/// Lets the allocator keep freed memory, in the whole process, as candidates allocate the same
/// megabytes again and again. A program calls it before it evaluates or trains.
void keep_freed_memory();

/// What was found of a candidate's accuracy.
struct CandidateAccuracy {
    double value = 0.0; ///< share of the images got right, [0, 1]
    /// 0: all images were classified. Else the candidate was given up after so many, which `value`
    /// is the share of.
    std::int64_t given_up_after = 0;
};

/// Top-1 accuracy of a network as it is: the share of images whose largest logit is the label's.
/// Nothing when `cancelled` was requested before it was known. That and `rule` are looked at
/// between batches: the images are taken to be in a random order. Runs in the calling thread; the
/// same bits in any thread and process.
/// Throws DataError when network, weights and images do not fit together, ConfigError when a
/// parameter is out of its range; here and below.
std::optional<CandidateAccuracy>
top1_accuracy(const network::Network& network, const network::Weights& weights,
              const ImageData& images, const EvaluationParameters& parameters,
              const EarlyStop& rule, const std::stop_token& cancelled);

/// All of it, in [0, 1]; nothing when `cancelled` was requested meanwhile.
std::optional<double> top1_accuracy(const network::Network& network,
                                    const network::Weights& weights, const ImageData& images,
                                    const EvaluationParameters& parameters,
                                    const std::stop_token& cancelled);
double top1_accuracy(const network::Network& network, const network::Weights& weights,
                     const ImageData& images, const EvaluationParameters& parameters);

/// What computes accuracies: "hdap engine 2, 16 lanes". Another text may mean other bits, and so
/// does another precision.
std::string evaluation_engine();

/// How well a network classifies.
struct Metrics {
    std::int64_t images = 0;
    double top1 = 0.0; ///< share of images whose largest logit is the label's
    double top5 = 0.0; ///< share of images whose label is among the five largest logits
    double loss = 0.0; ///< mean cross-entropy; not a number when a logit is not
    bool operator==(const Metrics&) const = default;
};

/// Classifies `images` on `threads` threads, [1, 4096], a batch on each. The result does not depend
/// on their number. Of equal logits the lower class counts as the larger, and one that is not a
/// number is never among the largest. A softmax at the network's end is left out of the loss, which
/// has its own.
Metrics measure(const network::Network& network, const network::Weights& weights,
                const ImageData& images, const EvaluationParameters& parameters, int threads = 1);

/// The network's outputs, [images][classes]. Runs in the calling thread.
std::vector<float> logits(const network::Network& network, const network::Weights& weights,
                          const ImageData& images, const EvaluationParameters& parameters);

/// Recomputes the running mean and variance of every batch norm over `images` and returns the
/// weights with them: one pass with batch statistics, averaged over batches of nearly equal size.
/// The variance is the unbiased one, as in PyTorch's running_var. Without that a pruned network is
/// near chance level and the ranking of candidates is noise (EagleEye: Li et al., ECCV 2020).
/// Nothing when `cancelled` was requested before all was done: it is looked at between batches.
std::optional<network::Weights> recalibrate_batch_norm(const network::Network& network,
                                                       const network::Weights& weights,
                                                       const ImageData& images,
                                                       const EvaluationParameters& parameters,
                                                       const std::stop_token& cancelled);
network::Weights recalibrate_batch_norm(const network::Network& network,
                                        const network::Weights& weights, const ImageData& images,
                                        const EvaluationParameters& parameters);

/// The network of a genome with batch-norm statistics recomputed on `recalibration`, images that
/// the weights were trained on: what candidates are measured as, and where fine-tuning starts.
/// Throws as Prunable::prune, too.
network::PrunedNetwork recalibrated_candidate(const network::Prunable& network,
                                              const ImageData& recalibration,
                                              const EvaluationParameters& parameters,
                                              const network::Genome& genome);

/// The settings "batch" and "precision", which must not outlive what holds their values.
core::Setting batch_setting(EvaluationParameters& parameters);
core::Setting precision_setting(std::string& precision);

} // namespace hdap::accuracy
