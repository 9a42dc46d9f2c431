#include "hdap/accuracy/evaluation.hpp"

#include "accuracy/engine/engine.hpp"
#include "accuracy/engine/lane_kernels.hpp"
#include "accuracy/images/normaliser.hpp"
#include "accuracy/norm_statistics.hpp"
#include "hdap/accuracy/image_fit.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/provenance.hpp"
#include "hdap/core/text.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <future>
#include <utility>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace hdap::accuracy {
namespace {

const LaneKernels& kernels_of(const EvaluationParameters& parameters) {
    if (parameters.precision == "float32") return lane_kernels();
    if (parameters.precision != "bfloat16")
        throw core::ConfigError(fmt::format("precision is '{}', must be {}", parameters.precision,
                                            core::join(evaluation_precisions(), " or ")));
    const LaneKernels* const kernels = bfloat16_lane_kernels();
    if (!kernels)
        throw core::ConfigError(fmt::format("precision is bfloat16, but this processor ({}) has no "
                                            "AVX512-BF16; set it to float32",
                                            core::processor_name()));
    return *kernels;
}

/// The network for inference.
Engine inference_engine(const network::Network& network, const network::Weights& weights,
                        const ImageData& images, const EvaluationParameters& parameters) {
    return {network, weights, std::min(parameters.batch, images.count), NormMode::running,
            kernels_of(parameters)};
}

/// Gives `visit` the logits of images [first, first + count), [count][classes].
using VisitLogits = std::function<void(std::int64_t first, std::int64_t count, const float*)>;

/// Runs batch `b` of the images. What of the batch has no image keeps earlier ones.
void run_batch(Engine& engine, const Normaliser& normaliser, const ImageData& images,
               std::int64_t b, const VisitLogits& visit) {
    const std::int64_t image = images.channels * images.height * images.width;
    const std::int64_t first = b * engine.batch();
    const std::int64_t count = std::min(engine.batch(), images.count - first);
    for (std::int64_t i = 0; i < count; ++i)
        normaliser.write(first + i, {}, engine.images() + i * image);
    engine.run();
    visit(first, count, engine.output());
}

std::int64_t batches_of(const Engine& engine, const ImageData& images) {
    return (images.count + engine.batch() - 1) / engine.batch();
}

/// Runs all batches; returns whether none was cancelled.
bool for_each_batch(Engine& engine, const ImageData& images, const std::stop_token& cancelled,
                    const VisitLogits& visit) {
    const Normaliser normaliser(images);
    for (std::int64_t b = 0; b < batches_of(engine, images); ++b) {
        if (cancelled.stop_requested()) return false;
        run_batch(engine, normaliser, images, b, visit);
    }
    return true;
}

/// How many classes come before the label when logits are sorted, the largest first and of equal
/// ones the lower class. One that is not a number comes last: a broken network scores nothing.
std::int64_t rank_of_label(const float* logits, std::int64_t classes, std::int32_t label) {
    if (logits[label] != logits[label]) return classes;
    std::int64_t rank = 0;
    for (std::int64_t c = 0; c < classes; ++c)
        rank += c < label ? logits[c] >= logits[label] : logits[c] > logits[label];
    return rank;
}

std::optional<CandidateAccuracy> share_of_right(Engine& engine, const ImageData& images,
                                                const EarlyStop& rule,
                                                const std::stop_token& cancelled) {
    const Normaliser normaliser(images);
    const std::int64_t batches = batches_of(engine, images);
    std::int64_t right = 0;
    std::int64_t seen = 0;
    for (std::int64_t b = 0; b < batches; ++b) {
        if (cancelled.stop_requested()) return std::nullopt;
        if (b > 0 && is_hopeless(rule, right, seen, images.count, batches))
            return CandidateAccuracy{static_cast<double>(right) / static_cast<double>(seen), seen};
        run_batch(engine, normaliser, images, b,
                  [&](std::int64_t first, std::int64_t count, const float* logits) {
                      for (std::int64_t i = 0; i < count; ++i)
                          right += rank_of_label(
                                       logits + i * images.classes, images.classes,
                                       images.labels[static_cast<std::size_t>(first + i)]) == 0;
                      seen += count;
                  });
    }
    return CandidateAccuracy{static_cast<double>(right) / static_cast<double>(seen), 0};
}

/// The weights with the statistics of all batch norms recomputed over `images`. Nothing when
/// `cancelled` was requested.
std::optional<network::Weights> recalibrated(const network::Network& network,
                                             const network::Weights& weights,
                                             const ImageData& images,
                                             const EvaluationParameters& parameters,
                                             const std::stop_token& cancelled) {
    const auto statistics = norm_statistics(network, weights, images, parameters.batch,
                                            NormMode::batch, kernels_of(parameters), cancelled);
    if (!statistics) return std::nullopt;
    network::Weights result = weights;
    for (std::size_t n = 0; n < statistics->size(); ++n)
        for (std::size_t c = 0; c < (*statistics)[n].mean.size(); ++c) {
            const std::string& name = network.nodes[n].name;
            result.at(name + ".running_mean").values[c] =
                static_cast<float>((*statistics)[n].mean[c]);
            result.at(name + ".running_var").values[c] =
                static_cast<float>((*statistics)[n].variance[c]);
        }
    return result;
}

/// What one batch adds to the metrics.
struct BatchSums {
    std::int64_t top1 = 0;
    std::int64_t top5 = 0;
    double loss = 0.0;
};

double cross_entropy(const float* logits, std::int64_t classes, std::int32_t label) {
    const auto largest = static_cast<double>(*std::max_element(logits, logits + classes));
    double sum = 0.0;
    for (std::int64_t c = 0; c < classes; ++c)
        sum += std::exp(static_cast<double>(logits[c]) - largest);
    return std::log(sum) + largest - static_cast<double>(logits[label]);
}

BatchSums sums_of(const float* logits, std::int64_t count, const ImageData& images,
                  std::int64_t first) {
    BatchSums sums;
    for (std::int64_t i = 0; i < count; ++i) {
        const float* const row = logits + i * images.classes;
        const std::int32_t label = images.labels[static_cast<std::size_t>(first + i)];
        const std::int64_t rank = rank_of_label(row, images.classes, label);
        sums.top1 += rank < 1;
        sums.top5 += rank < 5;
        sums.loss += cross_entropy(row, images.classes, label);
    }
    return sums;
}

/// Every batch's sums, the batches handed to `threads` threads in turn.
std::vector<BatchSums> sums_of_batches(const network::Network& network,
                                       const network::Weights& weights, const ImageData& images,
                                       const EvaluationParameters& parameters, int threads) {
    const Normaliser normaliser(images);
    const std::int64_t size = std::min(parameters.batch, images.count);
    std::vector<BatchSums> sums(static_cast<std::size_t>((images.count + size - 1) / size));
    threads = static_cast<int>(std::min(static_cast<std::size_t>(threads), sums.size()));
    const auto run = [&](std::size_t thread) {
        Engine engine = inference_engine(network, weights, images, parameters);
        for (std::size_t b = thread; b < sums.size(); b += static_cast<std::size_t>(threads))
            run_batch(engine, normaliser, images, static_cast<std::int64_t>(b),
                      [&](std::int64_t first, std::int64_t count, const float* logits) {
                          sums[b] = sums_of(logits, count, images, first);
                      });
    };
    std::vector<std::future<void>> others;
    for (int thread = 1; thread < threads; ++thread)
        others.push_back(std::async(std::launch::async, run, static_cast<std::size_t>(thread)));
    run(0);
    for (std::future<void>& other : others)
        other.get();
    return sums;
}

void check(const network::Network& network, const ImageData& images,
           const EvaluationParameters& parameters) {
    check_evaluation(parameters);
    check_fit(network, images, "images");
}

} // namespace

