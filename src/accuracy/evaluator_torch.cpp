#include "hdap/accuracy/evaluator.hpp"
#include "network_torch.hpp"
#include "normaliser.hpp"

#include <algorithm>
#include <c10/core/InferenceMode.h>
#include <cmath>
#include <functional>
#include <future>
#include <utility>

namespace hdap::accuracy {
namespace {

void check_parameters(const EvaluationParameters& parameters) {
    if (parameters.batch < 1 || parameters.batch > 100'000)
        throw core::ConfigError("evaluation batch is " + std::to_string(parameters.batch) +
                                ", must be in [1, 100000]");
}

/// Gives `visit` the logits of batch after batch: the index of the first image, the number of
/// images, and the values, [images][classes]. Returns whether it saw all of them.
bool for_each_batch(const TorchNetwork& network, const ImageData& images, std::int64_t batch,
                    const std::stop_token& cancelled,
                    const std::function<void(std::int64_t, std::int64_t, const float*)>& visit) {
    const Normaliser normaliser(images);
    const std::int64_t image = images.channels * images.height * images.width;
    for (std::int64_t first = 0; first < images.count; first += batch) {
        if (cancelled.stop_requested()) return false;
        const std::int64_t count = std::min(batch, images.count - first);
        at::Tensor input = empty_batch(count, images);
        for (std::int64_t i = 0; i < count; ++i)
            normaliser.write(first + i, {}, input.data_ptr<float>() + i * image);
        const at::Tensor output = network.forward(input).contiguous();
        visit(first, count, output.data_ptr<float>());
    }
    return true;
}

/// A logit that is not a number is never the largest, so a broken network scores nothing.
bool is_right(const float* logits, std::int64_t classes, std::int32_t label) {
    for (std::int64_t c = 0; c < classes; ++c) {
        const bool beats = c < label ? logits[c] >= logits[label] : logits[c] > logits[label];
        if (beats) return false;
    }
    return logits[label] == logits[label];
}

std::optional<double> measure(const TorchNetwork& network, const ImageData& images,
                              std::int64_t batch, const std::stop_token& cancelled) {
    std::int64_t right = 0;
    const bool finished =
        for_each_batch(network, images, batch, cancelled,
                       [&](std::int64_t first, std::int64_t count, const float* logits) {
                           for (std::int64_t i = 0; i < count; ++i)
                               right +=
                                   is_right(logits + i * images.classes, images.classes,
                                            images.labels[static_cast<std::size_t>(first + i)]);
                       });
    if (!finished) return std::nullopt;
    return static_cast<double>(right) / static_cast<double>(images.count);
}

/// What one batch adds to the metrics.
struct BatchSums {
    std::int64_t top1 = 0;
    std::int64_t top5 = 0;
    double loss = 0.0;
};

/// How many classes come before the label when logits are sorted, the largest first.
std::int64_t rank_of_label(const float* logits, std::int64_t classes, std::int32_t label) {
    if (logits[label] != logits[label]) return classes;
    std::int64_t rank = 0;
    for (std::int64_t c = 0; c < classes; ++c)
        rank += c < label ? logits[c] >= logits[label] : logits[c] > logits[label];
    return rank;
}

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

/// Batches of the images, handed to `threads` threads in turn.
std::vector<BatchSums> sums_of_batches(const TorchNetwork& network, const ImageData& images,
                                       std::int64_t batch, int threads) {
    const Normaliser normaliser(images);
    const std::int64_t image = images.channels * images.height * images.width;
    std::vector<BatchSums> sums(static_cast<std::size_t>((images.count + batch - 1) / batch));
    const auto run = [&](std::size_t thread) {
        const c10::InferenceMode inference;
        for (std::size_t b = thread; b < sums.size(); b += static_cast<std::size_t>(threads)) {
            const std::int64_t first = static_cast<std::int64_t>(b) * batch;
            const std::int64_t count = std::min(batch, images.count - first);
            at::Tensor input = empty_batch(count, images);
            for (std::int64_t i = 0; i < count; ++i)
                normaliser.write(first + i, {}, input.data_ptr<float>() + i * image);
            const at::Tensor output = network.forward(input).contiguous();
            sums[b] = sums_of(output.data_ptr<float>(), count, images, first);
        }
    };
    std::vector<std::future<void>> others;
    for (int thread = 1; thread < threads; ++thread)
        others.push_back(std::async(std::launch::async, run, static_cast<std::size_t>(thread)));
    run(0);
    for (std::future<void>& other : others)
        other.get();
    return sums;
}

/// Checks everything, then runs `body` on the network in inference mode.
template <class Body>
auto with_network(const network::Network& network, const network::Weights& weights,
                  const ImageData& images, const EvaluationParameters& parameters,
                  const Body& body) {
    check_parameters(parameters);
    check_fit(network, images, "images");
    use_one_thread_per_candidate();
    return translate_errors([&] {
        const c10::InferenceMode inference;
        TorchNetwork torch_network(network, weights);
        return body(torch_network);
    });
}

} // namespace

struct Evaluator::State {
    network::Network network;
    network::Weights weights;
    network::SearchSpace space;
    ImageData recalibration;
    ImageData held_out;
    EvaluationParameters parameters;
    std::vector<std::vector<std::int32_t>> ranked_channels;

