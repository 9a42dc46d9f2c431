#include "hdap/accuracy/inference.hpp"

#include "accuracy/engine/engine.hpp"
#include "hdap/core/error.hpp"

#include <fmt/core.h>

namespace hdap::accuracy {
namespace {

enum class Order { channels_first, channels_last };

/// Copies images of `shape` into the order `to` from the other one.
void transpose(const float* from, std::int64_t images, const network::TensorShape& shape, Order to,
               float* target) {
    const std::int64_t pixels = shape.extent.height * shape.extent.width;
    for (std::int64_t n = 0; n < images; ++n)
        for (std::int64_t c = 0; c < shape.channels; ++c)
            for (std::int64_t p = 0; p < pixels; ++p) {
                const std::int64_t first = (n * shape.channels + c) * pixels + p;
                const std::int64_t last = (n * pixels + p) * shape.channels + c;
                if (to == Order::channels_last)
                    target[last] = from[first];
                else
                    target[first] = from[last];
            }
}

} // namespace

std::vector<std::vector<float>> run_network(const network::Network& network,
                                            const network::Weights& weights,
                                            const std::vector<float>& images) {
    const network::TensorShape shape = network::infer_shapes(network).front();
    const std::int64_t size = shape.channels * shape.extent.height * shape.extent.width;
    const auto count = static_cast<std::int64_t>(images.size()) / size;
    if (count < 1 || count * size != static_cast<std::int64_t>(images.size()))
        throw core::DataError(
            fmt::format("{} values are not whole images of {} values, as network '{}' takes them",
                        images.size(), size, network.name));
    Engine engine(network, weights, count, NormMode::running);
    transpose(images.data(), count, shape, Order::channels_last, engine.images());
    engine.run();
    std::vector<std::vector<float>> results;
    const std::vector<network::TensorShape> shapes = network::infer_shapes(network);
    for (const std::size_t output : network::output_nodes(network)) {
        const network::TensorShape& of = shapes[output];
        std::vector<float>& values = results.emplace_back(
            static_cast<std::size_t>(count * of.channels * of.extent.height * of.extent.width));
        transpose(engine.output(results.size() - 1), count, of, Order::channels_first,
                  values.data());
    }
    return results;
}

} // namespace hdap::accuracy