void keep_freed_memory() {
#if defined(__GLIBC__)
    // By default glibc gives large blocks back to the kernel as soon as they are free. The kernel
    // then clears the same megabytes again and again: that takes from half to nine tenths of the
    // time of a small network where LibTorch executes it, as its every layer allocates its output.
    mallopt(M_MMAP_THRESHOLD, 32 << 20); // the largest value that glibc takes
    mallopt(M_TRIM_THRESHOLD, 256 << 20);
    mallopt(M_TOP_PAD, 64 << 20); // threads' heaps, 64 MiB each, are then not given back either
#endif
}

const std::vector<std::string>& evaluation_precisions() {
    static const std::vector<std::string> names{"float32", "bfloat16"};
    return names;
}

void check_evaluation(const EvaluationParameters& parameters) {
    if (parameters.batch < 1 || parameters.batch > 100'000)
        throw core::ConfigError(
            fmt::format("evaluation batch is {}, must be in [1, 100000]", parameters.batch));
    (void)kernels_of(parameters);
}

std::string evaluation_engine() {
    return fmt::format("hdap engine {}, {} lanes", engine_version, lane_kernels().lanes);
}

std::optional<CandidateAccuracy>
top1_accuracy(const network::Network& network, const network::Weights& weights,
              const ImageData& images, const EvaluationParameters& parameters,
              const EarlyStop& rule, const std::stop_token& cancelled) {
    check(network, images, parameters);
    Engine engine = inference_engine(network, weights, images, parameters);
    return share_of_right(engine, images, rule, cancelled);
}

std::optional<double> top1_accuracy(const network::Network& network,
                                    const network::Weights& weights, const ImageData& images,
                                    const EvaluationParameters& parameters,
                                    const std::stop_token& cancelled) {
    const auto found = top1_accuracy(network, weights, images, parameters, {}, cancelled);
    return found ? std::optional(found->value) : std::nullopt;
}

double top1_accuracy(const network::Network& network, const network::Weights& weights,
                     const ImageData& images, const EvaluationParameters& parameters) {
    return top1_accuracy(network, weights, images, parameters, std::stop_token()).value();
}

Metrics measure(const network::Network& network, const network::Weights& weights,
                const ImageData& images, const EvaluationParameters& parameters, int threads) {
    if (threads < 1 || threads > 4096)
        throw core::ConfigError(fmt::format("threads is {}, must be in [1, 4096]", threads));
    check(network, images, parameters);
    Metrics result{.images = images.count};
    for (const BatchSums& sums : sums_of_batches(network::without_final_softmax(network), weights,
                                                 images, parameters, threads)) {
        result.top1 += static_cast<double>(sums.top1);
        result.top5 += static_cast<double>(sums.top5);
        result.loss += sums.loss;
    }
    const auto count = static_cast<double>(images.count);
    result.top1 /= count;
    result.top5 /= count;
    result.loss /= count;
    return result;
}

std::vector<float> logits(const network::Network& network, const network::Weights& weights,
                          const ImageData& images, const EvaluationParameters& parameters) {
    check(network, images, parameters);
    Engine engine = inference_engine(network, weights, images, parameters);
    std::vector<float> result;
    for_each_batch(engine, images, {}, [&](std::int64_t, std::int64_t count, const float* values) {
        result.insert(result.end(), values, values + count * images.classes);
    });
    return result;
}

std::optional<network::Weights> recalibrate_batch_norm(const network::Network& network,
                                                       const network::Weights& weights,
                                                       const ImageData& images,
                                                       const EvaluationParameters& parameters,
                                                       const std::stop_token& cancelled) {
    check(network, images, parameters);
    return recalibrated(network, weights, images, parameters, cancelled);
}

network::Weights recalibrate_batch_norm(const network::Network& network,
                                        const network::Weights& weights, const ImageData& images,
                                        const EvaluationParameters& parameters) {
    return recalibrate_batch_norm(network, weights, images, parameters, std::stop_token()).value();
}

network::PrunedNetwork recalibrated_candidate(const network::Prunable& network,
                                              const ImageData& recalibration,
                                              const EvaluationParameters& parameters,
                                              const network::Genome& genome) {
    network::PrunedNetwork pruned = network.prune(genome);
    pruned.weights =
        recalibrate_batch_norm(pruned.network, pruned.weights, recalibration, parameters);
    return pruned;
}

core::Setting batch_setting(EvaluationParameters& parameters) {
    return core::integer("batch", parameters.batch, {1, 100'000}, "Images per forward pass",
                         core::Outputs::search | core::Outputs::accuracies);
}

core::Setting precision_setting(std::string& precision) {
    return core::text("precision", precision, evaluation_precisions(),
                      "Of the layers' products when candidates are evaluated; bfloat16 is faster "
                      "on some processors",
                      core::Outputs::search | core::Outputs::accuracies);
}

} // namespace hdap::accuracy