    /// The pruned network with new statistics; to be called in inference mode.
    [[nodiscard]] TorchNetwork recalibrated(const network::PrunedNetwork& pruned) const {
        TorchNetwork result(pruned.network, pruned.weights);
        recalibrate(result, recalibration, parameters.batch);
        return result;
    }
};

Evaluator::Evaluator(network::Network network, network::Weights weights, network::SearchSpace space,
                     std::vector<std::vector<std::int32_t>> ranked_channels,
                     ImageData recalibration, ImageData held_out,
                     const EvaluationParameters& parameters)
    : state_(std::make_unique<State>(State{.network = std::move(network),
                                           .weights = std::move(weights),
                                           .space = std::move(space),
                                           .recalibration = std::move(recalibration),
                                           .held_out = std::move(held_out),
                                           .parameters = parameters,
                                           .ranked_channels = std::move(ranked_channels)})) {
    check_parameters(parameters);
    check_fit(state_->network, state_->recalibration, "images for recalibration");
    check_fit(state_->network, state_->held_out, "held-out images");
    network::check_weights(state_->network, state_->weights);
}

Evaluator::~Evaluator() = default;
Evaluator::Evaluator(Evaluator&&) noexcept = default;
Evaluator& Evaluator::operator=(Evaluator&&) noexcept = default;

double Evaluator::accuracy(const network::Genome& genome) const {
    return accuracy(genome, std::stop_token()).value();
}

std::optional<double> Evaluator::accuracy(const network::Genome& genome,
                                          const std::stop_token& cancelled) const {
    const network::PrunedNetwork pruned = network::prune(
        state_->network, state_->weights, state_->space, state_->ranked_channels, genome);
    use_one_thread_per_candidate();
    return translate_errors([&]() -> std::optional<double> {
        if (cancelled.stop_requested()) return std::nullopt;
        const c10::InferenceMode inference;
        TorchNetwork network = state_->recalibrated(pruned);
        network.fold_batch_norms();
        return measure(network, state_->held_out, state_->parameters.batch, cancelled);
    });
}

network::PrunedNetwork Evaluator::candidate(const network::Genome& genome) const {
    network::PrunedNetwork pruned = network::prune(state_->network, state_->weights, state_->space,
                                                   state_->ranked_channels, genome);
    use_one_thread_per_candidate();
    translate_errors([&] {
        const c10::InferenceMode inference;
        state_->recalibrated(pruned).store(pruned.weights);
    });
    return pruned;
}

std::optional<double> top1_accuracy(const network::Network& network,
                                    const network::Weights& weights, const ImageData& images,
                                    const EvaluationParameters& parameters,
                                    const std::stop_token& cancelled) {
    return with_network(network, weights, images, parameters, [&](TorchNetwork& torch_network) {
        torch_network.fold_batch_norms();
        return measure(torch_network, images, parameters.batch, cancelled);
    });
}

double top1_accuracy(const network::Network& network, const network::Weights& weights,
                     const ImageData& images, const EvaluationParameters& parameters) {
    return top1_accuracy(network, weights, images, parameters, std::stop_token()).value();
}

Metrics measure(const network::Network& network, const network::Weights& weights,
                const ImageData& images, const EvaluationParameters& parameters, int threads) {
    if (threads < 1 || threads > 4096)
        throw core::ConfigError("threads is " + std::to_string(threads) + ", must be in [1, 4096]");
    return with_network(without_final_softmax(network), weights, images, parameters,
                        [&](TorchNetwork& torch_network) {
                            torch_network.fold_batch_norms();
                            const auto count = static_cast<double>(images.count);
                            Metrics result{.images = images.count};
                            for (const BatchSums& sums : sums_of_batches(
                                     torch_network, images, parameters.batch, threads)) {
                                result.top1 += static_cast<double>(sums.top1);
                                result.top5 += static_cast<double>(sums.top5);
                                result.loss += sums.loss;
                            }
                            result.top1 /= count;
                            result.top5 /= count;
                            result.loss /= count;
                            return result;
                        });
}

std::vector<float> logits(const network::Network& network, const network::Weights& weights,
                          const ImageData& images, const EvaluationParameters& parameters) {
    return with_network(network, weights, images, parameters, [&](TorchNetwork& torch_network) {
        torch_network.fold_batch_norms();
        std::vector<float> result;
        for_each_batch(torch_network, images, parameters.batch, {},
                       [&](std::int64_t, std::int64_t count, const float* values) {
                           result.insert(result.end(), values, values + count * images.classes);
                       });
        return result;
    });
}

network::Weights recalibrate_batch_norm(const network::Network& network,
                                        const network::Weights& weights, const ImageData& images,
                                        const EvaluationParameters& parameters) {
    return with_network(network, weights, images, parameters, [&](TorchNetwork& torch_network) {
        recalibrate(torch_network, images, parameters.batch);
        network::Weights result = weights;
        torch_network.store(result);
        return result;
    });
}

} // namespace hdap::accuracy
