#include "norm_statistics.hpp"

#include "accuracy/images/normaliser.hpp"
#include "hdap/core/error.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <map>

namespace hdap::accuracy {
namespace {

/// Adds the statistics of an engine's last run, in which the norm saw `values` values a channel.
void add_statistics(const BatchStatistics& statistics, std::int64_t values, BatchStatistics& sum) {
    sum.mean.resize(statistics.mean.size());
    sum.variance.resize(statistics.mean.size());
    const double to_unbiased = static_cast<double>(values) / static_cast<double>(values - 1);
    for (std::size_t c = 0; c < sum.mean.size(); ++c) {
        sum.mean[c] += statistics.mean[c];
        sum.variance[c] += statistics.variance[c] * to_unbiased;
    }
}

/// One for each size of a batch, of which there are at most two.
class Engines {
  public:
    Engines(const network::Network& network, const network::Weights& weights, NormMode mode,
            const LaneKernels& kernels)
        : network_(network), weights_(weights), mode_(mode), kernels_(kernels) {}

    Engine& for_batch(std::int64_t size) {
        auto engine = engines_.find(size);
        if (engine == engines_.end())
            engine =
                engines_.emplace(size, Engine(network_, weights_, size, mode_, kernels_)).first;
        return engine->second;
    }

  private:
    const network::Network& network_;
    const network::Weights& weights_;
    NormMode mode_;
    const LaneKernels& kernels_;
    std::map<std::int64_t, Engine> engines_;
};

} // namespace

std::optional<std::vector<BatchStatistics>>
norm_statistics(const network::Network& network, const network::Weights& weights,
                const ImageData& images, std::int64_t batch, NormMode mode,
                const LaneKernels& kernels, const std::stop_token& cancelled) {
    // The variance of a single value is not defined, so no batch has fewer than two images.
    const std::int64_t batches = std::min((images.count + batch - 1) / batch, images.count / 2);
    if (batches < 1)
        throw core::DataError(
            fmt::format("batch-norm statistics need at least 2 images, got {}", images.count));
    const std::vector<network::TensorShape> shapes = network::infer_shapes(network);
    const Normaliser normaliser(images);
    const std::int64_t image = images.channels * images.height * images.width;
    Engines engines(network, weights, mode, kernels);
    std::vector<BatchStatistics> sums(network.nodes.size());
    for (std::int64_t b = 0; b < batches; ++b) {
        if (cancelled.stop_requested()) return std::nullopt;
        // Equal sizes, so that the plain mean over the batches weighs all images alike.
        const std::int64_t first = images.count * b / batches;
        const std::int64_t count = images.count * (b + 1) / batches - first;
        Engine& engine = engines.for_batch(count);
        for (std::int64_t i = 0; i < count; ++i)
            normaliser.write(first + i, {}, engine.images() + i * image);
        engine.run();
        for (std::size_t n = 0; n < sums.size(); ++n) {
            if (network.nodes[n].op != network::Operator::batch_norm) continue;
            const network::Extent& extent = shapes[n].extent;
            add_statistics(engine.statistics(network.nodes[n].name),
                           count * extent.height * extent.width, sums[n]);
        }
    }
    for (BatchStatistics& sum : sums)
        for (std::vector<double>* values : {&sum.mean, &sum.variance})
            for (double& value : *values)
                value /= static_cast<double>(batches);
    return sums;
}

} // namespace hdap::accuracy
